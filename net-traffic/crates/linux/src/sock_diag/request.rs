//! Encodes the requests that make the kernel dump sockets. Pure.

use super::{SocketQuery, States};
use crate::netlink::encode_attribute;
use net_traffic_snapshot::Protocol;

const TCPDIAG_GETSOCK: u16 = 18;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_REQ_PROTOCOL: u16 = 3;
/// The bit in `idiag_ext` that requests the attribute `INET_DIAG_INFO` (2).
const WITH_INFO: u8 = 1 << (2 - 1);
/// `struct inet_diag_sockid`, all zero: every socket.
const ANY_SOCKET: [u8; 48] = [0; 48];

/// One request: message type and body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: u16,
    pub(super) body: Vec<u8>,
}

/// The requests of a query; none for a protocol without this kind of dump.
///
/// TCP has one request for both families: the kernel walks the whole hash table for each request.
pub(super) fn requests(query: SocketQuery) -> Vec<Request> {
    if query.protocol == Protocol::Tcp {
        return vec![Request { kind: TCPDIAG_GETSOCK, body: of_tcp(query.states) }];
    }
    let bodies = [libc::AF_INET, libc::AF_INET6].into_iter().filter_map(|family| of_family(family, query));
    bodies.map(|body| Request { kind: SOCK_DIAG_BY_FAMILY, body }).collect()
}

/// `struct inet_diag_req` (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/inet_diag.h#L26>), which
/// accepts any family.
fn of_tcp(states: States) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, WITH_INFO];
    bytes.extend_from_slice(&ANY_SOCKET);
    bytes.extend_from_slice(&states.0.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

/// `struct inet_diag_req_v2`.
fn of_family(family: libc::c_int, query: SocketQuery) -> Option<Vec<u8>> {
    let number = match query.protocol {
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::Mptcp => libc::IPPROTO_MPTCP,
        Protocol::Sctp => libc::IPPROTO_SCTP,
        Protocol::Raw | Protocol::Icmp | Protocol::Icmpv6 => libc::IPPROTO_RAW,
        Protocol::Tcp | Protocol::Packet => return None,
    };
    // A protocol number above 255 goes into the attribute INET_DIAG_REQ_PROTOCOL.
    let small = u8::try_from(number).unwrap_or(0);
    let mut bytes = vec![u8::try_from(family).ok()?, small, 0, 0];
    bytes.extend_from_slice(&query.states.0.to_ne_bytes());
    bytes.extend_from_slice(&ANY_SOCKET);
    if i32::from(small) != number {
        bytes.extend(encode_attribute(INET_DIAG_REQ_PROTOCOL, &number.to_ne_bytes()));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_traffic_snapshot::State;

    fn established(protocol: Protocol) -> SocketQuery {
        SocketQuery { protocol, states: States::of(&[State::Established]) }
    }

    #[test]
    fn tcp_has_one_request_and_udp_two() {
        let kinds = |protocol| requests(established(protocol)).into_iter().map(|request| request.kind);
        assert!(kinds(Protocol::Tcp).eq([TCPDIAG_GETSOCK]));
        assert!(kinds(Protocol::Udp).eq([SOCK_DIAG_BY_FAMILY; 2]));
        assert_eq!(kinds(Protocol::Packet).count(), 0);
    }

    #[test]
    fn tcp_request_has_the_v1_layout() {
        let bytes = &requests(established(Protocol::Tcp))[0].body;
        assert_eq!(bytes.len(), 60);
        assert_eq!(bytes[..4], [0, 0, 0, 2]);
        assert!(bytes[4..52].iter().all(|byte| *byte == 0));
        assert_eq!(bytes[52..], [2, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn udp_request_has_the_v2_layout() {
        let bytes = &requests(established(Protocol::Udp))[1].body;
        assert_eq!(bytes.len(), 56);
        assert_eq!(bytes[..8], [10, 17, 0, 0, 2, 0, 0, 0]);
        assert!(bytes[8..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn mptcp_protocol_number_is_sent_as_attribute() {
        let bytes = &requests(established(Protocol::Mptcp))[0].body;
        assert_eq!(bytes[1], 0);
        assert_eq!(bytes[56..], [8, 0, 3, 0, 6, 1, 0, 0]);
    }
}
