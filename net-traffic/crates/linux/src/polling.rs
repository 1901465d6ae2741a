//! Snapshots without eBPF programs: interfaces, sockets, owners and containers, read one after another.
//!
//! No privilege is needed. The snapshot's status names what the process may not read.

use std::io;

use super::cgroup::Containers;
use super::interfaces::Interfaces;
use super::netns::NetNs;
use super::procfs::ProcFs;
use super::sock_diag::{SockDiag, SocketQuery};
use crate::platform::host;
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::{Collector, collect_all};

/// The namespace and the sockets of a snapshot.
#[derive(Debug)]
pub struct Scope {
    pub netns: NetNs,
    pub sockets: Vec<SocketQuery>,
}

/// Reads snapshots through netlink and /proc.
pub struct Polling {
    host: String,
    collectors: Vec<Box<dyn Collector>>,
}

/// Why no snapshot can be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to {attempt}: {cause}")]
pub struct PollingError {
    attempt: &'static str,
    cause: io::Error,
}

impl Polling {
    /// Opens the collectors.
    ///
    /// # Errors
    /// When this process may not enter the namespace, or the kernel refuses a netlink socket.
    pub fn new(scope: Scope) -> Result<Self, PollingError> {
        let failed = |attempt| move |cause| PollingError { attempt, cause };
        let Scope { netns, sockets } = scope;
        let sockets = SockDiag::new(&netns, &sockets).map_err(failed("ask the kernel for its sockets"))?;
        let interfaces = Interfaces::new(netns).map_err(failed("enter the network namespace"))?;
        let host = host::name().map_err(failed("read the host's name"))?;
        Ok(Self {
            host,
            collectors: vec![
                Box::new(interfaces),
                Box::new(sockets),
                Box::new(ProcFs::default()),
                Box::new(Containers::default()),
            ],
        })
    }

    /// Reads everything once.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot { at: host::now(), host: self.host.clone(), ..Snapshot::default() };
        collect_all(&mut self.collectors, &mut snapshot);
        snapshot.cost = host::cost();
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_traffic_snapshot::CollectError;

    struct Broken;

    impl Collector for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn collect(&mut self, _: &mut Snapshot) -> Result<(), CollectError> {
            let cause = io::ErrorKind::TimedOut.into();
            Err(CollectError { collector: "broken", attempt: "read", cause })
        }
    }

    #[test]
    fn failed_collector_is_named_others_continue() {
        let mut snapshot = Snapshot::default();
        let interfaces = Interfaces::new(NetNs::own().unwrap()).unwrap();
        collect_all(&mut [Box::new(Broken), Box::new(interfaces)], &mut snapshot);
        assert!(!snapshot.interfaces.is_empty());
        assert_eq!(snapshot.status[0].slot, "broken");
        assert_eq!(snapshot.status[0].reason.as_deref(), Some("failed to read: timed out"));
    }

    #[test]
    fn snapshot_has_time_host_interfaces_own_process() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let scope = Scope { netns: NetNs::own().unwrap(), sockets: SocketQuery::ALL.to_vec() };
        let snapshot = Polling::new(scope).unwrap().snapshot();
        assert!(snapshot.at.unix_ns > 0 && !snapshot.host.is_empty());
        assert!(snapshot.interfaces.iter().any(|interface| interface.name == "lo"));
        let socket = snapshot.sockets.iter().find(|socket| socket.local.port == port).unwrap();
        assert_eq!(socket.owner.unwrap().pid, std::process::id());
        assert!(snapshot.processes.iter().any(|process| Some(process.id) == socket.owner));
    }
}
