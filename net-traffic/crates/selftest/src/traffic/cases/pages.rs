//! Bytes that the kernel moves from a file or a pipe to a socket: `sendfile` and `splice`.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;

use super::super::case::Case;
use super::super::error::{Attempt, TrafficError};
use super::super::metered_socket::{MeteredSocket, PAYLOAD};
use super::super::sockets::Family::{self, V4, V6};
use super::super::sockets::Transport::Tcp;
use super::super::worker::ChildExit::AtFinish;
use super::super::worker::Worker;
use super::datagrams::{bind_and_send_address, connect_udp};

/// The least that a pipe holds: one page, of the smallest size.
pub(super) const PIPE_PIECE: usize = 4096;
pub(super) const PIPE_PIECES: usize = 32;

const FILE: usize = 256 * 1024;
/// Not a divisor of the page size, so some datagrams cross a page boundary.
const DATAGRAM: usize = 1000;
/// Datagrams of each call.
const DATAGRAMS: usize = 16;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "tcp_sendfile",
        "sendfile from memory",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            send_file(&sock, FILE)?;
            Ok(vec![sock])
        },
        |worker| receive_stream(worker, FILE),
    )
    .moves(FILE),
    Case::new(
        "tcp_splice_send",
        "splice from a pipe to the socket",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            splice_pieces(&sock, PIPE_PIECES, PIPE_PIECE)?;
            Ok(vec![sock])
        },
        |worker| receive_stream(worker, PIPE_PIECES * PIPE_PIECE),
    )
    .moves(PIPE_PIECES * PIPE_PIECE),
    Case::new(
        "tcp_shared_pages",
        "the parent sends, then its child by sendfile and splice on the same socket",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..DATAGRAM])?;
            worker.fork(AtFinish, |child| {
                let shared = child.share(&sock)?;
                send_file(&shared, FILE)?;
                splice_pieces(&shared, PIPE_PIECES, PIPE_PIECE)?;
                Ok(vec![shared])
            })?;
            Ok(vec![sock])
        },
        |worker| receive_stream(worker, DATAGRAM + FILE + PIPE_PIECES * PIPE_PIECE),
    )
    .moves(DATAGRAM + FILE + PIPE_PIECES * PIPE_PIECE),
    Case::new(
        "udp_pages",
        "datagrams by sendfile and splice from a connected socket",
        |worker| send_datagrams(worker, V4),
        |worker| receive_datagrams(worker, V4, 2 * DATAGRAMS),
    )
    .moves(2 * DATAGRAMS * DATAGRAM),
    Case::new(
        "udp_pages_ipv6",
        "the same over IPv6",
        |worker| send_datagrams(worker, V6),
        |worker| receive_datagrams(worker, V6, 2 * DATAGRAMS),
    )
    .moves(2 * DATAGRAMS * DATAGRAM),
    Case::new(
        "udp_shared_pages",
        "the parent sends a datagram, then its child others by sendfile and splice from the same socket",
        |worker| {
            let sock = connect_udp(worker, V4)?;
            sock.send_all(&PAYLOAD[..DATAGRAM])?;
            worker.fork(AtFinish, |child| {
                let shared = child.share(&sock)?;
                send_pages(&shared)?;
                Ok(vec![shared])
            })?;
            Ok(vec![sock])
        },
        |worker| receive_datagrams(worker, V4, 1 + 2 * DATAGRAMS),
    )
    .moves((1 + 2 * DATAGRAMS) * DATAGRAM),
];

pub(super) fn pipe() -> Result<(File, File), TrafficError> {
    let (reader, writer): (OwnedFd, OwnedFd) = pipe2(OFlag::O_CLOEXEC).attempt("make a pipe")?;
    Ok((reader.into(), writer.into()))
}

fn receive_stream(worker: &mut Worker, bytes: usize) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = worker.accept_one(Tcp, V4)?;
    sock.recv_total(bytes, 16 * 1024)?;
    Ok(vec![sock])
}

fn receive_datagrams(
    worker: &mut Worker,
    family: Family,
    count: usize,
) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = bind_and_send_address(worker, family)?;
    sock.recv_total(count * DATAGRAM, DATAGRAM)?;
    Ok(vec![sock])
}

fn send_datagrams(worker: &mut Worker, family: Family) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = connect_udp(worker, family)?;
    send_pages(&sock)?;
    Ok(vec![sock])
}

/// Sends the same number of datagrams by `sendfile` and by `splice`.
fn send_pages(sock: &MeteredSocket) -> Result<(), TrafficError> {
    let file = zeros(DATAGRAMS * DATAGRAM)?;
    for _ in 0..DATAGRAMS {
        sock.send_file(&file, DATAGRAM)?;
    }
    splice_pieces(sock, DATAGRAMS, DATAGRAM)
}

fn send_file(sock: &MeteredSocket, bytes: usize) -> Result<(), TrafficError> {
    let file = zeros(bytes)?;
    let mut missing = bytes;
    while missing > 0 {
        missing -= sock.send_file(&file, missing)?;
    }
    Ok(())
}

fn zeros(bytes: usize) -> Result<File, TrafficError> {
    let name = c"net-traffic";
    let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC).attempt("make a file in memory")?);
    file.write_all(&vec![0; bytes]).attempt("fill a file in memory")?;
    file.rewind().attempt("rewind a file in memory")?;
    Ok(file)
}

fn splice_pieces(sock: &MeteredSocket, pieces: usize, size: usize) -> Result<(), TrafficError> {
    let (reader, mut writer) = pipe()?;
    for _ in 0..pieces {
        writer.write_all(&PAYLOAD[..size]).attempt("fill a pipe")?;
        let mut missing = size;
        while missing > 0 {
            missing -= sock.splice_from(&reader, missing)?;
        }
    }
    Ok(())
}
