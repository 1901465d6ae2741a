//! The Linux side of the sources.

pub mod bpf;
pub mod btf;
pub mod capture;
pub mod cgroup;
pub mod children;
mod closed;
pub mod ebpf;
mod elsewhere;
pub mod exists;
pub mod host;
pub mod interfaces;
pub mod iperf;
mod kernel_log;
pub mod live;
pub mod load;
mod netlink;
pub mod netns;
pub mod plan;
pub mod polling;
pub mod procfs;
pub mod records;
pub mod rights;
pub mod selftest;
pub mod sock_diag;
pub mod surroundings;
pub mod traffic;
pub mod wire;
