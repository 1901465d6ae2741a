//! TCP connections that differ in addresses, sizes and pace, not in the system calls.

use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, sockopt};

use super::super::actor::{Actor, pause};
use super::super::case::Case;
use super::super::error::TrafficError;
use super::super::link::{Link, PAYLOAD};
use super::super::sockets::Family::{self, Mapped, V4, V6};
use super::super::sockets::Transport::Tcp;
use super::super::sockets::open_with;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const SMALL_BUFFER: usize = 8 * KIB;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcp_plain",
        about: "64 writes of 4 KiB",
        client: |actor| send_blocks(actor, V4),
        server: |actor| receive_blocks(actor, V4),
        older: false,
        sent: 64 * 4096,
        received: 64 * 4096,
    },
    Case {
        name: "tcp_ipv6",
        about: "64 writes of 4 KiB over IPv6",
        client: |actor| send_blocks(actor, V6),
        server: |actor| receive_blocks(actor, V6),
        older: false,
        sent: 64 * 4096,
        received: 64 * 4096,
    },
    Case {
        name: "tcp_mapped",
        about: "IPv4 between two IPv6 sockets",
        client: |actor| send_blocks(actor, Mapped),
        server: |actor| receive_blocks(actor, Mapped),
        older: false,
        sent: 64 * 4096,
        received: 64 * 4096,
    },
    Case {
        name: "tcp_bytes",
        about: "1000 writes of one byte, read one by one",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.set(sockopt::TcpNoDelay, &true)?;
            for _ in 0..1000 {
                link.send_all(&PAYLOAD[..1])?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(1000, 1)?;
            Ok(vec![link])
        },
        older: false,
        sent: 1000,
        received: 1000,
    },
    Case {
        name: "tcp_stream",
        about: "4 MiB in writes of 64 KiB",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            for _ in 0..64 {
                link.send_all(&PAYLOAD)?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(4 * MIB, 64 * KIB)?;
            Ok(vec![link])
        },
        older: false,
        sent: 4 * MIB as u64,
        received: 4 * MIB as u64,
    },
    Case {
        name: "tcp_duplex",
        about: "both ends send and receive, different amounts",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            for _ in 0..32 {
                link.send_all(&PAYLOAD[..700])?;
                link.recv_total(300, 300)?;
            }
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            for _ in 0..32 {
                link.recv_total(700, 512)?;
                link.send_all(&PAYLOAD[..300])?;
            }
            Ok(vec![link])
        },
        older: false,
        sent: 32 * 1000,
        received: 32 * 1000,
    },
    Case {
        name: "tcp_nonblocking",
        about: "non-blocking writes into a small buffer: partial ones, and EAGAIN",
        client: send_without_waiting,
        server: |actor| {
            let socket = open_with(Tcp, V4, sockopt::RcvBuf, &SMALL_BUFFER)?;
            let listener = actor.listen_on(socket, V4)?;
            let link = actor.accept(&listener)?;
            actor.wait()?;
            link.recv_total(512 * KIB, 3000)?;
            Ok(vec![link])
        },
        older: false,
        sent: 512 * KIB as u64,
        received: 512 * KIB as u64,
    },
    Case {
        name: "tcp_blocked_sender",
        about: "one write that fills the buffer and waits until the reader drains it",
        client: |actor| {
            let server = actor.hear()?;
            let link = actor.connect(open_with(Tcp, V4, sockopt::SndBuf, &SMALL_BUFFER)?, server)?;
            let sent = link.send(&vec![0; MIB], MsgFlags::empty())?;
            if sent < MIB {
                return Err(TrafficError::Broken(format!("a blocking write returned after {sent} bytes")));
            }
            Ok(vec![link])
        },
        server: |actor| {
            let socket = open_with(Tcp, V4, sockopt::RcvBuf, &SMALL_BUFFER)?;
            let listener = actor.listen_on(socket, V4)?;
            let link = actor.accept(&listener)?;
            pause(20);
            link.recv_total(MIB, 64 * KIB)?;
            Ok(vec![link])
        },
        older: false,
        sent: MIB as u64,
        received: MIB as u64,
    },
    Case {
        name: "tcp_threads",
        about: "four threads of one process write to one socket",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| send_thousands(&link, 50))).collect();
                threads.into_iter().try_for_each(|thread| match thread.join() {
                    Ok(sent) => sent,
                    Err(_panic) => Err(TrafficError::Broken("a sending thread panicked".to_owned())),
                })
            })?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(200_000, 64 * KIB)?;
            Ok(vec![link])
        },
        older: false,
        sent: 200_000,
        received: 200_000,
    },
];

fn send_blocks(actor: &mut Actor, family: Family) -> Result<Vec<Link>, TrafficError> {
    let link = actor.connect_one(Tcp, family)?;
    for _ in 0..64 {
        link.send_all(&PAYLOAD[..4096])?;
    }
    Ok(vec![link])
}

fn receive_blocks(actor: &mut Actor, family: Family) -> Result<Vec<Link>, TrafficError> {
    let link = actor.accept_one(Tcp, family)?;
    link.recv_total(64 * 4096, 4096)?;
    Ok(vec![link])
}

fn send_thousands(link: &Link, times: usize) -> Result<(), TrafficError> {
    (0..times).try_for_each(|_| link.send_all(&PAYLOAD[..1000]))
}

fn send_without_waiting(actor: &mut Actor) -> Result<Vec<Link>, TrafficError> {
    let server = actor.hear()?;
    let link = actor.connect(open_with(Tcp, V4, sockopt::SndBuf, &SMALL_BUFFER)?, server)?;
    let (mut missing, mut partial, mut refused) = (512 * KIB, 0, 0);
    while missing > 0 {
        let room = missing.min(PAYLOAD.len());
        if let Some(sent) = link.try_send(&PAYLOAD[..room])? {
            missing -= sent;
            partial += usize::from(sent < room);
        } else {
            if refused == 0 {
                actor.signal()?;
            }
            refused += 1;
            link.wait_for(PollFlags::POLLOUT)?;
        }
    }
    if partial == 0 || refused == 0 {
        return Err(TrafficError::Broken(format!("{partial} partial writes and {refused} refused ones")));
    }
    Ok(vec![link])
}
