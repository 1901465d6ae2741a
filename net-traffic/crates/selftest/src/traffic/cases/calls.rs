//! TCP connections that differ in the system calls that move the bytes.

use std::io::{IoSlice, IoSliceMut, Read};

use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, sockopt};

use super::super::actor::{Actor, pause};
use super::super::case::Case;
use super::super::error::{Attempt, TrafficError};
use super::super::link::{Link, PAYLOAD};
use super::super::options::ZeroCopy;
use super::super::sockets::Family::V4;
use super::super::sockets::Transport::Tcp;
use super::pages::{PIPE_PIECE, PIPE_PIECES, pipe};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcp_waitall",
        about: "16 paced writes, one receive that waits for all of them",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.set(sockopt::TcpNoDelay, &true)?;
            for _ in 0..16 {
                link.send_all(&PAYLOAD[..1000])?;
                pause(2);
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            let received = link.recv(&mut [0; 16_000], MsgFlags::MSG_WAITALL)?;
            if received < 16_000 {
                return Err(TrafficError::Broken(format!("waited for all and got {received}")));
            }
            Ok(vec![link])
        },
        older: false,
        sent: 16_000,
        received: 16_000,
    },
    Case {
        name: "tcp_peek",
        about: "four peeks, then the receive",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..4096])?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            for _ in 0..4 {
                let peeked = link.recv(&mut [0; 4096], MsgFlags::MSG_PEEK | MsgFlags::MSG_WAITALL)?;
                if peeked < 4096 {
                    return Err(TrafficError::Broken(format!("peeked at {peeked} bytes only")));
                }
            }
            link.recv_total(4096, 4096)?;
            Ok(vec![link])
        },
        older: false,
        sent: 4096,
        received: 4096,
    },
    Case {
        name: "tcp_discarded",
        about: "a receive with MSG_TRUNC: read off the stream without a copy",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..10_000])?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv(&mut [0; 7000], MsgFlags::MSG_TRUNC | MsgFlags::MSG_WAITALL)?;
            link.recv_total(3000, 3000)?;
            Ok(vec![link])
        },
        older: false,
        sent: 10_000,
        received: 10_000,
    },
    Case {
        name: "tcp_urgent",
        about: "a byte of urgent data between ordinary ones",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..500])?;
            link.send(b"!", MsgFlags::MSG_OOB)?;
            link.send_all(&PAYLOAD[..500])?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.wait_for(PollFlags::POLLPRI)?;
            link.recv(&mut [0], MsgFlags::MSG_OOB)?;
            link.recv_total(1000, 1000)?;
            Ok(vec![link])
        },
        older: false,
        sent: 1001,
        received: 1001,
    },
    Case {
        name: "tcp_vectored",
        about: "writev and readv with eight pieces",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            for _ in 0..8 {
                link.send_vectored(&[IoSlice::new(&PAYLOAD[..500]); 8])?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            let mut missing = 8 * 8 * 500;
            while missing > 0 {
                let mut pieces = [[0; 300]; 8];
                let mut slices: Vec<_> = pieces.iter_mut().map(|piece| IoSliceMut::new(piece)).collect();
                missing -= link.recv_vectored(&mut slices)?;
            }
            Ok(vec![link])
        },
        older: false,
        sent: 8 * 8 * 500,
        received: 8 * 8 * 500,
    },
    Case {
        name: "tcp_many_messages",
        about: "sendmmsg and recvmmsg on a stream",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            for _ in 0..4 {
                link.send_many(&[&PAYLOAD[..1000]; 8])?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            let mut missing = 4 * 8 * 1000;
            while missing > 0 {
                missing -= link.recv_many(8, 700)?;
            }
            Ok(vec![link])
        },
        older: false,
        sent: 4 * 8 * 1000,
        received: 4 * 8 * 1000,
    },
    Case {
        name: "tcp_splice_receive",
        about: "splice from the socket to a pipe, and nothing else",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            for _ in 0..PIPE_PIECES {
                link.send_all(&PAYLOAD[..PIPE_PIECE])?;
            }
            Ok(vec![link])
        },
        server: receive_by_splice,
        older: false,
        sent: (PIPE_PIECES * PIPE_PIECE) as u64,
        received: (PIPE_PIECES * PIPE_PIECE) as u64,
    },
    Case {
        name: "tcp_zerocopy",
        about: "MSG_ZEROCOPY, with its notices read from the error queue",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.set(ZeroCopy, &true)?;
            for _ in 0..16 {
                let flags = MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY);
                let mut bytes = &PAYLOAD[..16 * 1024];
                while !bytes.is_empty() {
                    bytes = &bytes[link.send(bytes, flags)?..];
                }
                link.recv_error()?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(16 * 16 * 1024, 16 * 1024)?;
            Ok(vec![link])
        },
        older: false,
        sent: 16 * 16 * 1024,
        received: 16 * 16 * 1024,
    },
];

fn receive_by_splice(actor: &mut Actor) -> Result<Vec<Link>, TrafficError> {
    let link = actor.accept_one(Tcp, V4)?;
    let (mut reader, writer) = pipe()?;
    let mut missing = PIPE_PIECES * PIPE_PIECE;
    while missing > 0 {
        let spliced = link.splice_to(&writer, PIPE_PIECE)?;
        if spliced == 0 {
            return Err(TrafficError::Broken(format!("the stream ended {missing} bytes early")));
        }
        reader.read_exact(&mut vec![0; spliced]).attempt("drain a pipe")?;
        missing -= spliced;
    }
    Ok(vec![link])
}
