//! Features that a kernel may lack: kernel TLS, MPTCP, `io_uring`.

use nix::sys::socket::{MsgFlags, setsockopt, sockopt};

use super::super::case::Case;
use super::super::error::{Attempt, Feature, TrafficError};
use super::super::metered_socket::{MeteredSocket, PAYLOAD};
use super::super::sockets::Family::{self, V4, V6};
use super::super::sockets::Transport::{Mptcp, Tcp, Udp};
use super::super::sockets::{open, own_address};
use super::super::uring::Ring;
use super::super::worker::ChildExit::AtFinish;
use super::super::worker::Worker;
use net_traffic_snapshot::Protocol;

const TLS_RECORDS: usize = 16;
/// The header, the explicit nonce and the tag of a TLS 1.2 record with AES-GCM.
const TLS_RECORD_OVERHEAD: u64 = 5 + 8 + 16;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "ktls",
        "16 records of 4 KiB, encrypted and decrypted by the kernel",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            encrypt(&sock)?;
            worker.wait_for_peer()?;
            send_records(&sock)?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            encrypt(&sock)?;
            worker.signal_peer()?;
            sock.recv_total(TLS_RECORDS * 4096, 4096)?;
            sock.tally().framing.received(TLS_RECORDS as u64 * TLS_RECORD_OVERHEAD);
            Ok(vec![sock])
        },
    )
    .moves(TLS_RECORDS * 4096),
    Case::new(
        "ktls_shared",
        "parent and child send on one socket with kernel TLS",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            encrypt(&sock)?;
            worker.wait_for_peer()?;
            send_records(&sock)?;
            worker.fork(AtFinish, |child| {
                let shared = child.share(&sock)?;
                send_records(&shared)?;
                Ok(vec![shared])
            })?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = worker.accept_one(Tcp, V4)?;
            encrypt(&sock)?;
            worker.signal_peer()?;
            sock.recv_total(2 * TLS_RECORDS * 4096, 4096)?;
            sock.tally().framing.received(2 * TLS_RECORDS as u64 * TLS_RECORD_OVERHEAD);
            Ok(vec![sock])
        },
    )
    .moves(2 * TLS_RECORDS * 4096),
    Case::new(
        "mptcp",
        "bytes both ways over MPTCP",
        |worker| {
            let sock = worker.connect_one(Mptcp, V4)?;
            for _ in 0..32 {
                sock.send_all(&PAYLOAD[..4000])?;
            }
            sock.recv_total(1000, 1000)?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = accept_protocol(worker, Protocol::Mptcp, V4)?;
            sock.recv_total(32 * 4000, 4096)?;
            sock.send_all(&PAYLOAD[..1000])?;
            Ok(vec![sock])
        },
    )
    .moves(129_000),
    Case::new(
        "mptcp_ipv6",
        "bytes over MPTCP and IPv6, closed before both ends report",
        |worker| {
            let sock = worker.connect_one(Mptcp, V6)?;
            sock.send_all(&PAYLOAD[..50_000])?;
            drop(sock);
            Ok(vec![])
        },
        |worker| {
            let sock = accept_protocol(worker, Protocol::Mptcp, V6)?;
            sock.recv_to_end()?;
            drop(sock);
            Ok(vec![])
        },
    )
    .moves(50_000),
    Case::new(
        "mptcp_fallback",
        "a plain TCP client of an MPTCP server",
        |worker| {
            let sock = worker.connect_one(Tcp, V4)?;
            sock.send_all(&PAYLOAD[..9000])?;
            Ok(vec![sock])
        },
        |worker| {
            let sock = accept_protocol(worker, Protocol::Tcp, V4)?;
            sock.recv_total(9000, 4096)?;
            Ok(vec![sock])
        },
    )
    .moves(9000),
    Case::new(
        "uring_tcp",
        "send and receive through io_uring",
        |worker| {
            let mut ring = Ring::new()?;
            let sock = worker.connect_one(Tcp, V4)?;
            uring_send(&mut ring, &sock, 32 * 4000, 4000)?;
            Ok(vec![sock])
        },
        |worker| {
            let mut ring = Ring::new()?;
            let sock = worker.accept_one(Tcp, V4)?;
            uring_receive(&mut ring, &sock, 32 * 4000, 4096)?;
            Ok(vec![sock])
        },
    )
    .moves(32 * 4000),
    Case::new(
        "uring_udp",
        "datagrams through io_uring",
        |worker| {
            let mut ring = Ring::new()?;
            let server = worker.receive()?;
            let sock = worker.connect(open(Udp, V4)?, server)?;
            uring_send(&mut ring, &sock, 32 * 1000, 1000)?;
            Ok(vec![sock])
        },
        |worker| {
            let mut ring = Ring::new()?;
            let sock = worker.bind_udp(V4)?;
            worker.send(&own_address(&sock)?)?;
            uring_receive(&mut ring, &sock, 32 * 1000, 1000)?;
            Ok(vec![sock])
        },
    )
    .moves(32 * 1000),
    Case::new(
        "uring_polled",
        "send and receive by submission threads of the kernel",
        |worker| uring_polled(worker, true),
        |worker| uring_polled(worker, false),
    )
    .moves(32 * 4000),
];

fn send_records(sock: &MeteredSocket) -> Result<(), TrafficError> {
    for _ in 0..TLS_RECORDS {
        sock.send(&PAYLOAD[..4096], MsgFlags::empty())?;
    }
    sock.tally().framing.sent(TLS_RECORDS as u64 * TLS_RECORD_OVERHEAD);
    Ok(())
}

/// Sets one fixed key for both directions; the content is no secret.
fn encrypt(sock: &MeteredSocket) -> Result<(), TrafficError> {
    let keys = sockopt::TlsCryptoInfo::Aes128Gcm(libc::tls12_crypto_info_aes_gcm_128 {
        info: libc::tls_crypto_info {
            version: libc::TLS_1_2_VERSION,
            cipher_type: libc::TLS_CIPHER_AES_GCM_128,
        },
        iv: [1; 8],
        key: [2; 16],
        salt: [3; 4],
        rec_seq: [0; 8],
    });
    setsockopt(sock, sockopt::TcpUlp::default(), b"tls").needs(Feature::KernelTls)?;
    // ENOENT means that the kernel has TLS but lacks the cipher.
    setsockopt(sock, sockopt::TcpTlsTx, &keys).needs(Feature::KernelTls)?;
    setsockopt(sock, sockopt::TcpTlsRx, &keys).attempt("set the receiving TLS key")
}

/// Accepts a connection of an MPTCP listener and checks its protocol: MPTCP falls back to TCP without an error.
fn accept_protocol(
    worker: &mut Worker,
    protocol: Protocol,
    family: Family,
) -> Result<MeteredSocket, TrafficError> {
    let sock = worker.accept_one(Mptcp, family)?;
    let actual = sock.tally().protocol;
    if actual == protocol {
        return Ok(sock);
    }
    Err(TrafficError::Unexpected(format!("the connection's protocol is {actual:?}, not {protocol:?}")))
}

fn uring_polled(worker: &mut Worker, sends: bool) -> Result<Vec<MeteredSocket>, TrafficError> {
    let mut ring = Ring::with_polling_thread()?;
    let sock = if sends { worker.connect_one(Tcp, V4) } else { worker.accept_one(Tcp, V4) }?;
    if sends {
        uring_send(&mut ring, &sock, 32 * 4000, 4000)?;
    } else {
        uring_receive(&mut ring, &sock, 32 * 4000, 4096)?;
    }
    Ok(vec![sock])
}

fn uring_send(ring: &mut Ring, sock: &MeteredSocket, total: usize, chunk: usize) -> Result<(), TrafficError> {
    let mut missing = total;
    while missing > 0 {
        missing -= sock.sent(ring.send(sock, &PAYLOAD[..missing.min(chunk)]))?;
    }
    Ok(())
}

fn uring_receive(
    ring: &mut Ring,
    sock: &MeteredSocket,
    total: usize,
    chunk: usize,
) -> Result<(), TrafficError> {
    let mut buffer = vec![0; chunk];
    let mut missing = total;
    while missing > 0 {
        missing -= sock.received(ring.recv(sock, &mut buffer))?;
    }
    Ok(())
}
