//! The options of a view. Flags and keys set the same ones.

use super::Filter;
use net_traffic_model::{AttributedFlow, Protocol, State};

/// The user's choices for a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as a flag or a key")]
pub struct Options {
    /// The key of the sort column. A table without this column keeps its own order.
    pub sort: Option<String>,
    /// Ascending for numbers, descending for texts.
    pub reverse: bool,
    /// The most rows of a table.
    pub limit: Option<usize>,
    /// Without a limit, cuts long tables to a length for people.
    pub brief: bool,
    pub states: States,
    /// The main table of the report.
    pub table: Option<TableId>,
    /// Hides rows of the screen. Hidden rows still count in totals.
    pub filter: Filter,
    /// Orders by total since the start, not by rate.
    pub totals: bool,
    /// Shows names of remote hosts in place of their addresses.
    pub names: bool,
}

/// The tables that can be the main table of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableId {
    Connection,
    Process,
    Container,
    Destination,
    Interface,
}

impl TableId {
    /// The table's key.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Process => "processes",
            Self::Container => "containers",
            Self::Destination => "destinations",
            Self::Interface => "interfaces",
        }
    }
}

/// The states to show: the union of the set fields; if none is set, connected sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States {
    pub all: bool,
    pub listening: bool,
    pub established: bool,
    pub named: Vec<State>,
}

impl States {
    /// Whether the connection has one of these states.
    #[must_use]
    pub fn wants(&self, flow: &AttributedFlow<'_>) -> bool {
        let socket = &flow.connection.socket;
        let state = flow.connection.state();
        if self.all || self.named.contains(&state) {
            return true;
        }
        if self.listening || self.established || !self.named.is_empty() {
            return (self.established && state == State::Established)
                || (self.listening && is_listening(flow));
        }
        socket.remote.is_some() && state != State::Listen
    }
}

/// In state LISTEN, or an unconnected socket of a protocol without connections.
fn is_listening(flow: &AttributedFlow<'_>) -> bool {
    let socket = &flow.connection.socket;
    let connectionless = !matches!(socket.protocol, Protocol::Tcp | Protocol::Mptcp | Protocol::Sctp);
    flow.connection.state() == State::Listen
        || (connectionless && socket.remote.is_none() && flow.connection.ended.is_none())
}
