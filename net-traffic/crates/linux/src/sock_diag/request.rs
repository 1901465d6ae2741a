//! What the kernel is asked when it is to list sockets. Pure.

use super::{States, Wanted};
use crate::netlink::encode_attribute;
use net_traffic_snapshot::Protocol;

const TCPDIAG_GETSOCK: u16 = 18;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_REQ_PROTOCOL: u16 = 3;
/// Asks for the attribute `INET_DIAG_INFO`.
const WITH_INFO: u8 = 1 << (2 - 1);
/// `struct inet_diag_sockid`, all zero: any.
const ANY_SOCKET: [u8; 48] = [0; 48];

/// One message to the kernel.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: u16,
    pub(super) body: Vec<u8>,
}

/// What to ask for; nothing of a protocol that has no such dump. Of TCP there may be many sockets, and the kernel walks
/// over all of them for each request: it is asked once for both families.
pub(super) fn requests(wanted: Wanted) -> Vec<Request> {
    if wanted.protocol == Protocol::Tcp {
        return vec![Request { kind: TCPDIAG_GETSOCK, body: of_tcp(wanted.states) }];
    }
    let bodies = [libc::AF_INET, libc::AF_INET6].into_iter().filter_map(|family| of_family(family, wanted));
    bodies.map(|body| Request { kind: SOCK_DIAG_BY_FAMILY, body }).collect()
}

/// `struct inet_diag_req`, of any family.
fn of_tcp(states: States) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, WITH_INFO];
    bytes.extend_from_slice(&ANY_SOCKET);
    bytes.extend_from_slice(&states.0.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

/// `struct inet_diag_req_v2`.
fn of_family(family: libc::c_int, wanted: Wanted) -> Option<Vec<u8>> {
    let number = match wanted.protocol {
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::Mptcp => libc::IPPROTO_MPTCP,
        Protocol::Sctp => libc::IPPROTO_SCTP,
        Protocol::Raw | Protocol::Icmp | Protocol::Icmpv6 => libc::IPPROTO_RAW,
        Protocol::Tcp | Protocol::Packet => return None,
    };
    // A number that does not fit goes into an attribute, beside the one of plain IP.
    let small = u8::try_from(number).unwrap_or(0);
    let mut bytes = vec![u8::try_from(family).ok()?, small, 0, 0];
    bytes.extend_from_slice(&wanted.states.0.to_ne_bytes());
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

    fn established(protocol: Protocol) -> Wanted {
        Wanted { protocol, states: States::of(&[State::Established]) }
    }

    #[test]
    fn tcp_is_asked_for_once_and_the_others_by_family() {
        let kinds = |protocol| requests(established(protocol)).into_iter().map(|request| request.kind);
        assert!(kinds(Protocol::Tcp).eq([TCPDIAG_GETSOCK]));
        assert!(kinds(Protocol::Udp).eq([SOCK_DIAG_BY_FAMILY; 2]));
        assert_eq!(kinds(Protocol::Packet).count(), 0);
    }

    #[test]
    fn a_request_for_tcp_has_the_kernels_older_layout() {
        let bytes = &requests(established(Protocol::Tcp))[0].body;
        assert_eq!(bytes.len(), 60);
        assert_eq!(bytes[..4], [0, 0, 0, 2]);
        assert!(bytes[4..52].iter().all(|byte| *byte == 0));
        assert_eq!(bytes[52..], [2, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_request_of_a_family_has_the_kernels_layout() {
        let bytes = &requests(established(Protocol::Udp))[1].body;
        assert_eq!(bytes.len(), 56);
        assert_eq!(bytes[..8], [10, 17, 0, 0, 2, 0, 0, 0]);
        assert!(bytes[8..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn mptcp_has_a_number_that_needs_an_attribute() {
        let bytes = &requests(established(Protocol::Mptcp))[0].body;
        assert_eq!(bytes[1], 0);
        assert_eq!(bytes[56..], [8, 0, 3, 0, 6, 1, 0, 0]);
    }
}
