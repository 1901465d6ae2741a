//! Folds snapshots into what people ask for: rates, totals since the start, what ended in between.
//!
//! Pure: no clock, no I/O, nothing that can fail. Bounded: what ended long ago is kept as sums.
//!
//! A process's bytes are what the kernel counted for the process, not the sum over its sockets, because several
//! processes may use one socket. A container's bytes are those of its processes, a remote host's those of the
//! connections to it; both include what has ended.

#![forbid(unsafe_code)]

mod arrivals;
mod balance;
mod baseline;
mod connection;
mod destination;
mod histories;
mod history;
mod interface;
mod names;
mod network;
mod process;
mod rate;
mod selection;
pub mod throughput;
mod traces;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use self::arrivals::Arrivals;
pub use self::balance::Balance;
pub use self::connection::Connection;
pub use self::histories::Row;
pub use self::history::History;
pub use self::interface::InterfaceState;
pub use self::network::{Network, NetworkError};
pub use self::process::{ENDED, OTHER, ProcessState, UNOWNED, sum};
pub use self::rate::{Rates, add};
pub use self::selection::Selection;
pub use net_traffic_snapshot::{
    Bytes, Container, Cost, Direction, Endpoint, Loss, Process, ProcessId, Protocol, Snapshot, Socket,
    SocketId, State, Status, Time, Wire,
};

use self::baseline::Baseline;
use self::connection::{Connections, Keep, Moment};
use self::destination::Destinations;
use self::histories::Histories;
use self::interface::Interfaces;
use self::names::HostNames;
use self::process::Processes;

/// Everything known about the machine up to the last snapshot.
#[derive(Clone, Debug, Default)]
pub struct Model {
    selection: Selection,
    retention: Retention,
    baseline: Baseline,
    first: Option<Time>,
    at: Time,
    host: String,
    connections: Connections,
    processes: Processes,
    destinations: Destinations,
    users: BTreeMap<u32, String>,
    interfaces: Interfaces,
    wire: Vec<Wire>,
    names: HostNames,
    histories: Histories,
    loss: Loss,
    cost: Cost,
    status: Vec<Status>,
}

/// How much of what ended is kept one by one; the rest is kept as sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For how many snapshots after its end a connection is kept.
    pub snapshots: u32,
    pub connections: usize,
    pub processes: usize,
    pub destinations: usize,
    /// Of how many connections, containers and remote hosts it is remembered how their rates were.
    pub histories: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshots: 5, connections: 10_000, processes: 5_000, destinations: 50_000, histories: 0 }
    }
}

impl Retention {
    /// Keeps what a screen draws and a report does not.
    #[must_use]
    pub fn of_screen() -> Self {
        Self { histories: 4096, ..Self::default() }
    }

    /// Keeps every connection of a run until its one report.
    #[must_use]
    pub fn of_run() -> Self {
        Self { snapshots: u32::MAX, connections: 100_000, processes: 100_000, ..Self::default() }
    }
}

/// A connection with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'m> {
    pub connection: &'m Connection,
    pub process: Option<&'m ProcessState>,
    /// Whose it is: the process's user, else the one that made the socket.
    pub user: Option<&'m str>,
    /// The name of its interface.
    pub interface: Option<&'m str>,
    /// The name of the remote host, where names are looked up.
    pub remote_name: Option<&'m str>,
    /// The names of all interfaces of this namespace that it passes on its way from another one.
    pub passed: &'m [String],
}

impl Flow<'_> {
    /// The owner's process id, where an owner is known.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.connection.socket.owner.map(|owner| owner.pid).filter(|pid| *pid != 0)
    }
}

impl Model {
    /// A model without a snapshot. The selection says whose ended connections enter the totals.
    #[must_use]
    pub fn new(selection: Selection, retention: Retention) -> Self {
        Self { selection, retention, ..Self::default() }
    }

    /// Takes over what was read at one moment.
    pub fn advance(&mut self, snapshot: Snapshot) {
        let Snapshot {
            at,
            host,
            mut sockets,
            mut processes,
            users,
            traced,
            interfaces,
            interfaces_at_ns,
            containers,
            wire,
            loss,
            cost,
            status,
        } = snapshot;
        self.baseline.apply(&mut sockets, &mut processes);
        let elapsed_ns = match self.first {
            Some(_) => at.monotonic_ns.saturating_sub(self.at.monotonic_ns),
            None => 0,
        };
        self.first.get_or_insert(at);
        self.at = at;
        self.interfaces.advance(interfaces, interfaces_at_ns.unwrap_or(at.monotonic_ns));
        self.processes.advance(processes, containers, elapsed_ns, self.retention.processes);
        self.processes.trace(&traced);
        let moment = Moment { at_ns: at.monotonic_ns, elapsed_ns };
        let keep = Keep { snapshots: self.retention.snapshots, connections: self.retention.connections };
        for ended in self.connections.advance(sockets, moment, keep) {
            self.fold(&ended);
        }
        self.users.extend(users);
        self.remember();
        self.host = host;
        self.wire = wire;
        self.loss = loss;
        self.cost = cost;
        self.status = status;
    }

    /// Begins the totals again: what was counted so far no longer counts, what has ended is forgotten. A
    /// connection's life and an interface's counters are the kernel's and stay.
    pub fn reset(&mut self) {
        self.baseline.begin(self.connections.counted(), self.processes.counted());
        self.connections.reset();
        self.processes.reset();
        self.destinations = Destinations::default();
        self.interfaces.reset();
        self.first = Some(self.at);
    }

    /// Takes over names of remote hosts. From the first call on, names count as looked up.
    pub fn name_hosts(&mut self, found: Vec<(IpAddr, String)>) {
        let mut names = std::mem::take(&mut self.names);
        names.add(found, || self.remotes().collect());
        self.names = names;
    }

    /// Whether names of remote hosts are looked up.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.names.are_looked_up()
    }

    /// The name of a remote host, where it is known.
    #[must_use]
    pub fn host_name(&self, address: IpAddr) -> Option<&str> {
        self.names.get(address)
    }

    /// The addresses of the remote hosts of the selected connections; one may come more than once.
    pub fn remotes(&self) -> impl Iterator<Item = IpAddr> {
        let remotes = self.flows().filter_map(|flow| flow.connection.socket.remote);
        remotes.map(|remote| remote.address.to_canonical()).filter(|address| !address.is_unspecified())
    }

    /// When the last snapshot was read.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }

    /// Nanoseconds between the first snapshot and the last.
    #[must_use]
    pub fn elapsed_ns(&self) -> u64 {
        self.first.map_or(0, |first| self.at.monotonic_ns.saturating_sub(first.monotonic_ns))
    }

    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }

    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    #[must_use]
    pub fn status(&self) -> &[Status] {
        &self.status
    }

    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The selected connections: live ones in the order in which they were read, then those that ended lately.
    pub fn flows(&self) -> impl Iterator<Item = Flow<'_>> {
        self.connections
            .iter()
            .map(|connection| self.flow(connection))
            .filter(|flow| self.selection.wants_flow(flow))
    }

    /// Every process that was seen, in no particular order; not yet selected.
    pub fn processes(&self) -> impl Iterator<Item = &ProcessState> {
        self.processes.iter()
    }

    /// The selected interfaces.
    pub fn interfaces(&self) -> impl Iterator<Item = &InterfaceState> {
        self.interfaces
            .iter()
            .filter(|state| self.selection.wants_interface(&state.interface.name, state.interface.netns))
    }

    /// The balance of each selected interface, in the machine's order; empty where nothing watches them.
    pub fn balance(&self) -> impl Iterator<Item = Balance<'_>> {
        self.wire
            .iter()
            .filter(|wire| self.selection.wants_interface(&wire.interface, wire.netns))
            .map(Balance::of)
    }

    /// What arrived at each selected interface, where that was asked for.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrivals<'_>> {
        self.wire
            .iter()
            .filter(|wire| self.selection.wants_interface(&wire.interface, wire.netns))
            .filter_map(Arrivals::of)
    }

    #[must_use]
    pub fn container(&self, id: &str) -> Option<&Container> {
        self.processes.container(id)
    }

    /// What ended connections that are no longer kept moved, by remote host.
    pub fn folded_destinations(&self) -> impl Iterator<Item = (Option<IpAddr>, Bytes)> + '_ {
        self.destinations.iter()
    }

    /// How the rates of a row were, oldest first; `None` where it moved nothing lately, or no histories are kept.
    #[must_use]
    pub fn history(&self, of: Row<'_>) -> Option<History> {
        self.histories.get(of)
    }

    /// Adds the rates of this snapshot to the histories.
    fn remember(&mut self) {
        if self.retention.histories == 0 {
            return;
        }
        let mut histories = std::mem::take(&mut self.histories);
        let moving = self.connections.iter().filter(|connection| connection.rates.total() > Some(0));
        let moving = moving.filter(|connection| self.selection.wants_flow(&self.flow(connection)));
        let processes = self.processes.iter().filter(|state| self.selection.wants_process(state));
        histories.advance(moving, processes, self.retention.histories);
        self.histories = histories;
    }

    fn flow<'m>(&'m self, connection: &'m Connection) -> Flow<'m> {
        let process = connection.socket.owner.and_then(|owner| self.processes.get(owner));
        let socket = &connection.socket;
        let running_as = process.and_then(|process| process.process.user.as_deref());
        let made_by = || socket.uid.and_then(|uid| self.users.get(&uid)).map(String::as_str);
        Flow {
            connection,
            process,
            user: running_as.or_else(made_by),
            interface: self.interfaces.of(socket),
            remote_name: socket.remote.and_then(|remote| self.names.get(remote.address)),
            passed: self.interfaces.passed(socket),
        }
    }

    /// Keeps what an ended connection moved, if it was selected, after the connection itself is forgotten.
    fn fold(&mut self, ended: &Connection) {
        let Some(bytes) = ended.socket.counted else { return };
        if !self.selection.wants_flow(&self.flow(ended)) {
            return;
        }
        if let Some(remote) = ended.socket.remote {
            self.destinations.fold(remote.address.to_canonical(), bytes, self.retention.destinations);
        }
        self.processes.fold(ended.socket.owner.unwrap_or(UNOWNED), bytes);
    }
}
