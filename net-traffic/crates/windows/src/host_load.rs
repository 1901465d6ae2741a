//! The load of the host during a throughput test: not implemented on Windows.

use std::io;

use net_traffic_snapshot::{Cpu, Queue};

/// Has the interface of the Linux type of this name, but reads nothing.
#[derive(Debug)]
pub struct HostLoad;

impl HostLoad {
    /// # Errors
    /// Never on Windows.
    pub fn open() -> io::Result<Self> {
        Ok(Self)
    }

    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn cpus(&self) -> io::Result<Vec<Cpu>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns an empty list, because Windows has no queueing disciplines.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn queues(&mut self) -> io::Result<Vec<Queue>> {
        Ok(Vec::new())
    }
}
