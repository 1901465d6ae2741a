//! Sockets and their owners: from the tables, and from events where there are any.

use std::collections::{HashMap, HashSet};

use super::descendants;
use super::estats::Statistics;
use super::etw::Counting;
use super::host;
use super::ip_helper;
use super::processes::Processes;
use crate::snapshot::{Protocol, Snapshot, Socket, State, Status};
use crate::source::etw::Entry;
use crate::source::{CollectError, Collector, Wanted};

/// Lists sockets and processes.
#[derive(Debug)]
pub(super) struct Connections {
    wanted: Wanted,
    counting: Option<Counting>,
    statistics: Option<Statistics>,
    processes: Processes,
    /// Mark those that descend from this program.
    traced: bool,
}

const NAME: &str = "sockets";

impl Connections {
    pub(super) fn new(wanted: Wanted, counting: Option<Counting>, traced: bool) -> Self {
        let statistics = Statistics::new();
        Self { wanted, counting, statistics, processes: Processes::default(), traced }
    }

    fn sockets(&mut self, snapshot: &Snapshot) -> std::io::Result<Vec<Socket>> {
        let Self { wanted, counting, statistics, processes, .. } = self;
        // Events are told apart by all tables, whatever is shown of them.
        let read = if counting.is_some() { Wanted::default() } else { *wanted };
        let mut created = HashMap::new();
        let mut tables = || {
            let entries = ip_helper::read(read)?;
            let made = entries.iter().filter(|entry| entry.created != 0);
            created.extend(made.map(|entry| ((entry.protocol, entry.local, entry.remote), entry.created)));
            Ok(entries)
        };
        let mut sockets = match counting {
            Some(counting) => {
                let addresses: Vec<_> =
                    snapshot.interfaces.iter().flat_map(|interface| interface.addresses.clone()).collect();
                counting.advance(snapshot.at.monotonic_ns, &addresses, processes, tables)?
            }
            None => tables()?.iter().map(|entry| listed(entry, processes)).collect(),
        };
        for socket in &mut sockets {
            let at = created.get(&(socket.protocol, socket.local, socket.remote));
            socket.opened_ns = at.and_then(|at| opened_ns(*at, snapshot));
        }
        if let Some(statistics) = statistics {
            statistics.add(&mut sockets);
        }
        sockets.retain(|socket| is_wanted(*wanted, socket));
        Ok(sockets)
    }
}

impl Collector for Connections {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        for newcomer in descendants::newcomers() {
            self.processes.adopt(newcomer);
        }
        self.processes.begin();
        let sockets = self.sockets(snapshot);
        let failed = |cause| CollectError { collector: NAME, attempt: "read the tables of sockets", cause };
        snapshot.sockets = sockets.map_err(failed)?;
        if self.traced {
            snapshot.traced = descendants::members();
        }
        let mut owners: HashSet<_> = snapshot.sockets.iter().filter_map(|socket| socket.owner).collect();
        owners.extend(&snapshot.traced);
        let counted = self.counting.as_ref().and_then(Counting::processes);
        snapshot.processes = self.processes.report(&owners, counted);
        snapshot.status.push(status());
        snapshot.status.push(self.processes.status());
        if let Some(statistics) = &self.statistics {
            snapshot.status.push(statistics.status());
        }
        if let Some(counting) = &self.counting {
            snapshot.loss = counting.loss();
            snapshot.status.push(counting.status());
        }
        Ok(())
    }
}

fn listed(entry: &Entry, processes: &mut Processes) -> Socket {
    let owner = (entry.pid != 0).then(|| processes.now(entry.pid));
    Socket { owner, ..entry.socket() }
}

/// The system says when a socket was made, on the clock that people read.
fn opened_ns(created: i64, snapshot: &Snapshot) -> Option<u64> {
    let age = snapshot.at.unix_ns.saturating_sub(host::unix_ns(created));
    snapshot.at.monotonic_ns.checked_sub(u64::try_from(age).ok()?)
}

fn is_wanted(wanted: Wanted, socket: &Socket) -> bool {
    let bare = matches!(socket.protocol, Protocol::Tcp | Protocol::Udp) && socket.remote.is_none();
    let unconnected = bare || socket.state == State::Listen;
    if unconnected { wanted.unconnected } else { wanted.connected }
}

fn status() -> Status {
    Status {
        slot: NAME.to_owned(),
        tier: Some("polling".to_owned()),
        program: Some("GetExtendedTcpTable".to_owned()),
        covers: Some(
            "every TCP and UDP socket that exists when it is asked, with state and owner".to_owned(),
        ),
        reason: None,
        remedy: None,
    }
}
