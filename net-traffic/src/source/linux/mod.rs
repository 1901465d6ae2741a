//! The Linux side of the sources.

pub mod bpf;
pub mod btf;
pub mod capture;
pub mod cgroup;
mod closed;
pub mod ebpf;
pub mod exists;
pub mod host;
pub mod interfaces;
pub mod live;
pub mod load;
mod netlink;
pub mod netns;
pub mod plan;
pub mod polling;
pub mod procfs;
pub mod records;
pub mod rights;
pub mod sock_diag;
pub mod traffic;
mod wire;
