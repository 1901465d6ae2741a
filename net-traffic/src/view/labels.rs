//! The names of protocols and states, for programs and for people.

use super::Value;
use crate::model::{Connection, Protocol, State};

pub(super) fn protocol(protocol: Protocol) -> Value<'static> {
    Value::Text(match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Mptcp => "mptcp",
        Protocol::Sctp => "sctp",
        Protocol::Icmp => "icmp",
        Protocol::Icmpv6 => "icmpv6",
        Protocol::Raw => "raw",
        Protocol::Packet => "packet",
    })
}

/// The state as OpenTelemetry spells it, and as `netstat` prints it. A socket without connections is not closed.
pub(super) fn state(connection: &Connection) -> Value<'static> {
    let socket = &connection.socket;
    let unconnected = connection.ended.is_none() && socket.protocol != Protocol::Tcp;
    let (id, label) = match connection.state() {
        State::Closed if unconnected => ("closed", "UNCONN"),
        State::Established => ("established", "ESTABLISHED"),
        State::SynSent => ("syn_sent", "SYN_SENT"),
        State::SynReceived => ("syn_received", "SYN_RECEIVED"),
        State::FinWait1 => ("fin_wait_1", "FIN_WAIT_1"),
        State::FinWait2 => ("fin_wait_2", "FIN_WAIT_2"),
        State::TimeWait => ("time_wait", "TIME_WAIT"),
        State::Closed => ("closed", "CLOSED"),
        State::CloseWait => ("close_wait", "CLOSE_WAIT"),
        State::LastAck => ("last_ack", "LAST_ACK"),
        State::Listen => ("listen", "LISTEN"),
        State::Closing => ("closing", "CLOSING"),
    };
    Value::Label { id, label }
}
