//! TCP connections that differ in how they start and end.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, getsockopt, sockopt};

use super::super::case::Case;
use super::super::error::{Attempt, Feature, TrafficError};
use super::super::metered_socket::{MeteredSocket, PAYLOAD};
use super::super::options::{FastOpenQueue, TcpInfoHead};
use super::super::sockets::Family::V4;
use super::super::sockets::Transport::Tcp;
use super::super::sockets::{open, open_with};

/// The offset of `tcpi_options` in `struct tcp_info`, and its flag `TCPI_OPT_SYN_DATA`:
/// <https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/tcp.h#L179>.
const TCPI_OPTIONS: usize = 5;
const SYN_DATA: u8 = 32;
const RESET_ON_CLOSE: libc::linger = libc::linger { l_onoff: 1, l_linger: 0 };

pub(super) const CASES: &[Case] = &[
    Case::new(
        "tcp_end_of_stream",
        "repeated reads at the end of the stream and the FIN add no byte",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..300])?;
            sock.end_sending()?;
            sock.recv_to_end()?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_to_end()?;
            sock.recv_to_end()?;
            sock.recv_to_end()?;
            sock.end_sending()?;
            Ok(vec![sock])
        },
    )
    .moves(300),
    Case::new(
        "tcp_half_closed",
        "the client shuts down its sending direction and keeps reading",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..300])?;
            sock.end_sending()?;
            sock.recv_to_end()?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_to_end()?;
            for _ in 0..16 {
                sock.send_all(&PAYLOAD[..5000])?;
            }
            drop(sock);
            Ok(vec![])
        },
    )
    .moves(300 + 16 * 5000),
    Case::new(
        "tcp_closed",
        "both ends close before they report",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..20_000])?;
            drop(sock);
            Ok(vec![])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_to_end()?;
            drop(sock);
            Ok(vec![])
        },
    )
    .moves(20_000),
    Case::new(
        "tcp_reset",
        "the server reads all bytes, then the client resets the connection",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..1000])?;
            worker.wait_for_peer()?;
            reset(sock)
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(1000, 1000)?;
            worker.signal_peer()?;
            match sock.recv(&mut [0; 10], MsgFlags::empty()) {
                Err(TrafficError::Call { cause, .. })
                    if cause.raw_os_error() == Some(Errno::ECONNRESET as i32) =>
                {
                    Ok(vec![sock])
                }
                other => Err(TrafficError::Unexpected(format!("a reset, but reading gave {other:?}"))),
            }
        },
    )
    .moves(1000),
    Case::new(
        "tcp_reset_unread",
        "the server reads a part, then the client resets the connection",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..1000])?;
            worker.wait_for_peer()?;
            reset(sock)
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            sock.recv_total(400, 400)?;
            worker.signal_peer()?;
            Ok(vec![sock])
        },
    )
    .sends(1000)
    .receives(400),
    Case::new(
        "tcp_reset_unsent",
        "the client resets with unsent bytes in its buffer",
        |worker| {
            let server = worker.receive()?;
            let socket = open_with(Tcp, V4, sockopt::SndBuf, &200_000)?;
            let sock = worker.connect(socket, server)?;
            sock.send_all(&PAYLOAD)?;
            worker.signal_peer()?;
            reset(sock)
        },
        |worker| {
            let socket = open_with(Tcp, V4, sockopt::RcvBuf, &4096)?;
            let listener = worker.listen_on(socket, V4)?;
            let sock = worker.accept(&listener)?;
            worker.wait_for_peer()?;
            Ok(vec![sock])
        },
    )
    .sends(PAYLOAD.len())
    .receives(0),
    Case::new(
        "tcp_unread",
        "the server closes with unread bytes in its buffer",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..5000])?;
            worker.signal_peer()?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            worker.wait_for_peer()?;
            sock.recv_total(2000, 2000)?;
            drop(sock);
            Ok(vec![])
        },
    )
    .sends(5000)
    .receives(2000),
    Case::new(
        "tcp_accepted_unread",
        "the server accepts the connection and never reads",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..5000])?;
            Ok(vec![sock])
        },
        |worker| Ok(vec![worker.accept_one(Tcp, V4)?]),
    )
    .sends(5000)
    .receives(0),
    Case::new(
        "tcp_never_accepted",
        "bytes for a connection that the server never accepts",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..5000])?;
            worker.signal_peer()?;
            Ok(vec![sock])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            worker.wait_for_peer()?;
            drop(listener);
            Ok(vec![])
        },
    )
    .sends(5000)
    .receives(0),
    Case::new(
        "tcp_reconnected",
        "one socket, disconnected and connected a second time",
        |worker| {
            let server = worker.receive()?;
            let sock = worker.connect(open(Tcp, V4)?, server)?;
            sock.send_all(&PAYLOAD[..3000])?;
            sock.recv_total(1000, 1000)?;
            disconnect(&sock)?;
            nix::sys::socket::connect(sock.raw(), &SockaddrStorage::from(server)).attempt("connect again")?;
            sock.send_all(&PAYLOAD[..500])?;
            sock.recv_total(200, 200)?;
            Ok(vec![sock])
        },
        |worker| {
            let listener = worker.listen(Tcp, V4)?;
            let first = worker.accept(&listener)?;
            first.recv_total(3000, 3000)?;
            first.send_all(&PAYLOAD[..1000])?;
            let second = worker.accept(&listener)?;
            second.recv_total(500, 500)?;
            second.send_all(&PAYLOAD[..200])?;
            Ok(vec![first, second])
        },
    )
    .moves(4700),
    Case::new(
        "tcp_fast_open",
        "bytes in the SYN",
        |worker| {
            let server = worker.receive()?;
            let sock = worker.meter(open(Tcp, V4)?)?;
            sock.send_to(server, &PAYLOAD[..800], MsgFlags::from_bits_retain(libc::MSG_FASTOPEN))?;
            sock.send_all(&PAYLOAD[..200])?;
            Ok(vec![sock])
        },
        |worker| {
            // Enables client and server, both without a cookie:
            // <https://docs.kernel.org/networking/ip-sysctl.html>, tcp_fastopen.
            std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", (0x1 | 0x2 | 0x4 | 0x200).to_string())
                .needs(Feature::FastOpen)?;
            let listener = worker.listen_on(open_with(Tcp, V4, FastOpenQueue, &16)?, V4)?;
            let sock = worker.accept(&listener)?;
            sock.recv_total(1000, 1000)?;
            let info = getsockopt(&sock, TcpInfoHead).attempt("read a connection's tcp_info")?;
            if info[TCPI_OPTIONS] & SYN_DATA == 0 {
                return Err(TrafficError::Unexpected("the SYN carried no bytes".to_owned()));
            }
            Ok(vec![sock])
        },
    )
    .moves(1000),
];

fn reset(sock: MeteredSocket) -> Result<Vec<MeteredSocket>, TrafficError> {
    sock.set(sockopt::Linger, &RESET_ON_CLOSE)?;
    drop(sock);
    Ok(vec![])
}

/// Connects to `AF_UNSPEC`, which disconnects the socket: <https://man7.org/linux/man-pages/man2/connect.2.html>.
fn disconnect(sock: &MeteredSocket) -> Result<(), TrafficError> {
    let nowhere = libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or_default(),
        sa_data: [0; 14],
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is 16")]
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the address lives during the call and has the given length.
    let disconnected = unsafe { libc::connect(sock.raw(), &raw const nowhere, length) };
    Errno::result(disconnected).attempt("disconnect")?;
    Ok(())
}
