//! The sockets of all other network namespaces, by one `sock_diag` query each, for snapshots without programs.

use std::collections::HashMap;

use super::netns::NetNs;
use super::sock_diag::{SockDiag, SocketQuery};
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::{CollectError, Collector};

/// Lists the sockets of every namespace but one.
pub(super) struct OtherNamespaces {
    own: u32,
    wanted: Vec<SocketQuery>,
    /// `None`: this process may not enter the namespace.
    known: HashMap<u32, Option<SockDiag>>,
}

impl OtherNamespaces {
    pub(super) fn new(own: u32, wanted: Vec<SocketQuery>) -> Self {
        Self { own, wanted, known: HashMap::new() }
    }

    /// Adds new namespaces, and closes the netlink socket of abandoned ones: an open socket keeps its namespace alive
    /// (<https://man7.org/linux/man-pages/man7/network_namespaces.7.html>).
    fn refresh(&mut self) {
        let mut before = std::mem::take(&mut self.known);
        for namespace in NetNs::all().into_iter().filter(|namespace| namespace.inode() != self.own) {
            let inode = namespace.inode();
            let diag = before.remove(&inode).unwrap_or_else(|| SockDiag::new(&namespace, &self.wanted).ok());
            self.known.insert(inode, diag);
        }
    }
}

impl Collector for OtherNamespaces {
    fn name(&self) -> &'static str {
        "sock_diag"
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        self.refresh();
        let said = snapshot.status.len();
        for diag in self.known.values_mut().flatten() {
            diag.collect(snapshot)?;
        }
        // The collector of the own namespace adds the same entries.
        snapshot.status.truncate(said);
        Ok(())
    }
}
