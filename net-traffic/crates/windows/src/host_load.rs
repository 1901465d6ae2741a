//! What else may limit a throughput test: not known here, but for what the sockets say.

use std::io;

use net_traffic_snapshot::{Cpu, Queue};

/// Nothing to read from.
#[derive(Debug)]
pub struct HostLoad;

impl HostLoad {
    /// # Errors
    /// None here.
    pub fn open() -> io::Result<Self> {
        Ok(Self)
    }

    /// # Errors
    /// Always: how busy each processor is, is not read here.
    pub fn cpus(&self) -> io::Result<Vec<Cpu>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// # Errors
    /// None here: an interface's queue cannot be seen.
    pub fn queues(&mut self) -> io::Result<Vec<Queue>> {
        Ok(Vec::new())
    }
}
