//! Folds snapshots into totals, rates and histories.
//!
//! Data flows one way: collector -> [`Snapshot`] -> [`Model`] -> view -> report -> output. [`Model::advance`] is the
//! only entry; the views read. The model is pure: no clock (each snapshot carries its [`Time`]), no I/O, no error. Its
//! memory is bounded by [`Retention`]: connections, processes and remote hosts that ended are folded into sums.
//!
//! Three rules hold for every total:
//!
//! - A process's bytes are the kernel's count for the process, not the sum over its sockets: several processes may
//!   share one socket.
//! - A container's bytes are the sum of its processes; a remote host's bytes are the sum of the connections to it.
//! - Processes and connections that ended stay in the totals.
//!
//! To add a figure: read it into `Snapshot` in a collector, keep it here in the state that it belongs to
//! ([`Connection`], [`ProcessState`], [`InterfaceState`]), and add a column in `net-traffic-view`.
//!
//! ```
//! use net_traffic_model::{Model, Retention, Selection};
//! use net_traffic_snapshot::{Interface, InterfaceCounters, Snapshot, Time};
//!
//! let at = |second: u64, bytes| Snapshot {
//!     at: Time { unix_ns: 0, monotonic_ns: second * 1_000_000_000 },
//!     interfaces: vec![Interface {
//!         name: "eth0".to_owned(),
//!         rx: InterfaceCounters { bytes, ..InterfaceCounters::default() },
//!         ..Interface::default()
//!     }],
//!     ..Snapshot::default()
//! };
//! let mut model = Model::new(Selection::default(), Retention::default());
//! model.advance(at(1, 1000));
//! model.advance(at(3, 2000));
//! assert_eq!(model.interfaces().next().unwrap().rates.rx_bps, Some(4000));
//! ```

#![forbid(unsafe_code)]

mod balance;
mod baseline;
mod connection;
mod destination;
mod history;
mod interface;
mod names;
mod network;
mod process;
mod rate;
mod retention;
mod row_histories;
mod selection;
mod sparse_history;
pub mod throughput;
mod xdp_rx;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use self::balance::Balance;
pub use self::connection::{Connection, DisplayState};
pub use self::history::RateHistory;
pub use self::interface::InterfaceState;
pub use self::network::{Network, NetworkError};
pub use self::process::{ENDED, OTHER, ProcessState, UNOWNED, sum};
pub use self::rate::{Rates, add};
pub use self::retention::Retention;
pub use self::row_histories::HistoryKey;
pub use self::selection::{RemoteMatch, Selection, TextMatch};
pub use self::xdp_rx::XdpRx;
pub use net_traffic_snapshot::{
    Bytes, Container, Cost, Direction, Endpoint, Loss, Process, ProcessId, Protocol, Snapshot, Socket,
    SocketId, State, Status, Time, Wire,
};

use self::baseline::Baseline;
use self::connection::{Connections, EndedLimits, SnapshotTime};
use self::destination::Destinations;
use self::interface::Interfaces;
use self::names::HostNames;
use self::process::Processes;
use self::row_histories::RowHistories;

/// The state of the machine after the last snapshot.
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
    histories: RowHistories,
    loss: Loss,
    cost: Cost,
    status: Vec<Status>,
}

/// A connection joined with its owner, user, interface and remote host name.
#[derive(Clone, Copy, Debug)]
pub struct AttributedFlow<'m> {
    pub connection: &'m Connection,
    pub process: Option<&'m ProcessState>,
    /// The user of the owning process, else the user that created the socket.
    pub user: Option<&'m str>,
    /// The name of the interface that the connection uses.
    pub interface: Option<&'m str>,
    /// The name of the remote host, if names are looked up.
    pub remote_name: Option<&'m str>,
    /// For a connection of another network namespace: the interfaces of this namespace that lead to it.
    pub via: &'m [String],
}

impl AttributedFlow<'_> {
    /// The PID of the owner, if known.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.connection.socket.owner.map(|owner| owner.pid).filter(|pid| *pid != 0)
    }
}

impl Model {
    /// A model without a snapshot. Only ended connections that match the selection enter the totals.
    #[must_use]
    pub fn new(selection: Selection, retention: Retention) -> Self {
        Self { selection, retention, ..Self::default() }
    }

    /// Applies the next snapshot.
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
        self.processes.mark_traced(&traced);
        let time = SnapshotTime { at_ns: at.monotonic_ns, elapsed_ns };
        let limits =
            EndedLimits { snapshots: self.retention.snapshots, connections: self.retention.connections };
        for ended in self.connections.advance(sockets, time, limits) {
            self.fold(&ended);
        }
        self.users.extend(users);
        self.record_histories();
        self.host = host;
        self.wire = wire;
        self.loss = loss;
        self.cost = cost;
        self.status = status;
    }

    /// Restarts the totals at zero and drops ended connections. Lifetime bytes of sockets and counters of interfaces
    /// belong to the kernel and stay.
    pub fn reset(&mut self) {
        self.baseline.restart(self.connections.counted(), self.processes.counted());
        self.connections.reset();
        self.processes.reset();
        self.destinations = Destinations::default();
        self.interfaces.reset();
        self.first = Some(self.at);
    }

    /// Adds names of remote hosts. After the first call, [`Self::has_names`] is true.
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

    /// The name of a remote host, if known.
    #[must_use]
    pub fn host_name(&self, address: IpAddr) -> Option<&str> {
        self.names.get(address)
    }

    /// The remote addresses of the selected connections, with duplicates.
    pub fn remotes(&self) -> impl Iterator<Item = IpAddr> {
        let remotes = self.flows().filter_map(|flow| flow.connection.socket.remote);
        remotes.map(|remote| remote.address.to_canonical()).filter(|address| !address.is_unspecified())
    }

    /// The time of the last snapshot.
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

    /// The selected connections: live ones in snapshot order, then those that ended recently.
    pub fn flows(&self) -> impl Iterator<Item = AttributedFlow<'_>> {
        self.connections
            .iter()
            .map(|connection| self.flow(connection))
            .filter(|flow| self.selection.wants_flow(flow))
    }

    /// Every process, unordered and before selection, and the sums of processes that ended long ago.
    pub fn processes(&self) -> impl Iterator<Item = &ProcessState> {
        self.processes.iter()
    }

    /// The selected interfaces.
    pub fn interfaces(&self) -> impl Iterator<Item = &InterfaceState> {
        self.interfaces
            .iter()
            .filter(|state| self.selection.wants_interface(&state.interface.name, state.interface.netns))
    }

    /// The balance of each selected interface, in snapshot order; empty without interface accounting.
    pub fn balance(&self) -> impl Iterator<Item = Balance<'_>> {
        self.wire
            .iter()
            .filter(|wire| self.selection.wants_interface(&wire.interface, wire.netns))
            .map(Balance::of)
    }

    /// The XDP receive counters of each selected interface; empty without `--xdp`.
    pub fn xdp_rx(&self) -> impl Iterator<Item = XdpRx<'_>> {
        self.wire
            .iter()
            .filter(|wire| self.selection.wants_interface(&wire.interface, wire.netns))
            .filter_map(XdpRx::of)
    }

    #[must_use]
    pub fn container(&self, id: &str) -> Option<&Container> {
        self.processes.container(id)
    }

    /// Bytes of the folded connections by remote host; `None` is the sum of the hosts beyond the limit.
    pub fn folded_destinations(&self) -> impl Iterator<Item = (Option<IpAddr>, Bytes)> + '_ {
        self.destinations.iter()
    }

    /// The recent rates of an item; `None` if it was idle for the whole history, or if none is kept.
    #[must_use]
    pub fn history(&self, key: HistoryKey<'_>) -> Option<RateHistory> {
        self.histories.get(key)
    }

    /// Appends the rates of this snapshot.
    fn record_histories(&mut self) {
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

    fn flow<'m>(&'m self, connection: &'m Connection) -> AttributedFlow<'m> {
        let process = connection.socket.owner.and_then(|owner| self.processes.get(owner));
        let socket = &connection.socket;
        let process_user = process.and_then(|process| process.process.user.as_deref());
        let socket_user = || socket.uid.and_then(|uid| self.users.get(&uid)).map(String::as_str);
        AttributedFlow {
            connection,
            process,
            user: process_user.or_else(socket_user),
            interface: self.interfaces.name_for(socket),
            remote_name: socket.remote.and_then(|remote| self.names.get(remote.address)),
            via: self.interfaces.via(socket),
        }
    }

    /// Adds a dropped connection's bytes to the sums of its owner and remote host, if it matches the selection.
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
