//! The names of protocols and states, for programs and for people.

use super::{Label, Value};
use net_traffic_model::{Connection, DisplayState, Protocol, State};

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

/// The id is the state's name in OpenTelemetry, the label that of `netstat`.
pub(super) fn state(connection: &Connection) -> Value<'static> {
    Value::Label(label(connection.display_state()))
}

/// The states whose id or label begins with the text, whatever its case and punctuation: `FIN_WAIT_1`, `fin-wait-1`
/// and `finwait1` are one state.
pub(super) fn states_named(text: &str) -> impl Iterator<Item = DisplayState> {
    let text = plain(text);
    let socket_states = SOCKET_STATES.iter().copied().map(DisplayState::Socket);
    socket_states.chain([DisplayState::Unconnected]).filter(move |state| {
        let Label { id, label } = label(*state);
        plain(id).starts_with(&text) || plain(label).starts_with(&text)
    })
}

const SOCKET_STATES: [State; 11] = [
    State::Established,
    State::SynSent,
    State::SynReceived,
    State::FinWait1,
    State::FinWait2,
    State::TimeWait,
    State::Closed,
    State::CloseWait,
    State::LastAck,
    State::Listen,
    State::Closing,
];

fn label(state: DisplayState) -> &'static Label {
    match state {
        DisplayState::Unconnected => &Label { id: "closed", label: "UNCONN" },
        DisplayState::Socket(state) => match state {
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
        },
    }
}

fn plain(state: &str) -> String {
    state.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}
