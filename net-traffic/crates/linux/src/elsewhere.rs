//! The sockets of all other network namespaces, where no program sees them: each namespace is asked in turn.

use std::collections::HashMap;

use super::netns::NetNs;
use super::sock_diag::{SockDiag, SocketQuery};
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::{CollectError, Collector};

/// Lists the sockets of every namespace but one.
pub(super) struct Elsewhere {
    own: u32,
    wanted: Vec<SocketQuery>,
    /// `None` for a namespace that may not be entered.
    known: HashMap<u32, Option<SockDiag>>,
}

impl Elsewhere {
    pub(super) fn new(own: u32, wanted: Vec<SocketQuery>) -> Self {
        Self { own, wanted, known: HashMap::new() }
    }

    /// Adds namespaces that are new and lets go of those that are left: our socket would keep one alive.
    fn refresh(&mut self) {
        let mut before = std::mem::take(&mut self.known);
        for namespace in NetNs::all().into_iter().filter(|namespace| namespace.inode() != self.own) {
            let inode = namespace.inode();
            let diag = before.remove(&inode).unwrap_or_else(|| SockDiag::new(&namespace, &self.wanted).ok());
            self.known.insert(inode, diag);
        }
    }
}

impl Collector for Elsewhere {
    fn name(&self) -> &'static str {
        "sock_diag"
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        self.refresh();
        let said = snapshot.status.len();
        for diag in self.known.values_mut().flatten() {
            diag.collect(snapshot)?;
        }
        // The own namespace has said the same.
        snapshot.status.truncate(said);
        Ok(())
    }
}
