//! The Linux side of the sources.

pub mod traffic;
