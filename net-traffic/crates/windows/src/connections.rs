//! Lists sockets and processes: from the tables of IP Helper, and from ETW events if a session runs.

use std::collections::{HashMap, HashSet};

use super::estats::Statistics;
use super::etw::EtwCounter;
use super::ip_helper;
use super::processes::Processes;
use crate::events::Entry;
use crate::platform::{descendants, host};
use net_traffic_snapshot::{CollectError, Collector, SocketFilter};
use net_traffic_snapshot::{Endpoint, Protocol, Snapshot, Socket, State, Status};

/// The collector of sockets and processes.
#[derive(Debug)]
pub(super) struct Connections {
    wanted: SocketFilter,
    counting: Option<EtwCounter>,
    statistics: Statistics,
    processes: Processes,
    /// Report the descendants of this program in `Snapshot.traced`.
    traced: bool,
}

const NAME: &str = "sockets";

impl Connections {
    pub(super) fn new(wanted: SocketFilter, counting: Option<EtwCounter>, traced: bool) -> Self {
        let statistics = Statistics::new();
        Self { wanted, counting, statistics, processes: Processes::default(), traced }
    }

    fn sockets(&mut self, snapshot: &Snapshot) -> std::io::Result<Vec<Socket>> {
        let Self { wanted, counting, statistics, processes, .. } = self;
        // Events are assigned to sockets by all tables, whatever the view shows.
        let read = if counting.is_some() { SocketFilter::default() } else { *wanted };
        let mut rows = Rows::default();
        let mut tables = || {
            let entries = ip_helper::read(read)?;
            rows.add(&entries);
            Ok(entries)
        };
        // The byte counts of ETW and of TCP ESTATS start at different times and are never mixed.
        let counts = counting.is_none();
        let mut sockets = match counting {
            Some(counting) => {
                let addresses: Vec<_> =
                    snapshot.interfaces.iter().flat_map(|interface| interface.addresses.clone()).collect();
                counting.advance(snapshot.at.monotonic_ns, &addresses, processes, tables)?
            }
            None => tables()?.iter().map(|entry| listed(entry, processes)).collect(),
        };
        for socket in &mut sockets {
            let created = rows.of(socket).map(|row| row.created).filter(|created| *created != 0);
            socket.opened_ns = created.and_then(|at| opened_ns(at, snapshot));
        }
        statistics.add(&mut sockets, counts, |socket| rows.of(socket).map_or([0; 2], |row| row.scopes));
        sockets.retain(|socket| is_wanted(*wanted, socket));
        Ok(sockets)
    }
}

impl Collector for Connections {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        for process in descendants::take_new() {
            self.processes.insert_new(process);
        }
        self.processes.begin_snapshot();
        let sockets = self.sockets(snapshot);
        let failed = |cause| CollectError { collector: NAME, attempt: "read the tables of sockets", cause };
        snapshot.sockets = sockets.map_err(failed)?;
        if self.traced {
            snapshot.traced = descendants::members();
        }
        let mut owners: HashSet<_> = snapshot.sockets.iter().filter_map(|socket| socket.owner).collect();
        owners.extend(&snapshot.traced);
        let counted = self.counting.as_ref().and_then(EtwCounter::processes);
        snapshot.processes = self.processes.report(&owners, counted);
        snapshot.status.push(status());
        snapshot.status.push(self.processes.status());
        snapshot.status.push(self.statistics.status());
        if let Some(counting) = &self.counting {
            snapshot.loss = counting.loss();
            snapshot.status.push(counting.status());
        }
        Ok(())
    }
}

/// Table rows by socket: creation times and scope IDs, which a snapshot lacks.
#[derive(Debug, Default)]
struct Rows(HashMap<RowKey, Entry>);

/// Protocol, local and remote endpoint, and the owner's PID if there is no remote endpoint: several processes may bind
/// the same address.
type RowKey = (Protocol, Endpoint, Option<Endpoint>, u32);

impl Rows {
    fn add(&mut self, entries: &[Entry]) {
        for entry in entries {
            let Entry { protocol, local, remote, pid, .. } = *entry;
            self.0.insert(row_key(protocol, local, remote, pid), *entry);
        }
    }

    fn of(&self, socket: &Socket) -> Option<&Entry> {
        let pid = socket.owner.map_or(0, |owner| owner.pid);
        self.0.get(&row_key(socket.protocol, socket.local, socket.remote, pid))
    }
}

fn row_key(protocol: Protocol, local: Endpoint, remote: Option<Endpoint>, pid: u32) -> RowKey {
    (protocol, local, remote, if remote.is_some() { 0 } else { pid })
}

fn listed(entry: &Entry, processes: &mut Processes) -> Socket {
    let owner = (entry.pid != 0).then(|| processes.current_id(entry.pid));
    Socket { owner, ..entry.socket() }
}

/// Converts the creation time, a `FILETIME`, to the monotonic clock.
fn opened_ns(created: i64, snapshot: &Snapshot) -> Option<u64> {
    let age = snapshot.at.unix_ns.saturating_sub(host::unix_ns(created));
    snapshot.at.monotonic_ns.checked_sub(u64::try_from(age).ok()?)
}

fn is_wanted(wanted: SocketFilter, socket: &Socket) -> bool {
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
            "every TCP and UDP socket that exists at the time of the reading, with state and owner"
                .to_owned(),
        ),
        reason: None,
        remedy: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_traffic_snapshot::ProcessId;

    #[test]
    fn sockets_sharing_an_address_keep_their_creation_times() {
        let end = |port| Endpoint { address: std::net::Ipv4Addr::UNSPECIFIED.into(), port };
        let row = |protocol, remote, pid, created| {
            let state = State::Established;
            Entry { protocol, local: end(5353), remote, state, pid, created, scopes: [pid, 1] }
        };
        let (udp, tcp) = (Protocol::Udp, Protocol::Tcp);
        let entries = [
            row(udp, None, 7, 70),
            row(udp, None, 8, 80),
            row(udp, None, 9, 0),
            row(tcp, Some(end(1)), 7, 90),
        ];
        let mut rows = Rows::default();
        rows.add(&entries);
        let of = |row: &Entry, pid| {
            let owner = Some(ProcessId { pid, start_ticks: 1 });
            rows.of(&Socket { owner, ..row.socket() }).map(|row| row.created)
        };
        assert_eq!([7, 8, 9, 10].map(|pid| of(&entries[0], pid)), [Some(70), Some(80), Some(0), None]);
        // The row of a closed connection has no PID; the socket keeps its owner.
        assert_eq!((of(&entries[3], 7), rows.of(&entries[3].socket())), (Some(90), Some(&entries[3])));
    }
}
