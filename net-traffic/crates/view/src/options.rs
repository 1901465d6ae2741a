//! How a view is to be shown. Flags and keys set the same options.

use super::Filter;
use net_traffic_model::{AttributedFlow, Protocol, State};

/// What a user can change while looking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as a flag or a key")]
pub struct Options {
    /// The key of a column; views without such a column keep their own order.
    pub sort: Option<String>,
    /// Ascending for numbers, descending for texts.
    pub reverse: bool,
    /// At most so many rows a table.
    pub limit: Option<usize>,
    /// Cut long tables at the length that people read, where no limit says otherwise.
    pub brief: bool,
    pub states: States,
    /// The table that stands for the report.
    pub table: Option<TableId>,
    /// Which rows a screen shows; what is not shown still counts.
    pub filter: Filter,
    /// Who moved most since the start comes first, not who moves most now.
    pub totals: bool,
    /// Names of remote hosts in place of their addresses, where they are known.
    pub names: bool,
}

/// The tables that can stand for a report.
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

/// Which states are shown: the union of what is set, and connected sockets if nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States {
    pub all: bool,
    pub listening: bool,
    pub established: bool,
    pub named: Vec<State>,
}

impl States {
    #[must_use]
    pub fn wants(&self, flow: &AttributedFlow<'_>) -> bool {
        let socket = &flow.connection.socket;
        let state = flow.connection.state();
        if self.all || self.named.contains(&state) {
            return true;
        }
        if self.listening || self.established || !self.named.is_empty() {
            return (self.established && state == State::Established)
                || (self.listening && waits_for_anyone(flow));
        }
        socket.remote.is_some() && state != State::Listen
    }
}

/// Listening, or as near to it as a protocol without connections comes.
fn waits_for_anyone(flow: &AttributedFlow<'_>) -> bool {
    let socket = &flow.connection.socket;
    let connectionless = !matches!(socket.protocol, Protocol::Tcp | Protocol::Mptcp | Protocol::Sctp);
    flow.connection.state() == State::Listen
        || (connectionless && socket.remote.is_none() && flow.connection.ended.is_none())
}
