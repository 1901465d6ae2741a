//! Sockets older than the tracer: bytes moved before its start do not count, bytes moved afterwards count.

use std::net::SocketAddr;

use nix::sys::socket::MsgFlags;

use super::super::case::Case;
use super::super::metered_socket::PAYLOAD;
use super::super::sockets::Family::{V4, V6};
use super::super::sockets::Transport::{Tcp, Udp};
use super::super::sockets::{open, own_address};
use super::super::worker::ChildExit::AtFinish;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "tcp_older",
        "a connection that moved bytes both ways before the tracer started",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..5000])?;
            sock.recv_total(4000, 4096)?;
            worker.wait_for_tracer()?;
            sock.send_all(&PAYLOAD[..300])?;
            sock.recv_total(200, 4096)?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(5000, 4096)?;
            sock.send_all(&PAYLOAD[..4000])?;
            worker.wait_for_tracer()?;
            sock.recv_total(300, 4096)?;
            sock.send_all(&PAYLOAD[..200])?;
            Ok(vec![sock])
        },
    )
    .moves(9500)
    .starts_before_tracer(),
    Case::new(
        "tcp_older_ipv6",
        "the same over IPv6",
        |worker| {
            let sock = worker.connect_one(Tcp, V6)?;
            sock.send_all(&PAYLOAD[..5000])?;
            worker.wait_for_tracer()?;
            sock.send_all(&PAYLOAD[..300])?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V6)?;
            sock.recv_total(5000, 4096)?;
            worker.wait_for_tracer()?;
            sock.recv_total(300, 4096)?;
            Ok(vec![sock])
        },
    )
    .moves(5300)
    .starts_before_tracer(),
    Case::new(
        "tcp_older_unread",
        "bytes sent before the tracer started and read afterwards",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..4000])?;
            worker.wait_for_tracer()?;
            sock.send_all(&PAYLOAD[..100])?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(1000, 1000)?;
            worker.wait_for_tracer()?;
            sock.recv_total(3100, 1000)?;
            Ok(vec![sock])
        },
    )
    .moves(4100)
    .starts_before_tracer(),
    Case::new(
        "tcp_older_idle",
        "a connection that closes after the tracer started, without further bytes",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..4000])?;
            worker.wait_for_tracer()?;
            drop(sock);
            Ok(vec![])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(4000, 1000)?;
            worker.wait_for_tracer()?;
            sock.recv_to_end()?;
            Ok(vec![sock])
        },
    )
    .moves(4000)
    .starts_before_tracer(),
    Case::new(
        "tcp_older_listener",
        "a listener older than the tracer, a connection younger",
        |worker| {
            let server: SocketAddr = worker.receive()?;
            worker.wait_for_tracer()?;
            let sock = worker.connect(open(Tcp, V4)?, server)?;
            sock.send_all(&PAYLOAD[..2500])?;
            Ok(vec![sock])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            worker.wait_for_tracer()?;
            let sock = worker.accept(&listener)?;
            sock.recv_total(2500, 1000)?;
            Ok(vec![sock])
        },
    )
    .moves(2500)
    .starts_before_tracer(),
    Case::new(
        "tcp_older_queued",
        "connected and sent to before the tracer started, accepted and read afterwards",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..2500])?;
            worker.wait_for_tracer()?;
            sock.recv_total(70, 100)?;
            Ok(vec![sock])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            worker.wait_for_tracer()?;
            let sock = worker.accept(&listener)?;
            sock.recv_total(2500, 1000)?;
            sock.send_all(&PAYLOAD[..70])?;
            Ok(vec![sock])
        },
    )
    .moves(2570)
    .starts_before_tracer(),
    Case::new(
        "tcp_older_in_flight",
        "a connection that is in flight in a message (SCM_RIGHTS) when the tracer starts",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..5000])?;
            worker.wait_for_tracer()?;
            worker.signal_peer()?;
            sock.send_all(&PAYLOAD[..300])?;
            sock.recv_total(200, 4096)?;
            Ok(vec![sock])
        },
        |worker| {
            worker.fork(AtFinish, |child| {
                child.wait_for_peer()?;
                let sock = child.receive_from_parent()?;
                sock.recv_total(300, 4096)?;
                sock.send_all(&PAYLOAD[..200])?;
                Ok(vec![sock])
            })?;
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(5000, 4096)?;
            worker.send_to_child(&sock)?;
            drop(sock);
            worker.wait_for_tracer()?;
            Ok(vec![])
        },
    )
    .moves(5500)
    .starts_before_tracer(),
    Case::new(
        "udp_older",
        "UDP sockets that moved bytes before the tracer started",
        |worker| {
            let server = worker.receive()?;
            let sock = worker.connect(open(Udp, V4)?, server)?;
            sock.send(&PAYLOAD[..900], MsgFlags::empty())?;
            worker.wait_for_tracer()?;
            sock.send(&PAYLOAD[..100], MsgFlags::empty())?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.bind_udp(V4)?;
            worker.send(&own_address(&sock)?)?;
            sock.recv_total(900, 900)?;
            worker.wait_for_tracer()?;
            sock.recv_total(100, 900)?;
            Ok(vec![sock])
        },
    )
    .moves(1000)
    .starts_before_tracer(),
];
