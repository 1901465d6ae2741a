//! Bytes that go from a file or a pipe to a socket within the kernel.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;

use super::super::actor::Actor;
use super::super::actor::Life::Whole;
use super::super::case::Case;
use super::super::error::{Attempt, TrafficError};
use super::super::link::{Link, PAYLOAD};
use super::super::sockets::Family::{self, V4, V6};
use super::super::sockets::Transport::Tcp;
use super::datagrams::{bind_and_tell, connect_udp};

/// What a pipe holds at least, whatever its pages are like.
pub(super) const PIPE_PIECE: usize = 4096;
pub(super) const PIPE_PIECES: usize = 32;

const FILE: usize = 256 * 1024;
/// Not a part of a page: some datagrams begin on one and end on the next.
const DATAGRAM: usize = 1000;
/// How many of them by each call.
const DATAGRAMS: usize = 16;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcp_sendfile",
        about: "sendfile from memory",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            send_file(&link, FILE)?;
            Ok(vec![link])
        },
        server: |actor| receive_stream(actor, FILE),
        older: false,
        sent: FILE as u64,
        received: FILE as u64,
    },
    Case {
        name: "tcp_splice_send",
        about: "splice from a pipe to the socket",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            splice_pieces(&link, PIPE_PIECES, PIPE_PIECE)?;
            Ok(vec![link])
        },
        server: |actor| receive_stream(actor, PIPE_PIECES * PIPE_PIECE),
        older: false,
        sent: (PIPE_PIECES * PIPE_PIECE) as u64,
        received: (PIPE_PIECES * PIPE_PIECE) as u64,
    },
    Case {
        name: "tcp_shared_pages",
        about: "the parent sends, then its child by sendfile and splice on the same socket",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..DATAGRAM])?;
            actor.fork(Whole, |child| {
                let shared = child.share(&link)?;
                send_file(&shared, FILE)?;
                splice_pieces(&shared, PIPE_PIECES, PIPE_PIECE)?;
                Ok(vec![shared])
            })?;
            Ok(vec![link])
        },
        server: |actor| receive_stream(actor, DATAGRAM + FILE + PIPE_PIECES * PIPE_PIECE),
        older: false,
        sent: (DATAGRAM + FILE + PIPE_PIECES * PIPE_PIECE) as u64,
        received: (DATAGRAM + FILE + PIPE_PIECES * PIPE_PIECE) as u64,
    },
    Case {
        name: "udp_pages",
        about: "datagrams by sendfile and splice from a connected socket",
        client: |actor| send_datagrams(actor, V4),
        server: |actor| receive_datagrams(actor, V4, 2 * DATAGRAMS),
        older: false,
        sent: (2 * DATAGRAMS * DATAGRAM) as u64,
        received: (2 * DATAGRAMS * DATAGRAM) as u64,
    },
    Case {
        name: "udp_pages_ipv6",
        about: "the same over IPv6",
        client: |actor| send_datagrams(actor, V6),
        server: |actor| receive_datagrams(actor, V6, 2 * DATAGRAMS),
        older: false,
        sent: (2 * DATAGRAMS * DATAGRAM) as u64,
        received: (2 * DATAGRAMS * DATAGRAM) as u64,
    },
    Case {
        name: "udp_shared_pages",
        about: "the parent sends a datagram, then its child others by sendfile and splice from the same socket",
        client: |actor| {
            let link = connect_udp(actor, V4)?;
            link.send_all(&PAYLOAD[..DATAGRAM])?;
            actor.fork(Whole, |child| {
                let shared = child.share(&link)?;
                send_pages(&shared)?;
                Ok(vec![shared])
            })?;
            Ok(vec![link])
        },
        server: |actor| receive_datagrams(actor, V4, 1 + 2 * DATAGRAMS),
        older: false,
        sent: ((1 + 2 * DATAGRAMS) * DATAGRAM) as u64,
        received: ((1 + 2 * DATAGRAMS) * DATAGRAM) as u64,
    },
];

pub(super) fn pipe() -> Result<(File, File), TrafficError> {
    let (reader, writer): (OwnedFd, OwnedFd) = pipe2(OFlag::O_CLOEXEC).attempt("make a pipe")?;
    Ok((reader.into(), writer.into()))
}

fn receive_stream(actor: &mut Actor, bytes: usize) -> Result<Vec<Link>, TrafficError> {
    let link = actor.accept_one(Tcp, V4)?;
    link.recv_total(bytes, 16 * 1024)?;
    Ok(vec![link])
}

fn receive_datagrams(actor: &mut Actor, family: Family, count: usize) -> Result<Vec<Link>, TrafficError> {
    let link = bind_and_tell(actor, family)?;
    link.recv_total(count * DATAGRAM, DATAGRAM)?;
    Ok(vec![link])
}

fn send_datagrams(actor: &mut Actor, family: Family) -> Result<Vec<Link>, TrafficError> {
    let link = connect_udp(actor, family)?;
    send_pages(&link)?;
    Ok(vec![link])
}

/// As many datagrams by sendfile as by splice.
fn send_pages(link: &Link) -> Result<(), TrafficError> {
    let file = zeros(DATAGRAMS * DATAGRAM)?;
    for _ in 0..DATAGRAMS {
        link.send_file(&file, DATAGRAM)?;
    }
    splice_pieces(link, DATAGRAMS, DATAGRAM)
}

fn send_file(link: &Link, bytes: usize) -> Result<(), TrafficError> {
    let file = zeros(bytes)?;
    let mut missing = bytes;
    while missing > 0 {
        missing -= link.send_file(&file, missing)?;
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

fn splice_pieces(link: &Link, pieces: usize, size: usize) -> Result<(), TrafficError> {
    let (reader, mut writer) = pipe()?;
    for _ in 0..pieces {
        writer.write_all(&PAYLOAD[..size]).attempt("fill a pipe")?;
        let mut missing = size;
        while missing > 0 {
            missing -= link.splice_from(&reader, missing)?;
        }
    }
    Ok(())
}
