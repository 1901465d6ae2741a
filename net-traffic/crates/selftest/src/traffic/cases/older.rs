//! Sockets older than the tracer: what they moved before does not count, what they move after does.

use std::net::SocketAddr;

use nix::sys::socket::MsgFlags;

use super::super::actor::Life::Whole;
use super::super::case::Case;
use super::super::link::PAYLOAD;
use super::super::sockets::Family::{V4, V6};
use super::super::sockets::Transport::{Tcp, Udp};
use super::super::sockets::{open, own_address};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcp_older",
        about: "a connection that moved bytes both ways before the tracer started",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..5000])?;
            link.recv_total(4000, 4096)?;
            actor.tracer_starts()?;
            link.send_all(&PAYLOAD[..300])?;
            link.recv_total(200, 4096)?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(5000, 4096)?;
            link.send_all(&PAYLOAD[..4000])?;
            actor.tracer_starts()?;
            link.recv_total(300, 4096)?;
            link.send_all(&PAYLOAD[..200])?;
            Ok(vec![link])
        },
        older: true,
        sent: 9500,
        received: 9500,
    },
    Case {
        name: "tcp_older_ipv6",
        about: "the same over IPv6",
        client: |actor| {
            let link = actor.connect_one(Tcp, V6)?;
            link.send_all(&PAYLOAD[..5000])?;
            actor.tracer_starts()?;
            link.send_all(&PAYLOAD[..300])?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V6)?;
            link.recv_total(5000, 4096)?;
            actor.tracer_starts()?;
            link.recv_total(300, 4096)?;
            Ok(vec![link])
        },
        older: true,
        sent: 5300,
        received: 5300,
    },
    Case {
        name: "tcp_older_unread",
        about: "bytes that were sent before the tracer started and are read after",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..4000])?;
            actor.tracer_starts()?;
            link.send_all(&PAYLOAD[..100])?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(1000, 1000)?;
            actor.tracer_starts()?;
            link.recv_total(3100, 1000)?;
            Ok(vec![link])
        },
        older: true,
        sent: 4100,
        received: 4100,
    },
    Case {
        name: "tcp_older_idle",
        about: "a connection that moves nothing more after the tracer started, and closes",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..4000])?;
            actor.tracer_starts()?;
            drop(link);
            Ok(vec![])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(4000, 1000)?;
            actor.tracer_starts()?;
            link.recv_to_end()?;
            Ok(vec![link])
        },
        older: true,
        sent: 4000,
        received: 4000,
    },
    Case {
        name: "tcp_older_listener",
        about: "a listener older than the tracer, a connection younger",
        client: |actor| {
            let server: SocketAddr = actor.hear()?;
            actor.tracer_starts()?;
            let link = actor.connect(open(Tcp, V4)?, server)?;
            link.send_all(&PAYLOAD[..2500])?;
            Ok(vec![link])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            actor.tracer_starts()?;
            let link = actor.accept(&listener)?;
            link.recv_total(2500, 1000)?;
            Ok(vec![link])
        },
        older: true,
        sent: 2500,
        received: 2500,
    },
    Case {
        name: "tcp_older_queued",
        about: "connected and sent to before the tracer started, accepted and read after",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..2500])?;
            actor.tracer_starts()?;
            link.recv_total(70, 100)?;
            Ok(vec![link])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            actor.tracer_starts()?;
            let link = actor.accept(&listener)?;
            link.recv_total(2500, 1000)?;
            link.send_all(&PAYLOAD[..70])?;
            Ok(vec![link])
        },
        older: true,
        sent: 2570,
        received: 2570,
    },
    Case {
        name: "tcp_older_in_flight",
        about: "a connection that no process holds when the tracer starts: it is on its way in a message",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..5000])?;
            actor.tracer_starts()?;
            actor.signal()?;
            link.send_all(&PAYLOAD[..300])?;
            link.recv_total(200, 4096)?;
            Ok(vec![link])
        },
        server: |actor| {
            actor.fork(Whole, |child| {
                child.wait()?;
                let link = child.take_from_parent()?;
                link.recv_total(300, 4096)?;
                link.send_all(&PAYLOAD[..200])?;
                Ok(vec![link])
            })?;
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(5000, 4096)?;
            actor.pass_to_child(&link)?;
            drop(link);
            actor.tracer_starts()?;
            Ok(vec![])
        },
        older: true,
        sent: 5500,
        received: 5500,
    },
    Case {
        name: "udp_older",
        about: "UDP sockets that moved bytes before the tracer started",
        client: |actor| {
            let server = actor.hear()?;
            let link = actor.connect(open(Udp, V4)?, server)?;
            link.send(&PAYLOAD[..900], MsgFlags::empty())?;
            actor.tracer_starts()?;
            link.send(&PAYLOAD[..100], MsgFlags::empty())?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.bind_udp(V4)?;
            actor.tell(&own_address(&link)?)?;
            link.recv_total(900, 900)?;
            actor.tracer_starts()?;
            link.recv_total(100, 900)?;
            Ok(vec![link])
        },
        older: true,
        sent: 1000,
        received: 1000,
    },
];
