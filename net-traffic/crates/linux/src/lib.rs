//! Reads a Linux machine: eBPF programs, netlink, /proc, cgroups, and packets.

#![cfg(target_os = "linux")]

pub mod bpf;
pub mod btf;
pub mod capture;
pub mod cgroup;
mod closed;
pub mod ebpf;
mod error_chain;
mod host_load;
pub mod interface_accounting;
pub mod interfaces;
mod kernel_log;
mod live;
pub mod load;
mod netlink;
pub mod netns;
mod other_namespaces;
pub mod plan;
pub mod platform;
pub mod polling;
pub mod procfs;
pub mod records;
pub mod rights;
pub mod sock_diag;
mod socket_walk;

pub use self::capture::{LiveCapture, link_of};
pub use self::host_load::HostLoad;
pub use self::live::Live;
pub use self::platform::children::Children;
pub use self::platform::host::init_process_accounting;
pub use self::platform::lookup;
pub use self::platform::signals::Signals;
pub use self::platform::stop::Stop;
