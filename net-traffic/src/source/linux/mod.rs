//! The Linux side of the sources.

pub mod cgroup;
pub mod host;
pub mod interfaces;
mod netlink;
pub mod netns;
pub mod polling;
pub mod procfs;
pub mod rights;
pub mod sock_diag;
