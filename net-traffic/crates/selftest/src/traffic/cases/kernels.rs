//! Ways of moving bytes that a kernel may lack: TLS in the kernel, MPTCP, `io_uring`.

use nix::sys::socket::{MsgFlags, setsockopt, sockopt};

use super::super::actor::Actor;
use super::super::actor::Life::Whole;
use super::super::case::Case;
use super::super::error::{Attempt, Feature, TrafficError};
use super::super::link::{Link, PAYLOAD};
use super::super::sockets::Family::{self, V4, V6};
use super::super::sockets::Transport::{Mptcp, Tcp, Udp};
use super::super::sockets::{open, own_address};
use super::super::uring::Ring;
use net_traffic_snapshot::Protocol;

const TLS_RECORDS: usize = 16;
/// The header, the explicit nonce and the tag of a TLS 1.2 record with AES-GCM.
const TLS_RECORD_OVERHEAD: u64 = 5 + 8 + 16;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "ktls",
        about: "16 records of 4 KiB that the kernel encrypts and decrypts",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            encrypt(&link)?;
            actor.wait()?;
            send_records(&link)?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            encrypt(&link)?;
            actor.signal()?;
            link.recv_total(TLS_RECORDS * 4096, 4096)?;
            link.tally().framing.received(TLS_RECORDS as u64 * TLS_RECORD_OVERHEAD);
            Ok(vec![link])
        },
        older: false,
        sent: TLS_RECORDS as u64 * 4096,
        received: TLS_RECORDS as u64 * 4096,
    },
    Case {
        name: "ktls_shared",
        about: "the parent sends, then its child on the same socket, and the kernel encrypts",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            encrypt(&link)?;
            actor.wait()?;
            send_records(&link)?;
            actor.fork(Whole, |child| {
                let shared = child.share(&link)?;
                send_records(&shared)?;
                Ok(vec![shared])
            })?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = actor.accept_one(Tcp, V4)?;
            encrypt(&link)?;
            actor.signal()?;
            link.recv_total(2 * TLS_RECORDS * 4096, 4096)?;
            link.tally().framing.received(2 * TLS_RECORDS as u64 * TLS_RECORD_OVERHEAD);
            Ok(vec![link])
        },
        older: false,
        sent: 2 * TLS_RECORDS as u64 * 4096,
        received: 2 * TLS_RECORDS as u64 * 4096,
    },
    Case {
        name: "mptcp",
        about: "bytes both ways over MPTCP",
        client: |actor| {
            let link = actor.connect_one(Mptcp, V4)?;
            for _ in 0..32 {
                link.send_all(&PAYLOAD[..4000])?;
            }
            link.recv_total(1000, 1000)?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = accept_speaking(actor, Protocol::Mptcp, V4)?;
            link.recv_total(32 * 4000, 4096)?;
            link.send_all(&PAYLOAD[..1000])?;
            Ok(vec![link])
        },
        older: false,
        sent: 129_000,
        received: 129_000,
    },
    Case {
        name: "mptcp_ipv6",
        about: "bytes over MPTCP and IPv6, closed before the truth is told",
        client: |actor| {
            let link = actor.connect_one(Mptcp, V6)?;
            link.send_all(&PAYLOAD[..50_000])?;
            drop(link);
            Ok(vec![])
        },
        server: |actor| {
            let link = accept_speaking(actor, Protocol::Mptcp, V6)?;
            link.recv_to_end()?;
            drop(link);
            Ok(vec![])
        },
        older: false,
        sent: 50_000,
        received: 50_000,
    },
    Case {
        name: "mptcp_fallback",
        about: "a plain TCP client of an MPTCP server",
        client: |actor| {
            let link = actor.connect_one(Tcp, V4)?;
            link.send_all(&PAYLOAD[..9000])?;
            Ok(vec![link])
        },
        server: |actor| {
            let link = accept_speaking(actor, Protocol::Tcp, V4)?;
            link.recv_total(9000, 4096)?;
            Ok(vec![link])
        },
        older: false,
        sent: 9000,
        received: 9000,
    },
    Case {
        name: "uring_tcp",
        about: "send and receive through io_uring",
        client: |actor| {
            let mut ring = Ring::new()?;
            let link = actor.connect_one(Tcp, V4)?;
            uring_send(&mut ring, &link, 32 * 4000, 4000)?;
            Ok(vec![link])
        },
        server: |actor| {
            let mut ring = Ring::new()?;
            let link = actor.accept_one(Tcp, V4)?;
            uring_receive(&mut ring, &link, 32 * 4000, 4096)?;
            Ok(vec![link])
        },
        older: false,
        sent: 32 * 4000,
        received: 32 * 4000,
    },
    Case {
        name: "uring_udp",
        about: "datagrams through io_uring",
        client: |actor| {
            let mut ring = Ring::new()?;
            let server = actor.hear()?;
            let link = actor.connect(open(Udp, V4)?, server)?;
            uring_send(&mut ring, &link, 32 * 1000, 1000)?;
            Ok(vec![link])
        },
        server: |actor| {
            let mut ring = Ring::new()?;
            let link = actor.bind_udp(V4)?;
            actor.tell(&own_address(&link)?)?;
            uring_receive(&mut ring, &link, 32 * 1000, 1000)?;
            Ok(vec![link])
        },
        older: false,
        sent: 32 * 1000,
        received: 32 * 1000,
    },
    Case {
        name: "uring_polled",
        about: "send and receive by the kernel's own polling threads",
        client: |actor| uring_polled(actor, true),
        server: |actor| uring_polled(actor, false),
        older: false,
        sent: 32 * 4000,
        received: 32 * 4000,
    },
];

fn send_records(link: &Link) -> Result<(), TrafficError> {
    for _ in 0..TLS_RECORDS {
        link.send(&PAYLOAD[..4096], MsgFlags::empty())?;
    }
    link.tally().framing.sent(TLS_RECORDS as u64 * TLS_RECORD_OVERHEAD);
    Ok(())
}

/// Both directions with one fixed key: the kernel shall move bytes, not keep a secret.
fn encrypt(link: &Link) -> Result<(), TrafficError> {
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
    setsockopt(link, sockopt::TcpUlp::default(), b"tls").needs(Feature::KernelTls)?;
    // ENOENT: the kernel has TLS, but not the cipher.
    setsockopt(link, sockopt::TcpTlsTx, &keys).needs(Feature::KernelTls)?;
    setsockopt(link, sockopt::TcpTlsRx, &keys).attempt("set the receiving TLS key")
}

/// An MPTCP server's connection, which must be what the client speaks: MPTCP falls back to TCP without a word.
fn accept_speaking(actor: &mut Actor, protocol: Protocol, family: Family) -> Result<Link, TrafficError> {
    let link = actor.accept_one(Mptcp, family)?;
    let spoken = link.tally().protocol;
    if spoken == protocol {
        return Ok(link);
    }
    Err(TrafficError::Broken(format!("the connection speaks {spoken:?}, not {protocol:?}")))
}

fn uring_polled(actor: &mut Actor, sends: bool) -> Result<Vec<Link>, TrafficError> {
    let mut ring = Ring::with_polling_thread()?;
    let link = if sends { actor.connect_one(Tcp, V4) } else { actor.accept_one(Tcp, V4) }?;
    if sends {
        uring_send(&mut ring, &link, 32 * 4000, 4000)?;
    } else {
        uring_receive(&mut ring, &link, 32 * 4000, 4096)?;
    }
    Ok(vec![link])
}

fn uring_send(ring: &mut Ring, link: &Link, total: usize, chunk: usize) -> Result<(), TrafficError> {
    let mut missing = total;
    while missing > 0 {
        missing -= link.sent(ring.send(link, &PAYLOAD[..missing.min(chunk)]))?;
    }
    Ok(())
}

fn uring_receive(ring: &mut Ring, link: &Link, total: usize, chunk: usize) -> Result<(), TrafficError> {
    let mut buffer = vec![0; chunk];
    let mut missing = total;
    while missing > 0 {
        missing -= link.received(ring.recv(link, &mut buffer))?;
    }
    Ok(())
}
