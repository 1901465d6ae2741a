//! Interfaces and network namespaces that disappear while they are watched, and forwarded traffic.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use libtest_mimic::Failed;
use net_traffic_selftest::traffic::NetNs;
use serde_json::Value;

use super::Check;
use super::report::{program, top};
use super::worker::command;
use net_traffic_testing::report::{Top, bytes, equal, rows};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("plug::interface", interface),
    ("plug::selected_interface", selected_interface),
    ("plug::namespace", namespace),
    ("plug::watched_namespace", watched_namespace),
    ("plug::forwarded", forwarded),
    ("select::namespace", by_namespace),
    ("select::macvlan", macvlan),
];

/// A network namespace that a process keeps alive.
struct Elsewhere {
    inhabitant: Child,
}

impl Elsewhere {
    fn new() -> Result<Self, Failed> {
        let words = command("sleep", &[]);
        let begin = || -> Result<Child, Failed> {
            let namespace = NetNs::enter_new()?;
            let child = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).spawn()?;
            drop(namespace);
            Ok(child)
        };
        Ok(Self { inhabitant: begin()? })
    }

    fn pid(&self) -> String {
        self.inhabitant.id().to_string()
    }

    /// Connects it to the caller's namespace: `10.9.NET.1` is the caller's end, `10.9.NET.2` the other.
    fn connect(&self, name: &str, net: u8) -> Result<(), Failed> {
        let pid = self.pid();
        act(&format!("ip link add {name} type veth peer name eth0 netns {pid}"))?;
        act(&format!("ip addr add 10.9.{net}.1/24 dev {name}"))?;
        act(&format!("ip link set {name} up"))?;
        self.act(&format!("ip addr add 10.9.{net}.2/24 dev eth0"))?;
        self.act("ip link set eth0 up")
    }

    fn act(&self, line: &str) -> Result<(), Failed> {
        act(&format!("nsenter -t {} -n {line}", self.pid()))
    }

    /// Starts a function on a thread in the namespace.
    fn start<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<thread::JoinHandle<T>, Failed> {
        let file = fs::File::open(format!("/proc/{}/ns/net", self.pid()))?;
        Ok(thread::spawn(move || {
            nix::sched::setns(&file, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("a namespace can be entered");
            job()
        }))
    }

    fn end(mut self) -> Result<(), Failed> {
        self.inhabitant.kill()?;
        self.inhabitant.wait()?;
        Ok(())
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.inhabitant.kill().and_then(|()| self.inhabitant.wait()));
    }
}

fn act(line: &str) -> Result<(), Failed> {
    let words: Vec<&str> = line.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{line}: {said}").into()) }
}

/// Sends bytes to a server in the namespace, which replies with the same number.
fn exchange(elsewhere: &Elsewhere, net: u8, length: usize) -> Result<(), Failed> {
    let listener = elsewhere.start(move || TcpListener::bind((Ipv4Addr::new(10, 9, net, 2), 0)))?;
    let listener = listener.join().map_err(|_panic| "the server's thread panicked")??;
    let address = listener.local_addr()?;
    let server = elsewhere.start(move || serve(&listener, length))?;
    send(address, length)?;
    server.join().map_err(|_panic| "the server's thread panicked")??;
    Ok(())
}

fn serve(listener: &TcpListener, length: usize) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.read_exact(&mut vec![0; length])?;
    stream.write_all(&vec![b'y'; length])
}

fn send(address: SocketAddr, length: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&vec![b'x'; length])?;
    stream.read_exact(&mut vec![0; length])
}

fn bandwidth(arguments: &[&str]) -> Result<Top, Failed> {
    let mut command = program(&["bandwidth", "--json", "-d", "0.1"]);
    command.args(arguments);
    Top::follow(command)
}

fn named(report: &Value, name: &str) -> Vec<Value> {
    rows(report, "interfaces", |row| row["name"] == name)
}

/// The bytes of this process in a report.
fn own(report: &Value) -> (u64, u64) {
    bytes(&rows(report, "processes", |row| row["pid"] == std::process::id()))
}

/// An interface is removed, added with the same name, and removed: the reports continue with exact process totals.
fn interface() -> Result<(), Failed> {
    let elsewhere = Elsewhere::new()?;
    let mut all = bandwidth(&[])?;
    for round in 1..=3u64 {
        elsewhere.connect("plug0", 1)?;
        // A report before the traffic, so that the balance includes all of it.
        all.fresh()?;
        let before = own(&all.fresh()?);
        exchange(&elsewhere, 1, 400_000)?;
        let report = all.fresh()?;
        let (rx, tx) = own(&report);
        // Both ends are threads of this process.
        equal("moved", &(rx - before.0, tx - before.1), &(800_000, 800_000), &report)?;
        let there = named(&report, "plug0");
        equal("the interface", &there.len(), &1, &report)?;
        let passed = bytes(&there);
        equal("its counters begin again", &(passed.0 > 400_000 && passed.0 < 500_000), &true, &report)?;
        act("ip link del plug0")?;
        let report = all.fresh()?;
        equal("gone", &named(&report, "plug0").len(), &0, &report)?;
        equal("kept", &own(&report), &(rx, tx), &report)?;
        equal("balance", &rows(&report, "balance", |row| row["interface"] == "plug0").len(), &0, &report)?;
        equal("round", &(own(&report).0 >= round * 800_000), &true, &report)?;
    }
    equal("status", &all.stop()?.code(), &Some(0), &Value::Null)
}

/// The interface of `-i` is removed.
fn selected_interface() -> Result<(), Failed> {
    let elsewhere = Elsewhere::new()?;
    elsewhere.connect("plug1", 2)?;
    let mut one = bandwidth(&["-i", "plug1"])?;
    let mut top = top(&["-i", "plug1"])?;
    exchange(&elsewhere, 2, 100_000)?;
    let report = top.fresh()?;
    equal("before", &(own(&report).1 >= 100_000), &true, &report)?;
    equal("only it", &rows(&one.fresh()?, "interfaces", |_| true).len(), &1, &Value::Null)?;
    act("ip link del plug1")?;
    let after = one.fresh()?;
    equal("nothing", &rows(&after, "interfaces", |_| true).len(), &0, &after)?;
    drop(top.fresh()?);
    elsewhere.connect("plug1", 2)?;
    let again = one.fresh()?;
    equal("and back", &named(&again, "plug1").len(), &1, &again)?;
    for program in [one, top] {
        equal("status", &program.stop()?.code(), &Some(0), &Value::Null)?;
    }
    Ok(())
}

/// A namespace with connections ends: its totals stay, its connections are closed.
fn namespace() -> Result<(), Failed> {
    let mut top = top(&[])?;
    let before = own(&top.fresh()?);
    for round in 0..5 {
        // The kernel ends a namespace asynchronously; until then the name is in use.
        let elsewhere = Elsewhere::new()?;
        elsewhere.connect(&format!("plug2{round}"), 20 + round)?;
        exchange(&elsewhere, 20 + round, 50_000)?;
        elsewhere.end()?;
    }
    let report = top.fresh()?;
    let (rx, tx) = own(&report);
    equal("totals", &(rx - before.0, tx - before.1), &(500_000, 500_000), &report)?;
    equal("loss", &report["loss"]["total"], &Value::from(0), &report)?;
    equal("status", &top.stop()?.code(), &Some(0), &report)
}

/// The watched namespace loses its last process and its interfaces. The watching program keeps it alive and goes on.
fn watched_namespace() -> Result<(), Failed> {
    let elsewhere = Elsewhere::new()?;
    elsewhere.connect("plug3", 4)?;
    let pid = elsewhere.pid();
    let mut top = top(&["--netns", &pid])?;
    let mut interfaces = bandwidth(&["--netns", &pid])?;
    exchange(&elsewhere, 4, 30_000)?;
    let seen = top.fresh()?;
    let received = rows(&seen, "connections", |row| row["rx_bytes"] == 30_000);
    equal("the end in there", &received.len(), &1, &seen)?;
    act("ip link del plug3")?;
    elsewhere.end()?;
    let report = interfaces.fresh()?;
    equal("its interface is gone", &named(&report, "eth0").len(), &0, &report)?;
    drop(top.fresh()?);
    for program in [top, interfaces] {
        equal("status", &program.stop()?.code(), &Some(0), &Value::Null)?;
    }
    Ok(())
}

/// Traffic between two namespaces is forwarded: it belongs to no process of this namespace.
fn forwarded() -> Result<(), Failed> {
    const LENGTH: usize = 2_000_000;
    let (left, right) = (Elsewhere::new()?, Elsewhere::new()?);
    left.connect("left", 5)?;
    right.connect("right", 6)?;
    left.act("ip route add default via 10.9.5.1")?;
    right.act("ip route add default via 10.9.6.1")?;
    // The namespace of the calling thread.
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    let this = format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid());
    let mut top = top(&["--netns", &this])?;
    let mut sheet = bandwidth(&["-i", "left"])?;
    drop(sheet.fresh()?);
    let listener = right.start(|| TcpListener::bind((Ipv4Addr::new(10, 9, 6, 2), 0)))?;
    let listener = listener.join().map_err(|_panic| "the server's thread panicked")??;
    let address = listener.local_addr()?;
    let server = right.start(move || serve(&listener, LENGTH))?;
    let client = left.start(move || send(address, LENGTH))?;
    client.join().map_err(|_panic| "the client's thread panicked")??;
    server.join().map_err(|_panic| "the server's thread panicked")??;
    let report = sheet.fresh()?;
    for direction in ["rx", "tx"] {
        let line =
            rows(&report, "balance", |row| row["interface"] == "left" && row["direction"] == direction);
        equal("a line of the balance", &line.len(), &1, &report)?;
        let part = |key: &str| line[0][key].as_i64().unwrap_or(i64::MIN);
        let forwarded = part("forwarded_bytes");
        equal("forwarded", &(forwarded >= i64::try_from(LENGTH)?), &true, &report)?;
        equal("nobody's", &part("process_payload_bytes"), &0, &report)?;
        let parts = ["process_payload_bytes", "overhead_bytes", "forwarded_bytes", "kernel_bytes"];
        let sum: i64 = parts.iter().map(|key| part(key)).sum::<i64>() + part("unattributed_bytes");
        equal("the parts", &sum, &part("interface_bytes"), &report)?;
        equal("unattributed", &part("unattributed_bytes"), &0, &report)?;
    }
    let report = top.fresh()?;
    let here = rows(&report, "connections", |row| row["rx_bytes"] != 0 || row["tx_bytes"] != 0);
    equal("connections of this namespace", &here.len(), &0, &report)?;
    for program in [top, sheet] {
        equal("status", &program.stop()?.code(), &Some(0), &Value::Null)?;
    }
    Ok(())
}

/// `--netns` takes a process id, a path, or a name of `ip netns`.
fn by_namespace() -> Result<(), Failed> {
    let (chosen, other) = (Elsewhere::new()?, Elsewhere::new()?);
    chosen.connect("sel0", 7)?;
    other.connect("sel1", 8)?;
    let name = format!("net-traffic-{}", std::process::id());
    act(&format!("ip netns attach {name} {}", chosen.pid()))?;
    let path = format!("/proc/{}/ns/net", chosen.pid());
    let result = [chosen.pid(), path, name.clone()].iter().try_for_each(|netns| {
        let mut top = top(&["--netns", netns])?;
        exchange(&other, 8, 1111)?;
        exchange(&chosen, 7, 2222)?;
        let report = top.fresh()?;
        // Sockets in TIME-WAIT of the previous round have no counters.
        equal(netns, &lengths(&report), &vec![2222], &report)?;
        equal("status", &top.stop()?.code(), &Some(0), &report)
    });
    act(&format!("ip netns del {name}"))?;
    result
}

/// The bytes from each remote host, including connections whose rows are removed.
fn lengths(report: &Value) -> Vec<u64> {
    let all = rows(report, "destinations", |_| true);
    let mut lengths: Vec<u64> = all.iter().filter_map(|row| row["rx_bytes"].as_u64()).collect();
    lengths.sort_unstable();
    lengths
}

/// `-i` with a stacked interface: in this namespace, and in a namespace of its own.
fn macvlan() -> Result<(), Failed> {
    let (outside, inside) = (Elsewhere::new()?, Elsewhere::new()?);
    outside.connect("up0", 9)?;
    act("ip link add mv0 link up0 type macvlan mode bridge")?;
    act("ip addr add 10.9.9.3/24 dev mv0")?;
    act("ip link set mv0 up")?;
    act(&format!("ip link add mv1 link up0 netns {} type macvlan mode bridge", inside.pid()))?;
    inside.act("ip addr add 10.9.9.4/24 dev mv1")?;
    inside.act("ip link set mv1 up")?;
    let mut here = top(&["-i", "mv0"])?;
    let mut below = top(&["-i", "up0"])?;
    let mut there = top(&["-i", "mv1", "--netns", &inside.pid()])?;
    drop(below.fresh()?);
    let listener = outside.start(|| TcpListener::bind((Ipv4Addr::new(10, 9, 9, 2), 0)))?;
    let listener = listener.join().map_err(|_panic| "the server's thread panicked")??;
    let address = listener.local_addr()?;
    let server = outside.start(move || serve(&listener, 1000).and_then(|()| serve(&listener, 2000)))?;
    let from_here = IpAddr::from([10, 9, 9, 3]);
    bound(from_here, address, 1000)?;
    let client = inside.start(move || send(address, 2000))?;
    client.join().map_err(|_panic| "the client's thread panicked")??;
    server.join().map_err(|_panic| "the server's thread panicked")??;
    let report = here.fresh()?;
    equal("through the upper one", &lengths(&report), &vec![1000], &report)?;
    let report = below.fresh()?;
    // The server's ends use the veth; the other client uses a macvlan of its own namespace.
    equal("through the lower one", &lengths(&report), &vec![1000, 2000, 2000], &report)?;
    let report = there.fresh()?;
    equal("in its namespace", &lengths(&report), &vec![2000], &report)?;
    for program in [here, below, there] {
        equal("status", &program.stop()?.code(), &Some(0), &Value::Null)?;
    }
    Ok(())
}

/// As `send`, from this address.
fn bound(from: IpAddr, to: SocketAddr, length: usize) -> Result<(), Failed> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
    use std::os::fd::AsRawFd;
    let (IpAddr::V4(from), SocketAddr::V4(to)) = (from, to) else { return Err("no IPv4".into()) };
    let descriptor = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(descriptor.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(from, 0)))?;
    connect(descriptor.as_raw_fd(), &SockaddrIn::from(to))?;
    let mut stream = TcpStream::from(descriptor);
    stream.write_all(&vec![b'x'; length])?;
    stream.read_exact(&mut vec![0; length])?;
    Ok(())
}
