//! TCP connections that differ in addresses, sizes and pace.

use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, sockopt};

use super::super::case::Case;
use super::super::error::TrafficError;
use super::super::metered_socket::{MeteredSocket, PAYLOAD};
use super::super::sockets::Family::{self, Mapped, V4, V6};
use super::super::sockets::Transport::Tcp;
use super::super::sockets::open_with;
use super::super::worker::{Worker, sleep_ms};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const SMALL_BUFFER: usize = 8 * KIB;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "tcp_plain",
        "64 writes of 4 KiB",
        |worker| send_blocks(worker, V4),
        |worker| receive_blocks(worker, V4),
    )
    .moves(64 * 4096),
    Case::new(
        "tcp_ipv6",
        "64 writes of 4 KiB over IPv6",
        |worker| send_blocks(worker, V6),
        |worker| receive_blocks(worker, V6),
    )
    .moves(64 * 4096),
    Case::new(
        "tcp_mapped",
        "IPv4 between two IPv6 sockets",
        |worker| send_blocks(worker, Mapped),
        |worker| receive_blocks(worker, Mapped),
    )
    .moves(64 * 4096),
    Case::new(
        "tcp_bytes",
        "1000 writes of one byte, read one by one",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.set(sockopt::TcpNoDelay, &true)?;
            for _ in 0..1000 {
                sock.send_all(&PAYLOAD[..1])?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(1000, 1)?;
            Ok(vec![sock])
        },
    )
    .moves(1000),
    Case::new(
        "tcp_stream",
        "4 MiB in writes of 64 KiB",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            for _ in 0..64 {
                sock.send_all(&PAYLOAD)?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(4 * MIB, 64 * KIB)?;
            Ok(vec![sock])
        },
    )
    .moves(4 * MIB),
    Case::new(
        "tcp_duplex",
        "both ends send and receive, different amounts",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            for _ in 0..32 {
                sock.send_all(&PAYLOAD[..700])?;
                sock.recv_total(300, 300)?;
            }
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            for _ in 0..32 {
                sock.recv_total(700, 512)?;
                sock.send_all(&PAYLOAD[..300])?;
            }
            Ok(vec![sock])
        },
    )
    .moves(32 * 1000),
    Case::new(
        "tcp_nonblocking",
        "non-blocking writes into a small buffer: partial ones, and EAGAIN",
        send_without_waiting,
        |worker| {
            let socket = open_with(Tcp, V4, sockopt::RcvBuf, &SMALL_BUFFER)?;
            let listener = worker.listen_on(socket, V4)?;
            let sock = worker.accept(&listener)?;
            worker.wait_for_peer()?;
            sock.recv_total(512 * KIB, 3000)?;
            Ok(vec![sock])
        },
    )
    .moves(512 * KIB),
    Case::new(
        "tcp_blocked_sender",
        "one write that fills the buffer and waits until the reader drains it",
        |worker| {
            let server = worker.receive()?;
            let sock = worker.connect(open_with(Tcp, V4, sockopt::SndBuf, &SMALL_BUFFER)?, server)?;
            let sent = sock.send(&vec![0; MIB], MsgFlags::empty())?;
            if sent < MIB {
                return Err(TrafficError::Unexpected(format!(
                    "a blocking write returned after {sent} bytes"
                )));
            }
            Ok(vec![sock])
        },
        |worker| {
            let socket = open_with(Tcp, V4, sockopt::RcvBuf, &SMALL_BUFFER)?;
            let listener = worker.listen_on(socket, V4)?;
            let sock = worker.accept(&listener)?;
            sleep_ms(20);
            sock.recv_total(MIB, 64 * KIB)?;
            Ok(vec![sock])
        },
    )
    .moves(MIB),
    Case::new(
        "tcp_threads",
        "four threads of one process write to one socket",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| send_thousands(&sock, 50))).collect();
                threads.into_iter().try_for_each(|thread| match thread.join() {
                    Ok(sent) => sent,
                    Err(_panic) => Err(TrafficError::Unexpected("a sending thread panicked".to_owned())),
                })
            })?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(200_000, 64 * KIB)?;
            Ok(vec![sock])
        },
    )
    .moves(200_000),
];

fn send_blocks(worker: &mut Worker, family: Family) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = worker.connect_one(Tcp, family)?;
    for _ in 0..64 {
        sock.send_all(&PAYLOAD[..4096])?;
    }
    Ok(vec![sock])
}

fn receive_blocks(worker: &mut Worker, family: Family) -> Result<Vec<MeteredSocket>, TrafficError> {
    let sock = worker.accept_one(Tcp, family)?;
    sock.recv_total(64 * 4096, 4096)?;
    Ok(vec![sock])
}

fn send_thousands(sock: &MeteredSocket, times: usize) -> Result<(), TrafficError> {
    (0..times).try_for_each(|_| sock.send_all(&PAYLOAD[..1000]))
}

fn send_without_waiting(worker: &mut Worker) -> Result<Vec<MeteredSocket>, TrafficError> {
    let server = worker.receive()?;
    let sock = worker.connect(open_with(Tcp, V4, sockopt::SndBuf, &SMALL_BUFFER)?, server)?;
    let (mut missing, mut partial, mut refused) = (512 * KIB, 0, 0);
    while missing > 0 {
        let room = missing.min(PAYLOAD.len());
        if let Some(sent) = sock.try_send(&PAYLOAD[..room])? {
            missing -= sent;
            partial += usize::from(sent < room);
        } else {
            if refused == 0 {
                worker.signal_peer()?;
            }
            refused += 1;
            sock.wait_for(PollFlags::POLLOUT)?;
        }
    }
    if partial == 0 || refused == 0 {
        return Err(TrafficError::Unexpected(format!("{partial} partial writes and {refused} refused ones")));
    }
    Ok(vec![sock])
}
