//! Decodes one `inet_diag_msg` with its attributes. Pure: bytes in, a socket out.
//!
//! The layout is the kernel's `include/uapi/linux/inet_diag.h`; `tcp_info` is in `tcp.h` and has grown over the
//! years, so each of its fields may be missing, and what follows the last known one is ignored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lifetime::{TcpCounters, lifetime};
use crate::netlink::{Attributes, Malformed, read_u16, read_u32, read_u64};
use net_traffic_snapshot::{Endpoint, Protocol, Socket, SocketId, State, TcpInfo};

/// The length of `struct inet_diag_msg`; attributes follow.
const MESSAGE: usize = 72;
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_PEERS: u16 = 13;
const INET_DIAG_ULP_INFO: u16 = 19;

/// The socket that one answer describes; `None` if it is of a kind that a snapshot does not have.
///
/// `asked` is the protocol of the request, which the answer does not repeat.
pub(super) fn socket(
    payload: &[u8],
    asked: Protocol,
    netns: Option<u32>,
) -> Result<Option<Socket>, Malformed> {
    let (header, attributes) = payload.split_at_checked(MESSAGE).ok_or(TOO_SHORT)?;
    let mut info = None;
    let mut association = false;
    for attribute in Attributes(attributes) {
        match attribute? {
            (INET_DIAG_INFO, value) => info = Some(value),
            (INET_DIAG_PEERS, _) => association = true,
            _ => {}
        }
    }
    let Some(state) = state(header[1], association) else { return Ok(None) };
    let Some(ends) = ends(header)? else { return Ok(None) };
    let owned = word(header, 68)?;
    let rx_queue = word(header, 56)?;
    let tx_queue = word(header, 60)?;
    let info = info.filter(|_| asked == Protocol::Tcp && state != State::Listen);
    Ok(Some(Socket {
        id: SocketId(u64::from(word(header, 44)?) | u64::from(word(header, 48)?) << 32),
        protocol: protocol(asked, header[0], ends.local.port),
        local: ends.local,
        remote: ends.remote,
        state,
        netns,
        ifindex: Some(word(header, 40)?).filter(|index| *index != 0),
        owner: None,
        // Without an inode no process has it, and the kernel says 0 for want of a user.
        uid: Some(word(header, 64)?).filter(|_| owned != 0),
        inode: Some(u64::from(owned)).filter(|inode| *inode != 0),
        lifetime: info.and_then(|info| counters(info, state, rx_queue, tx_queue)).as_ref().map(lifetime),
        counted: None,
        tcp: info.map(tcp_info),
        rx_queue: Some(rx_queue),
        tx_queue: Some(tx_queue),
        opened_ns: None,
        closed: false,
    }))
}

/// Whether something lies above this TCP socket, as MPTCP does.
pub(super) fn is_below_another(payload: &[u8]) -> bool {
    let attributes = Attributes(payload.get(MESSAGE..).unwrap_or_default());
    attributes.filter_map(Result::ok).any(|(kind, _)| kind == INET_DIAG_ULP_INFO)
}

struct Ends {
    local: Endpoint,
    remote: Option<Endpoint>,
}

fn ends(header: &[u8]) -> Result<Option<Ends>, Malformed> {
    let end = |port: usize, address: usize| -> Result<Option<Endpoint>, Malformed> {
        let port = read_u16(header, port).map(u16::from_be).ok_or(TOO_SHORT)?;
        let address = header.get(address..).and_then(<[u8]>::first_chunk).ok_or(TOO_SHORT)?;
        Ok(address_of(header[0], address).map(|address| Endpoint { address, port }))
    };
    let (Some(local), Some(remote)) = (end(4, 8)?, end(6, 24)?) else { return Ok(None) };
    let connected = remote.port != 0 || !remote.address.is_unspecified();
    Ok(Some(Ends { local, remote: Some(remote).filter(|_| connected) }))
}

/// An IPv4-mapped address is an IPv4 address: that is what is on the wire.
fn address_of(family: u8, bytes: &[u8; 16]) -> Option<IpAddr> {
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical(),
        _ => return None,
    };
    Some(address)
}

/// A raw socket's local port is the number of the protocol it receives.
fn protocol(asked: Protocol, family: u8, local_port: u16) -> Protocol {
    match (asked, i32::from(family), i32::from(local_port)) {
        (Protocol::Raw, libc::AF_INET, libc::IPPROTO_ICMP) => Protocol::Icmp,
        (Protocol::Raw, libc::AF_INET6, libc::IPPROTO_ICMPV6) => Protocol::Icmpv6,
        _ => asked,
    }
}

/// The states of `tcp_states.h`; those of an SCTP association are numbered otherwise.
fn state(number: u8, association: bool) -> Option<State> {
    if association {
        return association_state(number);
    }
    let state = match number {
        1 => State::Established,
        2 => State::SynSent,
        // 12 is a request that was not accepted yet: SYN_RECV with less memory.
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        // 13 is a bound socket that is neither connected nor listening.
        7 | 13 => State::Closed,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => return None,
    };
    Some(state)
}

/// `enum sctp_state`, by the nearest state of TCP.
fn association_state(number: u8) -> Option<State> {
    let state = match number {
        0 => State::Closed,
        1 | 2 => State::SynSent,
        3 => State::Established,
        4 | 5 => State::FinWait1,
        6 => State::CloseWait,
        7 => State::LastAck,
        _ => return None,
    };
    Some(state)
}

fn counters(info: &[u8], state: State, rx_queue: u32, tx_queue: u32) -> Option<TcpCounters> {
    Some(TcpCounters {
        state,
        bytes_acked: read_u64(info, 120)?,
        bytes_received: read_u64(info, 128)?,
        bytes_sent: read_u64(info, 200),
        bytes_retrans: read_u64(info, 208),
        notsent_bytes: read_u32(info, 144).unwrap_or(0),
        rx_queue,
        tx_queue,
    })
}

fn tcp_info(info: &[u8]) -> TcpInfo {
    // The kernel has no measurement yet while the round-trip time is 0.
    let measured = |at| read_u32(info, 68).filter(|rtt| *rtt != 0).and_then(|_| read_u32(info, at));
    TcpInfo {
        rtt_us: measured(68),
        rtt_var_us: measured(72),
        retransmits: read_u32(info, 100),
        retransmitted_bytes: read_u64(info, 208),
        cwnd: read_u32(info, 80),
        mss: read_u32(info, 16),
        // Without a sample the kernel says the greatest number there is.
        min_rtt_us: read_u32(info, 148).filter(|rtt| *rtt != u32::MAX),
        busy_us: read_u64(info, 168),
        rwnd_limited_us: read_u64(info, 176),
        sndbuf_limited_us: read_u64(info, 184),
        snd_wnd: read_u32(info, 228),
        snd_wscale: info.get(6).map(|scales| scales & 0xf),
    }
}

const TOO_SHORT: Malformed = Malformed("no room for a socket");

fn word(header: &[u8], at: usize) -> Result<u32, Malformed> {
    read_u32(header, at).ok_or(TOO_SHORT)
}

#[cfg(test)]
mod tests;
