//! The Linux side of the sources.

pub mod bpf;
pub mod btf;
mod closed;
pub mod ebpf;
pub mod load;
pub mod plan;
pub mod records;

use std::{io, path::PathBuf};

/// Where the cgroup v2 hierarchy is mounted.
fn cgroup_root() -> io::Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    mounts
        .lines()
        .map(|line| line.split(' '))
        .find_map(|mut fields| {
            let (_device, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(path))
        })
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted"))
}
