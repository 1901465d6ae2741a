//! The Linux side of the sources.

pub mod exists;
pub mod live;
