//! Decodes one `inet_diag_msg` with its attributes. Pure: bytes in, a socket out.
//!
//! Newer kernels have appended fields to `tcp_info`
//! (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/tcp.h#L222>). A field beyond the end of the
//! attribute is `None`, and bytes behind the last known field are ignored.

use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lifetime::{TcpCounters, lifetime};
use crate::netlink::{Attributes, Malformed, read_u16, read_u32, read_u64};
use linux_raw_sys::net::tcp_info as RawTcpInfo;
use net_traffic_snapshot::{Endpoint, Protocol, Socket, SocketId, State, TcpInfo};

/// `struct inet_diag_msg` (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/inet_diag.h#L117>);
/// attributes follow.
#[repr(C)]
struct DiagMessage {
    family: u8,
    state: u8,
    timer: u8,
    retrans: u8,
    source_port: u16,
    destination_port: u16,
    source: [u32; 4],
    destination: [u32; 4],
    ifindex: u32,
    cookie: [u32; 2],
    expires: u32,
    rx_queue: u32,
    tx_queue: u32,
    uid: u32,
    inode: u32,
}

const MESSAGE: usize = size_of::<DiagMessage>();
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_PEERS: u16 = 13;
const INET_DIAG_ULP_INFO: u16 = 19;

/// Decodes one answer; `None` for a family or a state that a snapshot does not have.
///
/// `queried` is the protocol of the request: the answer does not contain it.
pub(super) fn socket(
    payload: &[u8],
    queried: Protocol,
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
    let Some(state) = state(header[offset_of!(DiagMessage, state)], association) else { return Ok(None) };
    let Some(endpoints) = endpoints(header)? else { return Ok(None) };
    let field = |at| read_u32(header, at).ok_or(TOO_SHORT);
    let cookie = offset_of!(DiagMessage, cookie);
    let inode = field(offset_of!(DiagMessage, inode))?;
    let rx_queue = field(offset_of!(DiagMessage, rx_queue))?;
    let tx_queue = field(offset_of!(DiagMessage, tx_queue))?;
    let info = info.filter(|_| queried == Protocol::Tcp && state != State::Listen);
    Ok(Some(Socket {
        id: SocketId(u64::from(field(cookie)?) | u64::from(field(cookie + 4)?) << 32),
        protocol: protocol(queried, header[0], endpoints.local.port),
        local: endpoints.local,
        remote: endpoints.remote,
        state,
        netns,
        ifindex: Some(field(offset_of!(DiagMessage, ifindex))?).filter(|index| *index != 0),
        owner: None,
        // A socket without an inode has no user either, and the kernel reports uid 0
        // (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/inet_diag.c#L451>).
        uid: Some(field(offset_of!(DiagMessage, uid))?).filter(|_| inode != 0),
        inode: Some(u64::from(inode)).filter(|inode| *inode != 0),
        lifetime: info.and_then(|info| counters(info, state, rx_queue, tx_queue)).as_ref().map(lifetime),
        counted: None,
        tcp: info.map(tcp_info),
        rx_queue: Some(rx_queue),
        tx_queue: Some(tx_queue),
        opened_ns: None,
        closed: false,
    }))
}

/// Whether the TCP socket has an upper-layer protocol, as MPTCP subflows do
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp_diag.c#L91>).
pub(super) fn has_ulp(payload: &[u8]) -> bool {
    let attributes = Attributes(payload.get(MESSAGE..).unwrap_or_default());
    attributes.filter_map(Result::ok).any(|(kind, _)| kind == INET_DIAG_ULP_INFO)
}

struct Endpoints {
    local: Endpoint,
    remote: Option<Endpoint>,
}

fn endpoints(header: &[u8]) -> Result<Option<Endpoints>, Malformed> {
    let endpoint = |port: usize, address: usize| -> Result<Option<Endpoint>, Malformed> {
        let port = read_u16(header, port).map(u16::from_be).ok_or(TOO_SHORT)?;
        let address = header.get(address..).and_then(<[u8]>::first_chunk).ok_or(TOO_SHORT)?;
        Ok(address_of(header[0], address).map(|address| Endpoint { address, port }))
    };
    let local = endpoint(offset_of!(DiagMessage, source_port), offset_of!(DiagMessage, source))?;
    let remote = endpoint(offset_of!(DiagMessage, destination_port), offset_of!(DiagMessage, destination))?;
    let (Some(local), Some(remote)) = (local, remote) else { return Ok(None) };
    let connected = remote.port != 0 || !remote.address.is_unspecified();
    Ok(Some(Endpoints { local, remote: Some(remote).filter(|_| connected) }))
}

/// An IPv4-mapped address becomes an IPv4 address: its packets are IPv4.
fn address_of(family: u8, bytes: &[u8; 16]) -> Option<IpAddr> {
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical(),
        _ => return None,
    };
    Some(address)
}

/// The local port of a raw socket is its protocol number
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/af_inet.c#L343>).
fn protocol(queried: Protocol, family: u8, local_port: u16) -> Protocol {
    match (queried, i32::from(family), i32::from(local_port)) {
        (Protocol::Raw, libc::AF_INET, libc::IPPROTO_ICMP) => Protocol::Icmp,
        (Protocol::Raw, libc::AF_INET6, libc::IPPROTO_ICMPV6) => Protocol::Icmpv6,
        _ => queried,
    }
}

/// A state of `tcp_states.h`; SCTP associations have numbers of their own.
fn state(number: u8, association: bool) -> Option<State> {
    if association {
        return association_state(number);
    }
    let state = match number {
        1 => State::Established,
        2 => State::SynSent,
        // 12 is TCP_NEW_SYN_RECV: a request socket, whose handshake is not complete.
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        // 13 is TCP_BOUND_INACTIVE.
        7 | 13 => State::Closed,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => return None,
    };
    Some(state)
}

/// Maps `enum sctp_state` to the nearest TCP state.
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
        bytes_acked: read_u64(info, offset_of!(RawTcpInfo, tcpi_bytes_acked))?,
        bytes_received: read_u64(info, offset_of!(RawTcpInfo, tcpi_bytes_received))?,
        bytes_sent: read_u64(info, offset_of!(RawTcpInfo, tcpi_bytes_sent)),
        bytes_retrans: read_u64(info, offset_of!(RawTcpInfo, tcpi_bytes_retrans)),
        notsent_bytes: read_u32(info, offset_of!(RawTcpInfo, tcpi_notsent_bytes)).unwrap_or(0),
        rx_queue,
        tx_queue,
    })
}

fn tcp_info(info: &[u8]) -> TcpInfo {
    // A round-trip time of 0 means that there is no measurement.
    let rtt_us = read_u32(info, offset_of!(RawTcpInfo, tcpi_rtt)).filter(|rtt| *rtt != 0);
    TcpInfo {
        rtt_us,
        rtt_var_us: rtt_us.and_then(|_| read_u32(info, offset_of!(RawTcpInfo, tcpi_rttvar))),
        retransmits: read_u32(info, offset_of!(RawTcpInfo, tcpi_total_retrans)),
        retransmitted_bytes: read_u64(info, offset_of!(RawTcpInfo, tcpi_bytes_retrans)),
        cwnd: read_u32(info, offset_of!(RawTcpInfo, tcpi_snd_cwnd)),
        mss: read_u32(info, offset_of!(RawTcpInfo, tcpi_snd_mss)),
        // Without a sample the kernel reports ~0U (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L437>).
        min_rtt_us: read_u32(info, offset_of!(RawTcpInfo, tcpi_min_rtt)).filter(|rtt| *rtt != u32::MAX),
        busy_us: read_u64(info, offset_of!(RawTcpInfo, tcpi_busy_time)),
        rwnd_limited_us: read_u64(info, offset_of!(RawTcpInfo, tcpi_rwnd_limited)),
        sndbuf_limited_us: read_u64(info, offset_of!(RawTcpInfo, tcpi_sndbuf_limited)),
        snd_wnd: read_u32(info, offset_of!(RawTcpInfo, tcpi_snd_wnd)),
        // The lower four bits: the field is a pair of bit-fields, of which C allows no offset.
        snd_wscale: info.get(6).map(|scales| scales & 0xf),
    }
}

const TOO_SHORT: Malformed = Malformed("no room for a socket");

#[cfg(test)]
mod tests;
