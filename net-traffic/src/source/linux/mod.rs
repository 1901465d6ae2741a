//! The Linux side of the sources.
