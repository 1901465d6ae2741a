//! Owners of sockets of the test process, as /proc shows them.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::*;
use net_traffic_snapshot::{Endpoint, Protocol, State};

fn inode_of(socket: &impl AsRawFd) -> u64 {
    std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino()
}

fn socket(id: u64, inode: u64) -> Socket {
    let local = Endpoint { address: [127, 0, 0, 1].into(), port: 1 };
    Socket {
        id: SocketId(id),
        protocol: Protocol::Udp,
        local,
        remote: None,
        state: State::Closed,
        netns: None,
        ifindex: None,
        owner: None,
        uid: None,
        inode: Some(inode),
        lifetime: None,
        counted: None,
        tcp: None,
        rx_queue: None,
        tx_queue: None,
        opened_ns: None,
        closed: false,
    }
}

fn collect(collector: &mut ProcFs, sockets: Vec<Socket>) -> Snapshot {
    let mut snapshot = Snapshot { sockets, ..Snapshot::default() };
    collector.collect(&mut snapshot).unwrap();
    snapshot
}

#[test]
fn own_socket_has_this_process_with_details() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let snapshot = collect(&mut ProcFs::default(), vec![socket(1, inode_of(&held))]);
    let owner = snapshot.sockets[0].owner.unwrap();
    assert_eq!(owner.pid, std::process::id());
    let [process] = &snapshot.processes[..] else { panic!("{:?}", snapshot.processes) };
    assert_eq!(process.id, owner);
    let program = std::env::args().next().unwrap();
    assert!(process.command.as_deref().unwrap().starts_with(&program));
    assert_eq!(process.uid, Some(nix::unistd::geteuid().as_raw()));
    assert!(process.cgroup.as_deref().unwrap().starts_with('/'));
    assert!(!process.exited);
}

#[test]
fn user_of_socket_without_owner_is_named() {
    let by_root = Socket { uid: Some(0), ..socket(1, u64::MAX) };
    let by_unknown = Socket { uid: Some(4_000_000_000), ..socket(2, u64::MAX) };
    let snapshot = collect(&mut ProcFs::default(), vec![by_root, by_unknown]);
    assert_eq!(snapshot.users, [(0, "root".to_owned())].into());
}

#[test]
fn known_owner_is_kept_without_another_search() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut collector = ProcFs::default();
    let first = collect(&mut collector, vec![socket(1, inode_of(&held))]);
    // The same socket with an inode without a descriptor: a search finds no owner.
    let second = collect(&mut collector, vec![socket(1, u64::MAX)]);
    assert_eq!(first.sockets[0].owner, second.sockets[0].owner);
    assert_eq!(collector.failed_searches.len(), 0);
}

#[test]
fn socket_without_owner_is_searched_three_times() {
    let mut collector = ProcFs::default();
    for times in 1..=5 {
        let snapshot = collect(&mut collector, vec![socket(1, u64::MAX)]);
        assert_eq!(snapshot.sockets[0].owner, None);
        assert!(snapshot.status[0].reason.as_deref().unwrap().starts_with("1 sockets without an owner"));
        assert_eq!(collector.failed_searches[&SocketId(1)], SEARCHES.min(times));
    }
}

#[test]
fn closed_socket_is_removed_from_the_cache() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut collector = ProcFs::default();
    collect(&mut collector, vec![socket(1, inode_of(&held)), socket(2, u64::MAX)]);
    let snapshot = collect(&mut collector, vec![]);
    assert_eq!((collector.owners.len(), collector.failed_searches.len()), (0, 0));
    assert!(snapshot.processes.is_empty(), "the process lives and owns no socket");
}

#[test]
fn ended_owner_is_reported_once_and_replaced() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let inode = inode_of(&held);
    let mut collector = ProcFs::default();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let id = process::ProcessDir::open(child.id()).unwrap().id(child.id()).unwrap();
    let inherited = Socket { owner: Some(id), ..socket(1, inode) };
    let first = collect(&mut collector, vec![inherited]);
    assert_eq!((first.processes[0].id, first.processes[0].exited), (id, false));
    collector.owners.insert(SocketId(1), id);

    child.kill().unwrap();
    child.wait().unwrap();
    let second = collect(&mut collector, vec![socket(1, inode)]);
    assert_eq!(second.sockets[0].owner.unwrap().pid, std::process::id());
    let ended: Vec<_> = second.processes.iter().filter(|process| process.exited).collect();
    assert_eq!((ended.len(), ended[0].id), (1, id));

    let third = collect(&mut collector, vec![socket(1, inode)]);
    assert!(third.processes.iter().all(|process| !process.exited));
}

#[test]
fn process_of_another_collector_is_completed() {
    let id = process::ProcessDir::open(std::process::id()).unwrap().id(std::process::id()).unwrap();
    let partial = Process {
        id,
        name: "first".to_owned(),
        command: None,
        uid: Some(4242),
        user: None,
        container: None,
        cgroup: None,
        counted: None,
        exited: false,
    };
    let mut snapshot = Snapshot { processes: vec![partial], ..Snapshot::default() };
    ProcFs::default().collect(&mut snapshot).unwrap();
    let [process] = &snapshot.processes[..] else { panic!("{:?}", snapshot.processes) };
    assert_eq!((process.name.as_str(), process.uid), ("first", Some(4242)));
    assert!(process.command.is_some() && process.cgroup.is_some());
}
