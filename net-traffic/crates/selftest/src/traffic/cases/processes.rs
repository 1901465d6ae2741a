//! Sockets that differ in the processes that use them: shared, passed to another process, or of a short-lived process.

use std::net::SocketAddr;

use nix::sys::socket::MsgFlags;

use super::super::case::Case;
use super::super::error::TrafficError;
use super::super::metered_socket::{MeteredSocket, PAYLOAD};
use super::super::sockets::Family::V4;
use super::super::sockets::Transport::{Tcp, Udp};
use super::super::sockets::{open, own_address};
use super::super::worker::ChildExit::{AfterWork, AtFinish};
use super::super::worker::{Worker, sleep_ms};

const CONNECTIONS: usize = 2000;
const BRIEF_PROCESSES: usize = 8;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "tcp_shared_writers",
        "parent and child write to one socket at the same time",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            worker.fork(AtFinish, |child| {
                let shared = child.share(&sock)?;
                send_pieces(&shared, 150, 700)?;
                Ok(vec![shared])
            })?;
            send_pieces(&sock, 100, 1000)?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(205_000, 4096)?;
            Ok(vec![sock])
        },
    )
    .moves(205_000),
    Case::new(
        "tcp_shared_readers",
        "parent and child read from one socket at the same time",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            worker.wait_for_peer()?;
            send_pieces(&sock, 200, 1000)?;
            sock.end_sending()?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            worker.fork(AtFinish, |child| {
                let shared = child.share(&sock)?;
                child.signal_peer()?;
                receive_pieces(&shared)?;
                Ok(vec![shared])
            })?;
            receive_pieces(&sock)?;
            Ok(vec![sock])
        },
    )
    .moves(200_000),
    Case::new(
        "udp_shared_writers",
        "parent and child send datagrams from one socket at the same time",
        |worker| {
            let server = worker.receive()?;
            let sock = worker.connect(open(Udp, V4)?, server)?;
            worker.fork(AtFinish, |child| {
                let shared = child.share(&sock)?;
                send_pieces(&shared, 20, 700)?;
                Ok(vec![shared])
            })?;
            send_pieces(&sock, 30, 1000)?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.bind_udp(V4)?;
            worker.send(&own_address(&sock)?)?;
            sock.recv_total(44_000, 1000)?;
            Ok(vec![sock])
        },
    )
    .moves(44_000),
    Case::new(
        "tcp_passed",
        "a socket passed by SCM_RIGHTS to a process that continues to use it",
        |worker| {
            worker.fork(AtFinish, |child| {
                let sock = child.receive_from_parent()?;
                send_pieces(&sock, 20, 1000)?;
                sock.recv_total(300, 300)?;
                Ok(vec![sock])
            })?;
            let sock = worker.connect_one(Tcp, V4)?;
            send_pieces(&sock, 10, 1000)?;
            worker.send_to_child(&sock)?;
            drop(sock);
            Ok(vec![])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(30_000, 4096)?;
            sock.send_all(&PAYLOAD[..300])?;
            Ok(vec![sock])
        },
    )
    .moves(30_300),
    Case::new(
        "tcp_forking_server",
        "the server forks, and its child accepts the connection",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            send_pieces(&sock, 10, 1000)?;
            sock.recv_total(5000, 4096)?;
            Ok(vec![sock])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            worker.fork(AtFinish, |child| {
                let sock = child.accept(&listener)?;
                sock.recv_total(10_000, 4096)?;
                sock.send_all(&PAYLOAD[..5000])?;
                Ok(vec![sock])
            })?;
            Ok(vec![])
        },
    )
    .moves(15_000),
    Case::new(
        "tcp_brief_processes",
        "eight processes, each of which connects, sends, and exits after 5 ms",
        |worker| {
            let server: SocketAddr = worker.receive()?;
            for _ in 0..BRIEF_PROCESSES {
                worker.fork(AfterWork, |child| {
                    let sock = child.connect(open(Tcp, V4)?, server)?;
                    sock.send_all(&PAYLOAD[..1000])?;
                    sleep_ms(5);
                    drop(sock);
                    Ok(vec![])
                })?;
            }
            Ok(vec![])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            for _ in 0..BRIEF_PROCESSES {
                worker.accept(&listener)?.recv_to_end()?;
            }
            Ok(vec![])
        },
    )
    .moves(8000),
    Case::new(
        "tcp_short_connections",
        "2000 connections one after the other, 100 bytes and a reply of 50",
        |worker| {
            let server: SocketAddr = worker.receive()?;
            for _ in 0..CONNECTIONS {
                let sock = worker.connect(open(Tcp, V4)?, server)?;
                sock.send_all(&PAYLOAD[..100])?;
                sock.recv_total(50, 50)?;
            }
            Ok(vec![])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            for _ in 0..CONNECTIONS {
                let sock = worker.accept(&listener)?;
                sock.recv_total(100, 100)?;
                sock.send_all(&PAYLOAD[..50])?;
            }
            Ok(vec![])
        },
    )
    .moves(150 * CONNECTIONS),
    Case::new(
        "tcp_two_sockets",
        "two connections between the same two processes, different amounts",
        |worker| {
            let server: SocketAddr = worker.receive()?;
            let (one, two) = (connect_tcp(worker, server)?, connect_tcp(worker, server)?);
            send_pieces(&one, 11, 1000)?;
            send_pieces(&two, 7, 500)?;
            Ok(vec![one, two])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            let (one, two) = (worker.accept(&listener)?, worker.accept(&listener)?);
            one.recv_total(11_000, 4096)?;
            two.recv_total(3500, 4096)?;
            Ok(vec![one, two])
        },
    )
    .moves(14_500),
];

fn connect_tcp(worker: &mut Worker, server: SocketAddr) -> Result<MeteredSocket, TrafficError> {
    worker.connect(open(Tcp, V4)?, server)
}

fn send_pieces(sock: &MeteredSocket, pieces: usize, size: usize) -> Result<(), TrafficError> {
    (0..pieces).try_for_each(|_| sock.send_all(&PAYLOAD[..size]))
}

/// Reads small pieces, so that the other reader gets some of the bytes.
fn receive_pieces(sock: &MeteredSocket) -> Result<(), TrafficError> {
    while sock.recv(&mut [0; 512], MsgFlags::empty())? > 0 {}
    Ok(())
}
