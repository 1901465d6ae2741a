//! Snapshots of network namespaces that the test makes, with packet loss, other owners and fewer rights.
//!
//! Needs root (`CAP_SYS_ADMIN`), else skips.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use net_traffic_linux::netns::NetNs;
use net_traffic_linux::polling::{Polling, Scope};
use net_traffic_linux::sock_diag::SocketQuery;
use net_traffic_snapshot::{Bytes, Snapshot, Socket, State};
use net_traffic_testing::{in_new_netns, skip, wait_until};

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        outcome => Err(format!("{program} {}: {outcome:?}", arguments.join(" "))),
    }
}

fn snapshot_of(netns: NetNs) -> Snapshot {
    Polling::new(Scope { netns, sockets: SocketQuery::ALL.to_vec() }).unwrap().snapshot()
}

fn snapshot() -> Snapshot {
    snapshot_of(NetNs::own().unwrap())
}

fn connect() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let active = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (active, listener.accept().unwrap().0)
}

fn socket_of(stream: &TcpStream) -> Socket {
    let port = stream.local_addr().unwrap().port();
    let connected = |socket: &Socket| socket.local.port == port && socket.remote.is_some();
    snapshot().sockets.into_iter().find(connected).unwrap()
}

#[track_caller]
fn check_tx(stream: &TcpStream, state: State, tx: u64) {
    let socket = socket_of(stream);
    assert_eq!((socket.state, socket.lifetime.map(|bytes| bytes.tx)), (state, Some(tx)), "{socket:?}");
}

#[test]
fn retransmitted_segments_count_once() {
    in_new_netns("retransmitted_segments_count_once", || {
        let (mut active, mut passive) = connect();
        active.write_all(&[1; 100]).unwrap();
        passive.read_exact(&mut [0; 100]).unwrap();
        run("ip", &["link", "set", "lo", "down"]).unwrap();
        active.write_all(&[1; 300]).unwrap();
        passive.write_all(&[1; 70]).unwrap();
        wait_until("two retransmissions", || socket_of(&active).tcp.unwrap().retransmits >= Some(2));
        check_tx(&active, State::Established, 400);
        check_tx(&passive, State::Established, 70);
        active.shutdown(Shutdown::Write).unwrap();
        check_tx(&active, State::FinWait1, 400);
        run("ip", &["link", "set", "lo", "up"]).unwrap();
        passive.shutdown(Shutdown::Write).unwrap();
        wait_until("the passive side's counters", || {
            let found = |socket: &Socket| {
                let port = passive.local_addr().unwrap().port();
                socket.local.port == port && socket.lifetime == Some(Bytes { rx: 100, tx: 70 })
            };
            snapshot().sockets.iter().any(found)
        });
    });
}

#[test]
fn simultaneous_close_counts_no_fin() {
    in_new_netns("simultaneous_close_counts_no_fin", || {
        let (mut active, mut passive) = connect();
        active.write_all(&[1; 10]).unwrap();
        passive.write_all(&[1; 20]).unwrap();
        passive.read_exact(&mut [0; 10]).unwrap();
        active.read_exact(&mut [0; 20]).unwrap();
        // The FIN of the accepting end arrives; the FIN of the other end cannot leave.
        passive.shutdown(Shutdown::Write).unwrap();
        wait_until("CLOSE-WAIT", || socket_of(&active).state == State::CloseWait);
        run("ip", &["link", "set", "lo", "down"]).unwrap();
        active.shutdown(Shutdown::Write).unwrap();
        let socket = socket_of(&active);
        assert_eq!((socket.state, socket.lifetime), (State::LastAck, Some(Bytes { rx: 20, tx: 10 })));
        assert_eq!(active.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(socket_of(&active).lifetime, Some(Bytes { rx: 20, tx: 10 }));
    });
}

#[test]
fn locally_dropped_segments_count_once() {
    in_new_netns("locally_dropped_segments_count_once", || {
        let (mut active, mut passive) = connect();
        let shaper =
            ["qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1kbit", "burst", "1", "limit", "1"];
        if let Err(refusal) = run("tc", &shaper) {
            return skip(&format!("locally_dropped_segments_count_once: {refusal}"));
        }
        active.write_all(&[1; 300]).unwrap();
        passive.write_all(&[1; 70]).unwrap();
        wait_until("the shaper drops retransmissions too", || dropped_by_shaper() >= 6);
        check_tx(&passive, State::Established, 70);
        // The documented limit: the counter includes the SYN of the connecting end.
        check_tx(&active, State::Established, 301);
        run("tc", &["qdisc", "del", "dev", "lo", "root"]).unwrap();
        wait_until("the bytes arrive", || socket_of(&passive).rx_queue == Some(300));
        check_tx(&passive, State::Established, 70);
        check_tx(&active, State::Established, 301);
    });
}

/// The count in tc's "(dropped N, overlimits ...".
fn dropped_by_shaper() -> u64 {
    let output = Command::new("tc").args(["-s", "qdisc", "show", "dev", "lo"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = text.split_once("(dropped ").unwrap();
    rest.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn interface_counters_equal_its_packets() {
    in_new_netns("interface_counters_equal_its_packets", || {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..10 {
            sender.send_to(&[0; 100], receiver.local_addr().unwrap()).unwrap();
        }
        let snapshot = snapshot();
        let [loopback] = &snapshot.interfaces[..] else { panic!("{:?}", snapshot.interfaces) };
        assert_eq!((loopback.name.as_str(), loopback.up, loopback.index), ("lo", true, 1));
        assert_eq!(loopback.netns, Some(NetNs::own().unwrap().inode()));
        // The payload and the headers of UDP and IPv4. Loopback does not count a link header.
        for counters in [&loopback.rx, &loopback.tx] {
            assert_eq!((counters.packets, counters.bytes), (10, 10 * (100 + 8 + 20)));
            assert_eq!((counters.errors, counters.dropped), (0, 0));
        }
    });
}

#[test]
fn other_namespace_is_read_from_outside() {
    let (ready, told) = mpsc::channel();
    let (done, until) = mpsc::channel::<()>();
    let inside = move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid());
        ready.send((path, listener.local_addr().unwrap().port())).unwrap();
        assert!(until.recv().is_err(), "nothing is sent");
    };
    let thread = thread::spawn(move || in_new_netns("other_namespace_is_read_from_outside", inside));
    // Without rights the thread skips and ends.
    if let Ok((path, port)) = told.recv() {
        let netns = NetNs::resolve(&path).unwrap();
        let inode = netns.inode();
        assert_ne!(inode, NetNs::own().unwrap().inode());
        let snapshot = snapshot_of(netns);
        let [socket] = &snapshot.sockets[..] else { panic!("{:?}", snapshot.sockets) };
        assert_eq!((socket.local.port, socket.netns), (port, Some(inode)));
        assert_eq!(socket.owner.unwrap().pid, std::process::id());
        let [loopback] = &snapshot.interfaces[..] else { panic!("{:?}", snapshot.interfaces) };
        assert_eq!(loopback.netns, Some(inode));
        drop(done);
    }
    thread.join().unwrap();
}

/// A child that holds a socket; this process has no descriptor of it.
struct Holder(Child);

impl Holder {
    fn of(listener: &TcpListener) -> Self {
        // Standard input is the one descriptor that no other child can inherit meanwhile.
        let stdin = Stdio::from(OwnedFd::from(listener.try_clone().unwrap()));
        Self(Command::new("sleep").arg("60").stdin(stdin).spawn().unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn owner_without_rights_is_unknown_with_remedy() {
    in_new_netns("owner_without_rights_is_unknown_with_remedy", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = Holder::of(&listener);
        drop(listener);

        let privileged = snapshot();
        let [socket] = &privileged.sockets[..] else { panic!("{:?}", privileged.sockets) };
        assert_eq!(socket.owner.unwrap().pid, holder.0.id());
        let [process] = &privileged.processes[..] else { panic!("{:?}", privileged.processes) };
        assert_eq!((process.name.as_str(), process.command.as_deref()), ("sleep", Some("sleep 60")));
        assert_eq!(process.user.as_deref(), Some("root"));
        let owners = |snapshot: &Snapshot| {
            snapshot.status.iter().find(|status| status.slot == "owners").cloned().unwrap()
        };
        assert_eq!(owners(&privileged).reason, None);

        let unprivileged = thread::scope(|scope| scope.spawn(as_nobody).join().unwrap());
        let [socket] = &unprivileged.sockets[..] else { panic!("{:?}", unprivileged.sockets) };
        assert_eq!((socket.owner, socket.uid, socket.state), (None, Some(0), State::Listen));
        let reason = owners(&unprivileged).reason.unwrap();
        assert!(reason.starts_with("1 sockets without an owner"), "{reason}");
        // The missing rights are an entry of their own, which exists also while every owner is known.
        let lacking = unprivileged.status.iter().rfind(|status| status.slot == "owners").unwrap();
        let reason = lacking.reason.as_deref().unwrap();
        assert!(reason.starts_with("CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"), "{reason}");
        assert!(lacking.remedy.as_deref().unwrap().contains("setcap"));
    });
}

/// Drops the rights of the calling thread only: the system call changes one thread, libc's function all threads.
fn as_nobody() -> Snapshot {
    // SAFETY: the system call takes numbers only.
    let changed = unsafe { libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534) };
    assert_eq!(changed, 0);
    snapshot()
}
