//! UDP: connected and unconnected sockets, batches, truncated and returned datagrams.

use std::net::SocketAddr;

use nix::sys::socket::{MsgFlags, sockopt};

use super::super::case::Case;
use super::super::error::{Attempt, Feature, TrafficError};
use super::super::metered_socket::{MeteredSocket, PAYLOAD};
use super::super::sockets::Family::{self, Mapped, V4, V6};
use super::super::sockets::Transport::Udp;
use super::super::sockets::{open, own_address};
use super::super::worker::Worker;

/// All of them fit into the receiver's buffer at once, so none is dropped.
const DATAGRAMS: usize = 64;
const SIZE: usize = 1000;
const EXCHANGES: usize = 1000;
const TOTAL: usize = DATAGRAMS * SIZE;
/// Datagrams in one `UDP_SEGMENT` batch.
const SEGMENTS: usize = 16;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "udp_connected",
        "64 datagrams from a connected socket",
        |worker| send_connected(worker, V4),
        |worker| receive_datagrams(worker, V4),
    )
    .moves(TOTAL),
    Case::new(
        "udp_unconnected",
        "64 datagrams by sendto",
        |worker| send_unconnected(worker, V4),
        |worker| receive_datagrams(worker, V4),
    )
    .moves(TOTAL),
    Case::new(
        "udp_ipv6",
        "64 datagrams over IPv6 from a connected socket",
        |worker| send_connected(worker, V6),
        |worker| receive_datagrams(worker, V6),
    )
    .moves(TOTAL),
    Case::new(
        "udp_ipv6_unconnected",
        "64 datagrams over IPv6 by sendto",
        |worker| send_unconnected(worker, V6),
        |worker| receive_datagrams(worker, V6),
    )
    .moves(TOTAL),
    Case::new(
        "udp_mapped",
        "IPv4 datagrams between two IPv6 sockets",
        |worker| send_unconnected(worker, Mapped),
        |worker| receive_datagrams(worker, Mapped),
    )
    .moves(TOTAL),
    Case::new(
        "udp_echo",
        "a datagram and a smaller reply, 32 times",
        |worker| ask(worker, 32, 900),
        |worker| answer(worker, 32, 100),
    )
    .moves(32 * 1000),
    Case::new(
        "udp_exchange",
        "a thousand small datagrams and their replies, one after the other",
        |worker| ask(worker, EXCHANGES, 64),
        |worker| answer(worker, EXCHANGES, 64),
    )
    .moves(2 * EXCHANGES * 64),
    Case::new(
        "udp_many_messages",
        "sendmmsg and recvmmsg",
        |worker| {
            let sock = connect_udp(worker, V4)?;
            for _ in 0..DATAGRAMS / 8 {
                sock.send_many(&[&PAYLOAD[..SIZE]; 8])?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = bind_and_send_address(worker, V4)?;
            let mut missing = DATAGRAMS * SIZE;
            while missing > 0 {
                missing -= sock.recv_many(8, SIZE)?;
            }
            Ok(vec![sock])
        },
    )
    .moves(TOTAL),
    Case::new("udp_segment", "one UDP_SEGMENT batch of 16 datagrams", send_segmented, |worker| {
        let sock = bind_and_send_address(worker, V4)?;
        sock.recv_total(SEGMENTS * SIZE, SIZE)?;
        Ok(vec![sock])
    })
    .moves(SEGMENTS * SIZE),
    Case::new("udp_gro", "one UDP_SEGMENT batch, received whole by UDP_GRO", send_segmented, |worker| {
        let sock = worker.bind_udp(V4)?;
        nix::sys::socket::setsockopt(&sock, sockopt::UdpGroSegment, &true).needs(Feature::UdpSegment)?;
        worker.send(&own_address(&sock)?)?;
        let mut buffer = vec![0; PAYLOAD.len()];
        let received = sock.recv(&mut buffer, MsgFlags::empty())?;
        if received != SEGMENTS * SIZE {
            return Err(TrafficError::Unexpected(format!(
                "the batch arrived in pieces, {received} bytes first"
            )));
        }
        Ok(vec![sock])
    })
    .moves(SEGMENTS * SIZE),
    Case::new(
        "udp_corked",
        "a datagram put together from two sends with MSG_MORE",
        |worker| {
            let sock = connect_udp(worker, V4)?;
            for _ in 0..16 {
                sock.send(&PAYLOAD[..600], MsgFlags::from_bits_retain(libc::MSG_MORE))?;
                sock.send(&PAYLOAD[..400], MsgFlags::empty())?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = bind_and_send_address(worker, V4)?;
            sock.recv_total(16 * SIZE, SIZE)?;
            Ok(vec![sock])
        },
    )
    .moves(16 * SIZE),
    Case::new(
        "udp_peek",
        "each datagram peeked at four times",
        |worker| send_connected(worker, V4),
        |worker| {
            let sock = bind_and_send_address(worker, V4)?;
            for _ in 0..DATAGRAMS {
                for _ in 0..4 {
                    sock.recv(&mut [0; SIZE], MsgFlags::MSG_PEEK)?;
                }
                sock.recv(&mut [0; SIZE], MsgFlags::empty())?;
            }
            Ok(vec![sock])
        },
    )
    .moves(TOTAL),
    Case::new(
        "udp_truncated",
        "datagrams of 1000 bytes into a buffer of 100: the truncated bytes do not count",
        |worker| send_connected(worker, V4),
        |worker| {
            let sock = bind_and_send_address(worker, V4)?;
            for _ in 0..DATAGRAMS {
                sock.recv(&mut [0; 100], MsgFlags::empty())?;
            }
            Ok(vec![sock])
        },
    )
    .sends(TOTAL)
    .receives(DATAGRAMS * 100),
    Case::new(
        "udp_whole_length",
        "datagrams of 1000 bytes into a buffer of 100 with MSG_TRUNC: the call returns 1000, and 1000 counts",
        |worker| send_connected(worker, V4),
        |worker| receive_lengths(worker, V4),
    )
    .moves(TOTAL),
    Case::new(
        "udp_whole_length_ipv6",
        "the same over IPv6",
        |worker| send_connected(worker, V6),
        |worker| receive_lengths(worker, V6),
    )
    .moves(TOTAL),
    Case::new(
        "udp_unread",
        "datagrams that no process reads",
        |worker| send_connected(worker, V4),
        |worker| Ok(vec![bind_and_send_address(worker, V4)?]),
    )
    .sends(TOTAL)
    .receives(0),
    Case::new(
        "udp_error_queue",
        "a refused datagram that returns through the error queue is not received",
        |worker| {
            let sock = connect_udp(worker, V4)?;
            sock.set(sockopt::Ipv4RecvErr, &true)?;
            sock.send(&PAYLOAD[..300], MsgFlags::empty())?;
            let back = sock.recv_error()?;
            if back == 0 {
                return Err(TrafficError::Unexpected("the refused datagram did not return".to_owned()));
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.bind_udp(V4)?;
            let address = own_address(&sock)?;
            drop(sock);
            worker.send(&address)?;
            Ok(vec![])
        },
    )
    .sends(300)
    .receives(0),
];

fn ask(worker: &mut Worker, times: usize, size: usize) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = connect_udp(worker, V4)?;
    worker.send(&own_address(&sock)?)?;
    for _ in 0..times {
        sock.send(&PAYLOAD[..size], MsgFlags::empty())?;
        sock.recv(&mut [0; 2000], MsgFlags::empty())?;
    }
    Ok(vec![sock])
}

fn answer(worker: &mut Worker, times: usize, size: usize) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = bind_and_send_address(worker, V4)?;
    let client: SocketAddr = worker.receive()?;
    for _ in 0..times {
        sock.recv(&mut [0; 2000], MsgFlags::empty())?;
        sock.send_to(client, &PAYLOAD[..size], MsgFlags::empty())?;
    }
    Ok(vec![sock])
}

pub(super) fn connect_udp(worker: &mut Worker, family: Family) -> Result<MeteredSocket, TrafficError> {
    let server = worker.receive()?;
    worker.connect(open(Udp, family)?, server)
}

pub(super) fn bind_and_send_address(
    worker: &mut Worker,
    family: Family,
) -> Result<MeteredSocket, TrafficError> {
    let sock = worker.bind_udp(family)?;
    worker.send(&own_address(&sock)?)?;
    Ok(sock)
}

fn send_connected(worker: &mut Worker, family: Family) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = connect_udp(worker, family)?;
    for _ in 0..DATAGRAMS {
        sock.send(&PAYLOAD[..SIZE], MsgFlags::empty())?;
    }
    Ok(vec![sock])
}

fn send_unconnected(worker: &mut Worker, family: Family) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = worker.bind_udp(family)?;
    let server = worker.receive()?;
    for _ in 0..DATAGRAMS {
        sock.send_to(server, &PAYLOAD[..SIZE], MsgFlags::empty())?;
    }
    Ok(vec![sock])
}

fn receive_datagrams(worker: &mut Worker, family: Family) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = bind_and_send_address(worker, family)?;
    sock.recv_total(DATAGRAMS * SIZE, SIZE)?;
    Ok(vec![sock])
}

/// Reads the size of each datagram first, by a peek with `MSG_TRUNC`, then receives the datagram with `MSG_TRUNC`.
fn receive_lengths(worker: &mut Worker, family: Family) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = bind_and_send_address(worker, family)?;
    for _ in 0..DATAGRAMS {
        for flags in [MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC, MsgFlags::MSG_TRUNC] {
            let length = sock.recv(&mut [0; 100], flags)?;
            if length != SIZE {
                return Err(TrafficError::Unexpected(format!("a datagram has {length} bytes")));
            }
        }
    }
    Ok(vec![sock])
}

fn send_segmented(worker: &mut Worker) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = connect_udp(worker, V4)?;
    nix::sys::socket::getsockopt(&sock, sockopt::UdpGsoSegment).needs(Feature::UdpSegment)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is 1000")]
    sock.send_segmented(&PAYLOAD[..SEGMENTS * SIZE], SIZE as u16)?;
    Ok(vec![sock])
}
