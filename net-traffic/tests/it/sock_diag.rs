//! The lifetime bytes of TCP sockets equal the bytes that the test sent and received, on the running kernel.
//!
//! Needs no root: the test uses its own sockets on loopback.
#![expect(clippy::disallowed_methods, reason = "the kernel is waited for, with a deadline")]

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use net_traffic_linux::netns::NetNs;
use net_traffic_linux::sock_diag::{SockDiag, SocketQuery, States};
use net_traffic_snapshot::Collector;
use net_traffic_snapshot::{Bytes, Protocol, Snapshot, Socket, State};

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// A connection; the test counts the bytes that each end writes and reads.
struct Pair {
    /// The end that connected.
    active: TcpStream,
    /// The end that accepted.
    passive: TcpStream,
}

impl Pair {
    fn new(bind: &str) -> Self {
        let listener = TcpListener::bind(bind).unwrap();
        let active = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (passive, _) = listener.accept().unwrap();
        Self { active, passive }
    }

    /// Waits until both ends have these states and counters.
    #[track_caller]
    fn check(&self, active: (State, Bytes), passive: (State, Bytes)) {
        check(&self.active, active);
        check(&self.passive, passive);
    }
}

const fn moved(rx: u64, tx: u64) -> Bytes {
    Bytes { rx, tx }
}

fn sockets(wanted: &[SocketQuery]) -> Vec<Socket> {
    let mut snapshot = Snapshot::default();
    SockDiag::new(&NetNs::own().unwrap(), wanted).unwrap().collect(&mut snapshot).unwrap();
    snapshot.sockets
}

fn find(local: SocketAddr, remote: Option<SocketAddr>) -> Option<Socket> {
    let matches = |socket: &Socket| {
        let end = |end: &net_traffic_snapshot::Endpoint| SocketAddr::new(end.address, end.port);
        end(&socket.local) == local && socket.remote.as_ref().map(end) == remote
    };
    sockets(SocketQuery::ALL).into_iter().find(matches)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn socket_of(stream: &TcpStream) -> Socket {
    let (local, remote) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    find(canonical(local), Some(canonical(remote))).expect("the socket is in the dump")
}

/// Waits for the state and for acknowledgements. The counters must then be exact.
#[track_caller]
fn check(stream: &TcpStream, expected: (State, Bytes)) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let socket = socket_of(stream);
        let found = (socket.state, socket.lifetime.unwrap());
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?} instead of {expected:?}: {socket:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read(stream: &mut TcpStream, count: usize) {
    stream.read_exact(&mut vec![0; count]).unwrap();
}

fn read_to_end(stream: &mut TcpStream) -> usize {
    stream.read_to_end(&mut Vec::new()).unwrap()
}

#[test]
fn new_connection_has_zero_bytes() {
    for bind in LOOPBACKS {
        let pair = Pair::new(bind);
        pair.check((State::Established, moved(0, 0)), (State::Established, moved(0, 0)));
    }
}

#[test]
fn written_and_read_bytes_count_queued_do_not() {
    for bind in LOOPBACKS {
        let mut pair = Pair::new(bind);
        pair.active.write_all(&[1; 300]).unwrap();
        pair.passive.write_all(&vec![1; 70_000]).unwrap();
        read(&mut pair.passive, 100);
        read(&mut pair.active, 69_999);
        pair.check((State::Established, moved(69_999, 300)), (State::Established, moved(100, 70_000)));
        read(&mut pair.passive, 200);
        read(&mut pair.active, 1);
        pair.check((State::Established, moved(70_000, 300)), (State::Established, moved(300, 70_000)));
    }
}

#[test]
fn peeked_bytes_are_not_counted() {
    let mut pair = Pair::new(LOOPBACKS[0]);
    pair.active.write_all(&[1; 50]).unwrap();
    for _ in 0..4 {
        assert!(pair.passive.peek(&mut [0; 50]).unwrap() > 0);
    }
    check(&pair.passive, (State::Established, moved(0, 0)));
    read(&mut pair.passive, 50);
    check(&pair.passive, (State::Established, moved(50, 0)));
}

#[test]
fn half_closed_connection_keeps_exact_counts() {
    for bind in LOOPBACKS {
        for active_closes in [true, false] {
            let Pair { mut active, mut passive } = Pair::new(bind);
            let (closer, other) =
                if active_closes { (&mut active, &mut passive) } else { (&mut passive, &mut active) };
            closer.write_all(&[1; 300]).unwrap();
            closer.shutdown(Shutdown::Write).unwrap();
            check(closer, (State::FinWait2, moved(0, 300)));
            // The receiver has read neither the data nor the end of the stream.
            check(other, (State::CloseWait, moved(0, 0)));
            read(other, 120);
            check(other, (State::CloseWait, moved(120, 0)));
            // The counters are the same before and after a read of the end of the stream.
            read(other, 180);
            check(other, (State::CloseWait, moved(300, 0)));
            assert_eq!(read_to_end(other), 0);
            check(other, (State::CloseWait, moved(300, 0)));
            // The other direction still works.
            other.write_all(&[1; 5000]).unwrap();
            read(closer, 4000);
            check(closer, (State::FinWait2, moved(4000, 300)));
            check(other, (State::CloseWait, moved(300, 5000)));
        }
    }
}

#[test]
fn fin_without_data_counts_no_byte() {
    for bind in LOOPBACKS {
        let mut pair = Pair::new(bind);
        pair.active.shutdown(Shutdown::Write).unwrap();
        pair.check((State::FinWait2, moved(0, 0)), (State::CloseWait, moved(0, 0)));
        assert_eq!(read_to_end(&mut pair.passive), 0);
        pair.check((State::FinWait2, moved(0, 0)), (State::CloseWait, moved(0, 0)));
    }
}

#[test]
fn unsent_bytes_count_with_and_without_fin() {
    for bind in LOOPBACKS {
        for active_sends in [true, false] {
            let Pair { mut active, mut passive } = Pair::new(bind);
            let (sender, receiver) =
                if active_sends { (&mut active, &mut passive) } else { (&mut passive, &mut active) };
            sender.set_nonblocking(true).unwrap();
            let mut written = 0;
            // The receiver reads nothing, so its window fills and the rest stays unsent.
            while let Ok(more) = sender.write(&[1; 8192]) {
                written += more as u64;
            }
            assert!(written > 100_000);
            check(sender, (State::Established, moved(0, written)));
            assert!(socket_of(sender).tx_queue.unwrap() > 0, "nothing waits: the case is not tested");
            check(receiver, (State::Established, moved(0, 0)));
            sender.shutdown(Shutdown::Write).unwrap();
            check(sender, (State::FinWait1, moved(0, written)));
            read(receiver, 10_000);
            check(receiver, (State::Established, moved(10_000, 0)));
            assert_eq!(read_to_end(receiver) as u64, written - 10_000);
            check(sender, (State::FinWait2, moved(0, written)));
            check(receiver, (State::CloseWait, moved(written, 0)));
        }
    }
}

#[test]
fn mapped_address_is_ipv4_on_both_ends() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut active = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut passive, _) = listener.accept().unwrap();
    active.write_all(&[1; 11]).unwrap();
    read(&mut passive, 11);
    check(&passive, (State::Established, moved(11, 0)));
    let socket = socket_of(&passive);
    assert!(socket.local.address.is_ipv4() && socket.remote.unwrap().address.is_ipv4());
    let listening = find(SocketAddr::new("::".parse().unwrap(), port), None).unwrap();
    assert_eq!(listening.state, State::Listen);
}

#[test]
fn udp_sockets_have_their_peer() {
    for bind in LOOPBACKS {
        let bound = UdpSocket::bind(bind).unwrap();
        let connected = UdpSocket::bind(bind).unwrap();
        let peer = bound.local_addr().unwrap();
        connected.connect(peer).unwrap();
        let unconnected = find(peer, None).unwrap();
        assert_eq!((unconnected.protocol, unconnected.state), (Protocol::Udp, State::Closed));
        let connected = find(connected.local_addr().unwrap(), Some(peer)).unwrap();
        assert_eq!((connected.protocol, connected.state), (Protocol::Udp, State::Established));
        assert_eq!(connected.lifetime, None);
    }
}

#[test]
fn dump_has_only_requested_states_and_protocols() {
    let pair = Pair::new(LOOPBACKS[0]);
    let listener = TcpListener::bind(LOOPBACKS[0]).unwrap();
    let _udp = UdpSocket::bind(LOOPBACKS[0]).unwrap();
    let found = sockets(&[SocketQuery {
        protocol: Protocol::Tcp,
        states: States::ALL.without(&[State::Established]),
    }]);
    assert!(
        found.iter().all(|socket| socket.protocol == Protocol::Tcp && socket.state != State::Established)
    );
    let port = listener.local_addr().unwrap().port();
    assert!(found.iter().any(|socket| socket.local.port == port && socket.state == State::Listen));
    drop(pair);
}

#[test]
fn socket_cookies_are_unique_and_stable() {
    let pair = Pair::new(LOOPBACKS[0]);
    let (active, passive) = (socket_of(&pair.active), socket_of(&pair.passive));
    assert_ne!(active.id, passive.id);
    assert_eq!(active.id, socket_of(&pair.active).id);
    assert_eq!(active.netns, Some(NetNs::own().unwrap().inode()));
    assert!(matches!(active.local.address, IpAddr::V4(_)));
}
