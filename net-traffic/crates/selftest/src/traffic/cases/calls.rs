//! TCP connections that differ in the system calls that move the bytes.

use std::io::{IoSlice, IoSliceMut, Read};

use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, sockopt};

use super::super::case::Case;
use super::super::error::{Attempt, TrafficError};
use super::super::metered_socket::{MeteredSocket, PAYLOAD};
use super::super::options::ZeroCopy;
use super::super::sockets::Family::V4;
use super::super::sockets::Transport::Tcp;
use super::super::worker::{Worker, sleep_ms};
use super::pages::{PIPE_PIECE, PIPE_PIECES, pipe};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "tcp_waitall",
        "16 paced writes, one receive that waits for all of them",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.set(sockopt::TcpNoDelay, &true)?;
            for _ in 0..16 {
                sock.send_all(&PAYLOAD[..1000])?;
                sleep_ms(2);
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            let received = sock.recv(&mut [0; 16_000], MsgFlags::MSG_WAITALL)?;
            if received < 16_000 {
                return Err(TrafficError::Unexpected(format!("waited for all and got {received}")));
            }
            Ok(vec![sock])
        },
    )
    .moves(16_000),
    Case::new(
        "tcp_peek",
        "four peeks, then the receive",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..4096])?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            for _ in 0..4 {
                let peeked = sock.recv(&mut [0; 4096], MsgFlags::MSG_PEEK | MsgFlags::MSG_WAITALL)?;
                if peeked < 4096 {
                    return Err(TrafficError::Unexpected(format!("peeked at {peeked} bytes only")));
                }
            }
            sock.recv_total(4096, 4096)?;
            Ok(vec![sock])
        },
    )
    .moves(4096),
    Case::new(
        "tcp_discarded",
        "a receive with MSG_TRUNC: taken from the stream without a copy",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..10_000])?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv(&mut [0; 7000], MsgFlags::MSG_TRUNC | MsgFlags::MSG_WAITALL)?;
            sock.recv_total(3000, 3000)?;
            Ok(vec![sock])
        },
    )
    .moves(10_000),
    Case::new(
        "tcp_urgent",
        "a byte of urgent data between ordinary ones",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..500])?;
            sock.send(b"!", MsgFlags::MSG_OOB)?;
            sock.send_all(&PAYLOAD[..500])?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.wait_for(PollFlags::POLLPRI)?;
            sock.recv(&mut [0], MsgFlags::MSG_OOB)?;
            sock.recv_total(1000, 1000)?;
            Ok(vec![sock])
        },
    )
    .moves(1001),
    Case::new(
        "tcp_vectored",
        "writev and readv with eight pieces",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            for _ in 0..8 {
                sock.send_vectored(&[IoSlice::new(&PAYLOAD[..500]); 8])?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            let mut missing = 8 * 8 * 500;
            while missing > 0 {
                let mut pieces = [[0; 300]; 8];
                let mut slices: Vec<_> = pieces.iter_mut().map(|piece| IoSliceMut::new(piece)).collect();
                missing -= sock.recv_vectored(&mut slices)?;
            }
            Ok(vec![sock])
        },
    )
    .moves(8 * 8 * 500),
    Case::new(
        "tcp_many_messages",
        "sendmmsg and recvmmsg on a stream",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            for _ in 0..4 {
                sock.send_many(&[&PAYLOAD[..1000]; 8])?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            let mut missing = 4 * 8 * 1000;
            while missing > 0 {
                missing -= sock.recv_many(8, 700)?;
            }
            Ok(vec![sock])
        },
    )
    .moves(4 * 8 * 1000),
    Case::new(
        "tcp_splice_receive",
        "splice from the socket to a pipe, and nothing else",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            for _ in 0..PIPE_PIECES {
                sock.send_all(&PAYLOAD[..PIPE_PIECE])?;
            }
            Ok(vec![sock])
        },
        receive_by_splice,
    )
    .moves(PIPE_PIECES * PIPE_PIECE),
    Case::new(
        "tcp_zerocopy",
        "MSG_ZEROCOPY, with its notices read from the error queue",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.set(ZeroCopy, &true)?;
            for _ in 0..16 {
                let flags = MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY);
                let mut bytes = &PAYLOAD[..16 * 1024];
                while !bytes.is_empty() {
                    bytes = &bytes[sock.send(bytes, flags)?..];
                }
                sock.recv_error()?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(16 * 16 * 1024, 16 * 1024)?;
            Ok(vec![sock])
        },
    )
    .moves(16 * 16 * 1024),
];

fn receive_by_splice(worker: &mut Worker) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = worker.accept_one(Tcp, V4)?;
    let (mut reader, writer) = pipe()?;
    let mut missing = PIPE_PIECES * PIPE_PIECE;
    while missing > 0 {
        let spliced = sock.splice_to(&writer, PIPE_PIECE)?;
        if spliced == 0 {
            return Err(TrafficError::Unexpected(format!("the stream ended {missing} bytes early")));
        }
        reader.read_exact(&mut vec![0; spliced]).attempt("drain a pipe")?;
        missing -= spliced;
    }
    Ok(vec![sock])
}
