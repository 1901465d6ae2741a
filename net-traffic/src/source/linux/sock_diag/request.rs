//! What the kernel is asked when it is to list sockets. Pure.

use super::Wanted;
use crate::snapshot::Protocol;
use crate::source::linux::netlink::encode_attribute;

pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_REQ_PROTOCOL: u16 = 3;
/// Asks for the attribute `INET_DIAG_INFO`.
const WITH_INFO: u8 = 1 << (2 - 1);
/// `struct inet_diag_sockid`, all zero: any.
const ANY_SOCKET: [u8; 48] = [0; 48];

/// `struct inet_diag_req_v2`; `None` for a protocol that has no such dump.
pub(super) fn request(family: libc::c_int, wanted: Wanted) -> Option<Vec<u8>> {
    let number = match wanted.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::Mptcp => libc::IPPROTO_MPTCP,
        Protocol::Sctp => libc::IPPROTO_SCTP,
        Protocol::Raw | Protocol::Icmp | Protocol::Icmpv6 => libc::IPPROTO_RAW,
        Protocol::Packet => return None,
    };
    // A number that does not fit goes into an attribute, beside the one of plain IP.
    let small = u8::try_from(number).unwrap_or(0);
    let info = if wanted.protocol == Protocol::Tcp { WITH_INFO } else { 0 };
    let mut bytes = vec![u8::try_from(family).ok()?, small, info, 0];
    bytes.extend_from_slice(&wanted.states.0.to_ne_bytes());
    bytes.extend_from_slice(&ANY_SOCKET);
    if i32::from(small) != number {
        bytes.extend(encode_attribute(INET_DIAG_REQ_PROTOCOL, &number.to_ne_bytes()));
    }
    Some(bytes)
}
