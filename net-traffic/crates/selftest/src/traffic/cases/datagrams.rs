//! UDP: with and without a peer, batches, datagrams that are cut off or come back.

use std::net::SocketAddr;

use nix::sys::socket::{MsgFlags, sockopt};

use super::super::actor::Actor;
use super::super::case::Case;
use super::super::error::{Attempt, Feature, TrafficError};
use super::super::link::{Link, PAYLOAD};
use super::super::sockets::Family::{self, Mapped, V4, V6};
use super::super::sockets::Transport::Udp;
use super::super::sockets::{open, own_address};

/// Few enough to fit into the receiver's buffer all at once: nothing is dropped.
const DATAGRAMS: usize = 64;
const SIZE: usize = 1000;
const EXCHANGES: u64 = 1000;
const TOTAL: u64 = (DATAGRAMS * SIZE) as u64;
/// In one `UDP_SEGMENT` batch.
const SEGMENTS: usize = 16;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "udp_connected",
        about: "64 datagrams from a connected socket",
        client: |actor| send_connected(actor, V4),
        server: |actor| receive_datagrams(actor, V4),
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_unconnected",
        about: "64 datagrams by sendto",
        client: |actor| send_unconnected(actor, V4),
        server: |actor| receive_datagrams(actor, V4),
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_ipv6",
        about: "64 datagrams over IPv6 from a connected socket",
        client: |actor| send_connected(actor, V6),
        server: |actor| receive_datagrams(actor, V6),
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_ipv6_unconnected",
        about: "64 datagrams over IPv6 by sendto",
        client: |actor| send_unconnected(actor, V6),
        server: |actor| receive_datagrams(actor, V6),
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_mapped",
        about: "IPv4 datagrams between two IPv6 sockets",
        client: |actor| send_unconnected(actor, Mapped),
        server: |actor| receive_datagrams(actor, Mapped),
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_echo",
        about: "a datagram there and a smaller one back, 32 times",
        client: |actor| ask(actor, 32, 900),
        server: |actor| answer(actor, 32, 100),
        older: false,
        sent: 32 * 1000,
        received: 32 * 1000,
    },
    Case {
        name: "udp_exchange",
        about: "a thousand small datagrams there and back, one after the other",
        client: |actor| ask(actor, EXCHANGES, 64),
        server: |actor| answer(actor, EXCHANGES, 64),
        older: false,
        sent: 2 * EXCHANGES * 64,
        received: 2 * EXCHANGES * 64,
    },
    Case {
        name: "udp_many_messages",
        about: "sendmmsg and recvmmsg",
        client: |actor| {
            let link = connect_udp(actor, V4)?;
            for _ in 0..DATAGRAMS / 8 {
                link.send_many(&[&PAYLOAD[..SIZE]; 8])?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = bind_and_tell(actor, V4)?;
            let mut missing = DATAGRAMS * SIZE;
            while missing > 0 {
                missing -= link.recv_many(8, SIZE)?;
            }
            Ok(vec![link])
        },
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_segment",
        about: "one UDP_SEGMENT batch of 16 datagrams",
        client: send_segmented,
        server: |actor| {
            let link = bind_and_tell(actor, V4)?;
            link.recv_total(SEGMENTS * SIZE, SIZE)?;
            Ok(vec![link])
        },
        older: false,
        sent: (SEGMENTS * SIZE) as u64,
        received: (SEGMENTS * SIZE) as u64,
    },
    Case {
        name: "udp_gro",
        about: "one UDP_SEGMENT batch, received whole by UDP_GRO",
        client: send_segmented,
        server: |actor| {
            let link = actor.bind_udp(V4)?;
            nix::sys::socket::setsockopt(&link, sockopt::UdpGroSegment, &true).needs(Feature::UdpSegment)?;
            actor.tell(&own_address(&link)?)?;
            let mut buffer = vec![0; PAYLOAD.len()];
            let received = link.recv(&mut buffer, MsgFlags::empty())?;
            if received != SEGMENTS * SIZE {
                return Err(TrafficError::Broken(format!(
                    "the batch came in pieces, {received} bytes first"
                )));
            }
            Ok(vec![link])
        },
        older: false,
        sent: (SEGMENTS * SIZE) as u64,
        received: (SEGMENTS * SIZE) as u64,
    },
    Case {
        name: "udp_corked",
        about: "a datagram put together from two sends with MSG_MORE",
        client: |actor| {
            let link = connect_udp(actor, V4)?;
            for _ in 0..16 {
                link.send(&PAYLOAD[..600], MsgFlags::from_bits_retain(libc::MSG_MORE))?;
                link.send(&PAYLOAD[..400], MsgFlags::empty())?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = bind_and_tell(actor, V4)?;
            link.recv_total(16 * SIZE, SIZE)?;
            Ok(vec![link])
        },
        older: false,
        sent: 16 * SIZE as u64,
        received: 16 * SIZE as u64,
    },
    Case {
        name: "udp_peek",
        about: "each datagram peeked at four times",
        client: |actor| send_connected(actor, V4),
        server: |actor| {
            let link = bind_and_tell(actor, V4)?;
            for _ in 0..DATAGRAMS {
                for _ in 0..4 {
                    link.recv(&mut [0; SIZE], MsgFlags::MSG_PEEK)?;
                }
                link.recv(&mut [0; SIZE], MsgFlags::empty())?;
            }
            Ok(vec![link])
        },
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_truncated",
        about: "datagrams of 1000 bytes into a buffer of 100: what was cut off was not received",
        client: |actor| send_connected(actor, V4),
        server: |actor| {
            let link = bind_and_tell(actor, V4)?;
            for _ in 0..DATAGRAMS {
                link.recv(&mut [0; 100], MsgFlags::empty())?;
            }
            Ok(vec![link])
        },
        older: false,
        sent: TOTAL,
        received: (DATAGRAMS * 100) as u64,
    },
    Case {
        name: "udp_whole_length",
        about: "datagrams of 1000 bytes into a buffer of 100 with MSG_TRUNC: the call says 1000, and that counts",
        client: |actor| send_connected(actor, V4),
        server: |actor| receive_lengths(actor, V4),
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_whole_length_ipv6",
        about: "the same over IPv6",
        client: |actor| send_connected(actor, V6),
        server: |actor| receive_lengths(actor, V6),
        older: false,
        sent: TOTAL,
        received: TOTAL,
    },
    Case {
        name: "udp_unread",
        about: "datagrams that nobody reads",
        client: |actor| send_connected(actor, V4),
        server: |actor| Ok(vec![bind_and_tell(actor, V4)?]),
        older: false,
        sent: TOTAL,
        received: 0,
    },
    Case {
        name: "udp_error_queue",
        about: "a refused datagram that comes back through the error queue is not received",
        client: |actor| {
            let link = connect_udp(actor, V4)?;
            link.set(sockopt::Ipv4RecvErr, &true)?;
            link.send(&PAYLOAD[..300], MsgFlags::empty())?;
            let back = link.recv_error()?;
            if back == 0 {
                return Err(TrafficError::Broken("the refused datagram did not come back".to_owned()));
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.bind_udp(V4)?;
            let address = own_address(&link)?;
            drop(link);
            actor.tell(&address)?;
            Ok(vec![])
        },
        older: false,
        sent: 300,
        received: 0,
    },
];

fn ask(actor: &mut Actor, times: u64, size: usize) -> Result<Vec<Link>, TrafficError> {
    let link = connect_udp(actor, V4)?;
    actor.tell(&own_address(&link)?)?;
    for _ in 0..times {
        link.send(&PAYLOAD[..size], MsgFlags::empty())?;
        link.recv(&mut [0; 2000], MsgFlags::empty())?;
    }
    Ok(vec![link])
}

fn answer(actor: &mut Actor, times: u64, size: usize) -> Result<Vec<Link>, TrafficError> {
    let link = bind_and_tell(actor, V4)?;
    let client: SocketAddr = actor.hear()?;
    for _ in 0..times {
        link.recv(&mut [0; 2000], MsgFlags::empty())?;
        link.send_to(client, &PAYLOAD[..size], MsgFlags::empty())?;
    }
    Ok(vec![link])
}

pub(super) fn connect_udp(actor: &mut Actor, family: Family) -> Result<Link, TrafficError> {
    let server = actor.hear()?;
    actor.connect(open(Udp, family)?, server)
}

pub(super) fn bind_and_tell(actor: &mut Actor, family: Family) -> Result<Link, TrafficError> {
    let link = actor.bind_udp(family)?;
    actor.tell(&own_address(&link)?)?;
    Ok(link)
}

fn send_connected(actor: &mut Actor, family: Family) -> Result<Vec<Link>, TrafficError> {
    let link = connect_udp(actor, family)?;
    for _ in 0..DATAGRAMS {
        link.send(&PAYLOAD[..SIZE], MsgFlags::empty())?;
    }
    Ok(vec![link])
}

fn send_unconnected(actor: &mut Actor, family: Family) -> Result<Vec<Link>, TrafficError> {
    let link = actor.bind_udp(family)?;
    let server = actor.hear()?;
    for _ in 0..DATAGRAMS {
        link.send_to(server, &PAYLOAD[..SIZE], MsgFlags::empty())?;
    }
    Ok(vec![link])
}

fn receive_datagrams(actor: &mut Actor, family: Family) -> Result<Vec<Link>, TrafficError> {
    let link = bind_and_tell(actor, family)?;
    link.recv_total(DATAGRAMS * SIZE, SIZE)?;
    Ok(vec![link])
}

/// As programs do that look for the size first: peeks at nothing with `MSG_TRUNC`, then takes the datagram so.
fn receive_lengths(actor: &mut Actor, family: Family) -> Result<Vec<Link>, TrafficError> {
    let link = bind_and_tell(actor, family)?;
    for _ in 0..DATAGRAMS {
        for flags in [MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC, MsgFlags::MSG_TRUNC] {
            let length = link.recv(&mut [0; 100], flags)?;
            if length != SIZE {
                return Err(TrafficError::Broken(format!("a datagram has {length} bytes")));
            }
        }
    }
    Ok(vec![link])
}

fn send_segmented(actor: &mut Actor) -> Result<Vec<Link>, TrafficError> {
    let link = connect_udp(actor, V4)?;
    nix::sys::socket::getsockopt(&link, sockopt::UdpGsoSegment).needs(Feature::UdpSegment)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is 1000")]
    link.send_segmented(&PAYLOAD[..SEGMENTS * SIZE], SIZE as u16)?;
    Ok(vec![link])
}
