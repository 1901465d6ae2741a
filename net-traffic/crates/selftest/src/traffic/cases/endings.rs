//! TCP connections that differ in how they begin and end.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, getsockopt, sockopt};

use super::super::case::Case;
use super::super::error::{Attempt, Feature, TrafficError};
use super::super::link::{Link, PAYLOAD};
use super::super::options::{FastOpenQueue, TcpInfoHead};
use super::super::sockets::Family::V4;
use super::super::sockets::Transport::Tcp;
use super::super::sockets::{open, open_with};

/// `tcpi_options` of `tcp_info`, and in it `TCPI_OPT_SYN_DATA` of linux/tcp.h.
const TCPI_OPTIONS: usize = 5;
const BYTES_CAME_IN_SYN: u8 = 32;
const RESET_ON_CLOSE: libc::linger = libc::linger { l_onoff: 1, l_linger: 0 };

pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcp_end_of_stream",
        about: "reading the end again and again is no byte, and neither is the FIN",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..300])?;
            link.end_sending()?;
            link.recv_to_end()?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_to_end()?;
            link.recv_to_end()?;
            link.recv_to_end()?;
            link.end_sending()?;
            Ok(vec![link])
        },
        older: false,
        sent: 300,
        received: 300,
    },
    Case {
        name: "tcp_half_closed",
        about: "the client ends its direction and reads on",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..300])?;
            link.end_sending()?;
            link.recv_to_end()?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_to_end()?;
            for _ in 0..16 {
                link.send_all(&PAYLOAD[..5000])?;
            }
            drop(link);
            Ok(vec![])
        },
        older: false,
        sent: 300 + 16 * 5000,
        received: 300 + 16 * 5000,
    },
    Case {
        name: "tcp_closed",
        about: "both ends have closed before the truth is told",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..20_000])?;
            drop(link);
            Ok(vec![])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_to_end()?;
            drop(link);
            Ok(vec![])
        },
        older: false,
        sent: 20_000,
        received: 20_000,
    },
    Case {
        name: "tcp_reset",
        about: "everything is read, then the client resets the connection",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..1000])?;
            actor.wait()?;
            reset(link)
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(1000, 1000)?;
            actor.signal()?;
            match link.recv(&mut [0; 10], MsgFlags::empty()) {
                Err(TrafficError::Call { cause, .. })
                    if cause.raw_os_error() == Some(Errno::ECONNRESET as i32) =>
                {
                    Ok(vec![link])
                }
                other => Err(TrafficError::Broken(format!("a reset, but reading gave {other:?}"))),
            }
        },
        older: false,
        sent: 1000,
        received: 1000,
    },
    Case {
        name: "tcp_reset_unread",
        about: "a part is read, then the client resets the connection",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..1000])?;
            actor.wait()?;
            reset(link)
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            link.recv_total(400, 400)?;
            actor.signal()?;
            Ok(vec![link])
        },
        older: false,
        sent: 1000,
        received: 400,
    },
    Case {
        name: "tcp_reset_unsent",
        about: "the client resets with bytes in its buffer that never left",
        client: |actor| {
            let server = actor.hear()?;
            let socket = open_with(Tcp, V4, sockopt::SndBuf, &200_000)?;
            let link = actor.connect(socket, server)?;
            link.send_all(&PAYLOAD)?;
            actor.signal()?;
            reset(link)
        },
        server: |actor| {
            let socket = open_with(Tcp, V4, sockopt::RcvBuf, &4096)?;
            let listener = actor.listen_on(socket, V4)?;
            let link = actor.accept(&listener)?;
            actor.wait()?;
            Ok(vec![link])
        },
        older: false,
        sent: PAYLOAD.len() as u64,
        received: 0,
    },
    Case {
        name: "tcp_unread",
        about: "the server closes with unread bytes in its buffer",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..5000])?;
            actor.signal()?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            actor.wait()?;
            link.recv_total(2000, 2000)?;
            drop(link);
            Ok(vec![])
        },
        older: false,
        sent: 5000,
        received: 2000,
    },
    Case {
        name: "tcp_accepted_unread",
        about: "accepted, and never read",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..5000])?;
            Ok(vec![link])
        },
        server: |actor| Ok(vec![actor.accept_one(Tcp, V4)?]),
        older: false,
        sent: 5000,
        received: 0,
    },
    Case {
        name: "tcp_never_accepted",
        about: "bytes for a connection that the server never accepts",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..5000])?;
            actor.signal()?;
            Ok(vec![link])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            actor.wait()?;
            drop(listener);
            Ok(vec![])
        },
        older: false,
        sent: 5000,
        received: 0,
    },
    Case {
        name: "tcp_reconnected",
        about: "one socket, disconnected and connected a second time",
        client: |actor| {
            let server = actor.hear()?;
            let link = actor.connect(open(Tcp, V4)?, server)?;
            link.send_all(&PAYLOAD[..3000])?;
            link.recv_total(1000, 1000)?;
            disconnect(&link)?;
            nix::sys::socket::connect(link.raw(), &SockaddrStorage::from(server)).attempt("connect again")?;
            link.send_all(&PAYLOAD[..500])?;
            link.recv_total(200, 200)?;
            Ok(vec![link])
        },
        server: |actor| {
            let listener = actor.listen(Tcp, V4)?;
            let first = actor.accept(&listener)?;
            first.recv_total(3000, 3000)?;
            first.send_all(&PAYLOAD[..1000])?;
            let second = actor.accept(&listener)?;
            second.recv_total(500, 500)?;
            second.send_all(&PAYLOAD[..200])?;
            Ok(vec![first, second])
        },
        older: false,
        sent: 4700,
        received: 4700,
    },
    Case {
        name: "tcp_fast_open",
        about: "bytes in the SYN",
        client: |actor| {
            let server = actor.hear()?;
            let link = actor.meter(open(Tcp, V4)?)?;
            link.send_to(server, &PAYLOAD[..800], MsgFlags::from_bits_retain(libc::MSG_FASTOPEN))?;
            link.send_all(&PAYLOAD[..200])?;
            Ok(vec![link])
        },
        server: |actor| {
            // Both sides, and neither asks for a cookie first.
            std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", (0x1 | 0x2 | 0x4 | 0x200).to_string())
                .needs(Feature::FastOpen)?;
            let listener = actor.listen_on(open_with(Tcp, V4, FastOpenQueue, &16)?, V4)?;
            let link = actor.accept(&listener)?;
            link.recv_total(1000, 1000)?;
            let info = getsockopt(&link, TcpInfoHead).attempt("read a connection's tcp_info")?;
            if info[TCPI_OPTIONS] & BYTES_CAME_IN_SYN == 0 {
                return Err(TrafficError::Broken("the SYN brought no bytes".to_owned()));
            }
            Ok(vec![link])
        },
        older: false,
        sent: 1000,
        received: 1000,
    },
];

fn reset(link: Link) -> Result<Vec<Link>, TrafficError> {
    link.set(sockopt::Linger, &RESET_ON_CLOSE)?;
    drop(link);
    Ok(vec![])
}

/// Connects to "no address", which ends the connection and keeps the socket.
fn disconnect(link: &Link) -> Result<(), TrafficError> {
    let nowhere = libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or_default(),
        sa_data: [0; 14],
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is 16")]
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the address lives over the call and has the length that is given.
    let disconnected = unsafe { libc::connect(link.raw(), &raw const nowhere, length) };
    Errno::result(disconnected).attempt("disconnect")?;
    Ok(())
}
