//! The names of protocols and states, for programs and for people.

use super::{Label, Value};
use net_traffic_model::{Connection, Protocol, State};

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
    Value::Label(match connection.state() {
        State::Closed if unconnected => &Label { id: "closed", label: "UNCONN" },
        State::Established => &Label { id: "established", label: "ESTABLISHED" },
        State::SynSent => &Label { id: "syn_sent", label: "SYN_SENT" },
        State::SynReceived => &Label { id: "syn_received", label: "SYN_RECEIVED" },
        State::FinWait1 => &Label { id: "fin_wait_1", label: "FIN_WAIT_1" },
        State::FinWait2 => &Label { id: "fin_wait_2", label: "FIN_WAIT_2" },
        State::TimeWait => &Label { id: "time_wait", label: "TIME_WAIT" },
        State::Closed => &Label { id: "closed", label: "CLOSED" },
        State::CloseWait => &Label { id: "close_wait", label: "CLOSE_WAIT" },
        State::LastAck => &Label { id: "last_ack", label: "LAST_ACK" },
        State::Listen => &Label { id: "listen", label: "LISTEN" },
        State::Closing => &Label { id: "closing", label: "CLOSING" },
    })
}
