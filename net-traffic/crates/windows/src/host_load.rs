//! The load of the host beside a throughput test. Windows offers none of it here.

use std::io;

use net_traffic_snapshot::{Cpu, Queue};

/// An empty source.
#[derive(Debug)]
pub struct HostLoad;

impl HostLoad {
    /// # Errors
    /// None here.
    pub fn open() -> io::Result<Self> {
        Ok(Self)
    }

    /// # Errors
    /// Always: the load of each CPU is not read on Windows.
    pub fn cpus(&self) -> io::Result<Vec<Cpu>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// # Errors
    /// None here: Windows has no queueing disciplines, so that the list is empty.
    pub fn queues(&mut self) -> io::Result<Vec<Queue>> {
        Ok(Vec::new())
    }
}
