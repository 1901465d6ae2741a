//! `top`: bytes per process, container, namespace and destination, including ended ones.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use libtest_mimic::Failed;
use net_traffic_selftest::traffic::NetNs;
use serde_json::Value;

use super::super::tracer::{Machine, Tier, Tracer};
use super::Check;
use super::report::{program, top};
use super::server::{ANSWER, REPLY, answer, datagrams, streams};
use super::worker::{PAYLOAD_LEN, command};
use net_traffic_testing::report::{bytes, equal, rows};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("top::ended", || ended(Ipv4Addr::LOCALHOST.into())),
    ("top::ended_ipv6", || ended(Ipv6Addr::LOCALHOST.into())),
    ("top::datagrams", udp),
    ("top::late_peer", late_peer),
    ("top::shared_socket", shared_socket),
    ("top::equal_tuples", equal_tuples),
    ("top::container", container),
    ("top::count", count),
    ("connections::own_namespace", own_namespace),
];

const REPLIED: u64 = REPLY as u64;

/// Runs a worker to its end; returns its process id.
fn work(role: &str, words: &[&str]) -> Result<u32, Failed> {
    let words = command(role, words);
    let mut child = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).spawn()?;
    let pid = child.id();
    let status = child.wait()?;
    if status.success() { Ok(pid) } else { Err(format!("the worker {role} ended with {status}").into()) }
}

fn of_process(report: &Value, table: &str, pid: u32) -> Vec<Value> {
    rows(report, table, |row| row["pid"] == pid)
}

fn ended(address: IpAddr) -> Result<(), Failed> {
    let server = streams(address)?;
    let mut top = top(&[])?;
    let pid = work("stream", &[&server.to_string(), "12345"])?;
    let report = top.fresh()?;
    let expected = (REPLIED, 12_345);
    for table in ["processes", "connections"] {
        let found = of_process(&report, table, pid);
        equal(table, &(found.len(), bytes(&found)), &(1, expected), &report)?;
    }
    equal("closed", &of_process(&report, "connections", pid)[0]["closed"], &Value::from(true), &report)?;
    equal("exited", &of_process(&report, "processes", pid)[0]["exited"], &Value::from(true), &report)?;
    let there = rows(&report, "destinations", |row| row["address"] == address.to_string());
    // Both ends are on this host, and each is the remote end of the other.
    let both = (expected.0 + expected.1, expected.0 + expected.1);
    equal("destination", &bytes(&there), &both, &report)?;
    equal("status", &top.stop()?.code(), &Some(0), &report)
}

fn udp() -> Result<(), Failed> {
    let server = datagrams(Ipv6Addr::LOCALHOST.into())?;
    let mut top = top(&["-u", "-6"])?;
    let pid = work("datagrams", &[&server.to_string(), "9", "1000"])?;
    let report = top.fresh()?;
    for table in ["processes", "connections"] {
        let found = bytes(&of_process(&report, table, pid));
        equal(table, &found, &(9 * ANSWER as u64, 9000), &report)?;
    }
    equal("status", &top.stop()?.code(), &Some(0), &report)
}

/// A datagram socket that connects after it has sent, and closes before a reading, has its peer and its local address. The
/// tiers use different hooks for the end of a socket, so the test runs on each.
fn late_peer() -> Result<(), Failed> {
    let server = datagrams(Ipv4Addr::LOCALHOST.into())?;
    let tiers = [Tier::TpBtf, Tier::Fentry, Tier::Kprobe];
    for tier in tiers.into_iter().filter(|tier| Machine::start(*tier).is_ok()) {
        let mut top = top(&["-u", "--tier", &tier.to_string()])?;
        let pid = work("late_peer", &[&server.to_string()])?;
        let report = top.fresh()?;
        let found = of_process(&report, "connections", pid);
        equal("connections", &(found.len(), bytes(&found)), &(1, (0, 2 * PAYLOAD_LEN as u64)), &report)?;
        let remote = format!("{}:{}", found[0]["remote"]["address"], found[0]["remote"]["port"]);
        equal("the peer", &remote, &format!("\"{}\":{}", server.ip(), server.port()), &report)?;
        equal("its own address", &found[0]["local"]["address"], &Value::from("127.0.0.1"), &report)?;
        equal("closed", &found[0]["closed"], &Value::from(true), &report)?;
        equal("status", &top.stop()?.code(), &Some(0), &report)?;
    }
    Ok(())
}

fn shared_socket() -> Result<(), Failed> {
    let server = streams(Ipv4Addr::LOCALHOST.into())?.to_string();
    let mut top = top(&[])?;
    let pid = work("share", &[&server, "1000", "500"])?;
    let report = top.fresh()?;
    equal("the first", &bytes(&of_process(&report, "processes", pid)), &(0, 1000), &report)?;
    let second = rows(&report, "processes", |row| row["tx_bytes"] == 500);
    equal("the second", &(second.len(), bytes(&second)), &(1, (REPLIED, 500)), &report)?;
    let connection = bytes(&of_process(&report, "connections", pid));
    equal("the connection", &connection, &(REPLIED, 1500), &report)?;
    equal("status", &top.stop()?.code(), &Some(0), &report)
}

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7_777);
const CLIENT: u16 = 7_778;

/// A connection with both ports fixed, in a namespace of its own, held open until the hold is dropped.
struct Held {
    streams: [TcpStream; 2],
    netns: u64,
    /// The process keeps the namespace reachable.
    inhabitant: Child,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.inhabitant.kill().and_then(|()| self.inhabitant.wait()));
    }
}

fn hold(sent: usize) -> Result<Held, String> {
    let act = move || -> Result<Held, Failed> {
        let namespace = NetNs::enter_new().map_err(|error| error.to_string())?;
        let netns = std::os::unix::fs::MetadataExt::ino(&fs::metadata("/proc/thread-self/ns/net")?);
        let listener = TcpListener::bind(SERVER)?;
        let client = bound_client()?;
        let (mut server, _) = listener.accept()?;
        let mut client = client;
        std::io::Write::write_all(&mut client, &vec![b'x'; sent])?;
        std::io::Read::read_exact(&mut server, &mut vec![0; sent])?;
        let words = command("sleep", &[]);
        let inhabitant = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).spawn()?;
        drop(namespace);
        Ok(Held { streams: [client, server], netns, inhabitant })
    };
    let joined = thread::spawn(move || act().map_err(|error| format!("{error:?}"))).join();
    joined.unwrap_or_else(|_| Err("the thread panicked".to_owned()))
}

fn bound_client() -> Result<TcpStream, Failed> {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
    };
    use std::os::fd::AsRawFd;
    let descriptor = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&descriptor, sockopt::ReuseAddr, &true)?;
    bind(descriptor.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, CLIENT))?;
    connect(descriptor.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, SERVER.port()))?;
    Ok(descriptor.into())
}

fn equal_tuples() -> Result<(), Failed> {
    let mut top = top(&[])?;
    let (one, other) = (hold(1000)?, hold(20_000)?);
    let report = top.fresh()?;
    for (held, sent) in [(&one, 1000), (&other, 20_000)] {
        let client = rows(&report, "connections", |row| {
            row["local"]["port"] == CLIENT
                && row["remote"]["port"] == SERVER.port()
                && row["netns"] == held.netns
        });
        equal("the client", &(client.len(), bytes(&client)), &(1, (0, sent)), &report)?;
    }
    let all = rows(&report, "connections", |row| row["local"]["port"] == CLIENT);
    equal("connections with this port", &all.len(), &2, &report)?;
    let [client, server] = &one.streams;
    drop((client.shutdown(std::net::Shutdown::Both), server.shutdown(std::net::Shutdown::Both)));
    let report = top.fresh()?;
    let open = rows(&report, "connections", |row| row["local"]["port"] == CLIENT && row["closed"] == false);
    let open: Vec<_> = open.iter().map(|row| row["netns"].clone()).collect();
    equal("who is left", &open.contains(&Value::from(other.netns)), &true, &report)?;
    equal("status", &top.stop()?.code(), &Some(0), &report)
}

const ID: &str = "f3b1c0d2e4a5968778695a4b3c2d1e0ff3b1c0d2e4a5968778695a4b3c2d1e0f";

/// A cgroup as Docker makes it, removed before the program reads it.
fn container() -> Result<(), Failed> {
    let server = streams(Ipv4Addr::LOCALHOST.into())?.to_string();
    let mut top = top(&[])?;
    let pid = {
        let cgroups = Cgroups::make(&format!("docker/{ID}"))?;
        let words = command("stream", &[&server, "4242"]);
        let files = cgroups.member_files();
        let mut worker = Command::new(&words[0]);
        worker.args(&words[1..]).stdin(Stdio::null());
        // SAFETY: between fork and exec it only writes to files; this process allocates on no other thread then.
        unsafe { worker.pre_exec(move || files.iter().try_for_each(|file| fs::write(file, "0"))) };
        let mut child = worker.spawn()?;
        let pid = child.id();
        child.wait()?;
        pid
    };
    let report = top.fresh()?;
    let process = of_process(&report, "processes", pid);
    let expected = (REPLIED, 4242);
    equal("process", &(process.len(), bytes(&process)), &(1, expected), &report)?;
    equal("its container", &process[0]["container"], &Value::from(&ID[..12]), &report)?;
    let container = rows(&report, "containers", |row| row["id"] == ID);
    equal("container", &(container.len(), bytes(&container)), &(1, expected), &report)?;
    equal("runtime", &container[0]["runtime"], &Value::from("docker"), &report)?;
    equal("status", &top.stop()?.code(), &Some(0), &report)
}

/// A cgroup with the same path in every hierarchy that identifies containers.
struct Cgroups(Vec<(PathBuf, PathBuf)>);

impl Cgroups {
    fn make(path: &str) -> Result<Self, Failed> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mut made = Self(vec![]);
        for line in mounts.lines() {
            let fields: Vec<_> = line.split(' ').collect();
            let [_, mount, kind, options, ..] = fields.as_slice() else { continue };
            let version_1 = *kind == "cgroup"
                && options.split(',').any(|option| ["memory", "pids", "devices"].contains(&option));
            if version_1 || *kind == "cgroup2" {
                let mount = Path::new(mount);
                fs::create_dir_all(mount.join(path))?;
                made.0.push((mount.to_owned(), mount.join(path)));
            }
        }
        if made.0.is_empty() { Err("no hierarchy of cgroups is mounted".into()) } else { Ok(made) }
    }

    fn member_files(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(_, cgroup)| cgroup.join("cgroup.procs")).collect()
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for (mount, cgroup) in &self.0 {
            // A cgroup in use is not empty, so rmdir fails.
            for directory in cgroup.ancestors().take_while(|directory| directory != mount) {
                drop(fs::remove_dir(directory));
            }
        }
    }
}

fn count() -> Result<(), Failed> {
    let output = program(&["top", "--json", "-c", "3", "-d", "0.05"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    equal("reports", &text.lines().count(), &3, &Value::from(text.as_str()))?;
    equal("status", &output.status.code(), &Some(0), &Value::Null)
}

/// `connections` lists the caller's namespace, or that of `--netns`.
fn own_namespace() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let server = thread::spawn(move || listener.accept().map(|(stream, _)| drop(answer(stream))).is_ok());
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let held = hold(1000)?;
    let listed = |arguments: &[&str]| -> Result<(usize, usize), Failed> {
        let output = program(&["connections", "--json"]).args(arguments).output()?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        let with = |port: u16| rows(&report, "connections", |row| row["remote"]["port"] == port).len();
        Ok((with(port), with(SERVER.port())))
    };
    equal("the own namespace", &listed(&[])?, &(1, 0), &Value::Null)?;
    equal("counted, too", &listed(&["-c", "1", "-d", "0.1"])?, &(1, 0), &Value::Null)?;
    let this = std::process::id().to_string();
    equal("of this process, wherever", &listed(&["-p", &this])?, &(1, 1), &Value::Null)?;
    drop((client, held));
    if server.join().unwrap_or(false) { Ok(()) } else { Err("the server failed".into()) }
}
