//! TCP and UDP sockets that differ in who uses them: shared, passed on, or by a process that is soon gone.

use std::net::SocketAddr;

use nix::sys::socket::MsgFlags;

use super::super::actor::Life::{Brief, Whole};
use super::super::actor::{Actor, pause};
use super::super::case::Case;
use super::super::error::TrafficError;
use super::super::link::{Link, PAYLOAD};
use super::super::sockets::Family::V4;
use super::super::sockets::Transport::{Tcp, Udp};
use super::super::sockets::{open, own_address};

const CONNECTIONS: usize = 2000;
const BRIEF_PROCESSES: usize = 8;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcp_shared_writers",
        about: "parent and child write to one socket at the same time",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            actor.fork(Whole, |child| {
                let shared = child.share(&link)?;
                send_pieces(&shared, 150, 700)?;
                Ok(vec![shared])
            })?;
            send_pieces(&link, 100, 1000)?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(205_000, 4096)?;
            Ok(vec![link])
        },
        older: false,
        sent: 205_000,
        received: 205_000,
    },
    Case {
        name: "tcp_shared_readers",
        about: "parent and child read from one socket at the same time",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            actor.wait()?;
            send_pieces(&link, 200, 1000)?;
            link.end_sending()?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            actor.fork(Whole, |child| {
                let shared = child.share(&link)?;
                child.signal()?;
                receive_pieces(&shared)?;
                Ok(vec![shared])
            })?;
            receive_pieces(&link)?;
            Ok(vec![link])
        },
        older: false,
        sent: 200_000,
        received: 200_000,
    },
    Case {
        name: "udp_shared_writers",
        about: "parent and child send datagrams from one socket at the same time",
        client: |actor| {
            let server = actor.hear()?;
            let link = actor.connect(open(Udp, V4)?, server)?;
            actor.fork(Whole, |child| {
                let shared = child.share(&link)?;
                send_pieces(&shared, 20, 700)?;
                Ok(vec![shared])
            })?;
            send_pieces(&link, 30, 1000)?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.bind_udp(V4)?;
            actor.tell(&own_address(&link)?)?;
            link.recv_total(44_000, 1000)?;
            Ok(vec![link])
        },
        older: false,
        sent: 44_000,
        received: 44_000,
    },
    Case {
        name: "tcp_passed",
        about: "a socket passed by SCM_RIGHTS to a process that uses it on",
        client: |actor| {
            actor.fork(Whole, |child| {
                let link = child.take_from_parent()?;
                send_pieces(&link, 20, 1000)?;
                link.recv_total(300, 300)?;
                Ok(vec![link])
            })?;
            let link = actor.connect_one(Tcp, V4)?;
            send_pieces(&link, 10, 1000)?;
            actor.pass_to_child(&link)?;
            drop(link);
            Ok(vec![])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(30_000, 4096)?;
            link.send_all(&PAYLOAD[..300])?;
            Ok(vec![link])
        },
        older: false,
        sent: 30_300,
        received: 30_300,
    },
    Case {
        name: "tcp_forking_server",
        about: "the server forks, and its child accepts and serves",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            send_pieces(&link, 10, 1000)?;
            link.recv_total(5000, 4096)?;
            Ok(vec![link])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            actor.fork(Whole, |child| {
                let link = child.accept(&listener)?;
                link.recv_total(10_000, 4096)?;
                link.send_all(&PAYLOAD[..5000])?;
                Ok(vec![link])
            })?;
            Ok(vec![])
        },
        older: false,
        sent: 15_000,
        received: 15_000,
    },
    Case {
        name: "tcp_brief_processes",
        about: "eight processes, each of which connects, sends, and is gone after 5 ms",
        client: |actor| {
            let server: SocketAddr = actor.hear()?;
            for _ in 0..BRIEF_PROCESSES {
                actor.fork(Brief, |child| {
                    let link = child.connect(open(Tcp, V4)?, server)?;
                    link.send_all(&PAYLOAD[..1000])?;
                    pause(5);
                    drop(link);
                    Ok(vec![])
                })?;
            }
            Ok(vec![])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            for _ in 0..BRIEF_PROCESSES {
                actor.accept(&listener)?.recv_to_end()?;
            }
            Ok(vec![])
        },
        older: false,
        sent: 8000,
        received: 8000,
    },
    Case {
        name: "tcp_short_connections",
        about: "2000 connections one after the other, 100 bytes there and 50 back",
        client: |actor| {
            let server: SocketAddr = actor.hear()?;
            for _ in 0..CONNECTIONS {
                let link = actor.connect(open(Tcp, V4)?, server)?;
                link.send_all(&PAYLOAD[..100])?;
                link.recv_total(50, 50)?;
            }
            Ok(vec![])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            for _ in 0..CONNECTIONS {
                let link = actor.accept(&listener)?;
                link.recv_total(100, 100)?;
                link.send_all(&PAYLOAD[..50])?;
            }
            Ok(vec![])
        },
        older: false,
        sent: 150 * CONNECTIONS as u64,
        received: 150 * CONNECTIONS as u64,
    },
    Case {
        name: "tcp_two_sockets",
        about: "two connections between the same two processes, different amounts",
        client: |actor| {
            let server: SocketAddr = actor.hear()?;
            let (one, two) = (connect_tcp(actor, server)?, connect_tcp(actor, server)?);
            send_pieces(&one, 11, 1000)?;
            send_pieces(&two, 7, 500)?;
            Ok(vec![one, two])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            let (one, two) = (actor.accept(&listener)?, actor.accept(&listener)?);
            one.recv_total(11_000, 4096)?;
            two.recv_total(3500, 4096)?;
            Ok(vec![one, two])
        },
        older: false,
        sent: 14_500,
        received: 14_500,
    },
];

fn connect_tcp(actor: &mut Actor, server: SocketAddr) -> Result<Link, TrafficError> {
    actor.connect(open(Tcp, V4)?, server)
}

fn send_pieces(link: &Link, pieces: usize, size: usize) -> Result<(), TrafficError> {
    (0..pieces).try_for_each(|_| link.send_all(&PAYLOAD[..size]))
}

/// In small pieces, so that another reader gets its share.
fn receive_pieces(link: &Link) -> Result<(), TrafficError> {
    while link.recv(&mut [0; 512], MsgFlags::empty())? > 0 {}
    Ok(())
}
