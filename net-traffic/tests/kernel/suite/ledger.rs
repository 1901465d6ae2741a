//! The causes of loss that are rare: programs that the kernel skips, returns of which it does not tell, busy maps.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use aya::maps::{HashMap, Map, MapData, PerCpuArray, PerCpuValues, loaded_maps};
use aya::util::nr_cpus;
use libtest_mimic::{Completion, Failed, Trial};
use net_traffic_linux::ebpf::Ebpf;
use net_traffic_linux::load::Sizes;
use net_traffic_selftest::traffic::{Feature, NetNs};
use net_traffic_snapshot::Collector;
use net_traffic_snapshot::{Bytes, Loss, Snapshot};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::socket::{AddressFamily, Backlog, SockaddrStorage, bind, connect, getsockname, listen};
use nix::unistd::{Pid, gettid};

use super::skips::{Reason, skip};
use super::slowness;
use super::tracer::{Refused, Tier};

pub(super) fn trials() -> Vec<Trial> {
    let trials: [(&'static str, Body); 5] = [
        ("missed_hooks", missed_hooks),
        ("busy_map", busy_map),
        ("many_wait_for_datagrams", many_wait_for_datagrams),
        ("missed_returns", missed_returns),
        ("a_return_that_was_missed_before", a_return_that_was_missed_before),
    ];
    let trial = |(name, body): (&'static str, Body)| {
        Trial::ignorable_test(format!("ledger::{name}"), move || play(name, body))
    };
    trials.into_iter().map(trial).collect()
}

type Body = fn() -> Result<Option<Reason>, Failed>;

fn play(name: &str, body: Body) -> Result<Completion, Failed> {
    let reason = match NetNs::enter_new() {
        Ok(_namespace) => body()?,
        Err(error) => Some(Reason::Rights(error)),
    };
    match reason {
        None => Ok(Completion::Completed),
        Some(reason) => skip(&format!("ledger::{name}"), &reason),
    }
}

/// Two processors make connections that are refused, and one of them handles the packets of both: there, the program
/// for a connection's state is interrupted by packets for which it should run again. The kernel skips it then.
fn missed_hooks() -> Result<Option<Reason>, Failed> {
    const ROUNDS: u32 = 200;
    if !counts_skipped_programs()? {
        return Ok(Some(Reason::SkippedUncounted));
    }
    packets_to_first_processor()?;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let mut ebpf = Ebpf::start(net_traffic_snapshot::Tier::Auto, Sizes::default(), None)?;
    for _ in 0..ROUNDS {
        thread::scope(|scope| {
            let visitors = [0, 1].map(|cpu| scope.spawn(move || knock(cpu, nobody)));
            visitors
                .into_iter()
                .try_for_each(|visitor| visitor.join().unwrap_or_else(|_| Err("panicked".into())))
        })?;
        if read(&mut ebpf)?.loss.missed_hooks > 0 {
            return Ok(None);
        }
    }
    Err("no program was ever skipped: the test shows nothing".into())
}

/// The function by which the kernel counts the programs of tracepoints that it skips; without it, it runs them.
pub(super) const COUNTS_SKIPPED: &str = " bpf_prog_inc_misses_counter";

fn counts_skipped_programs() -> Result<bool, Failed> {
    Ok(fs::read_to_string("/proc/kallsyms")?.lines().any(|line| line.ends_with(COUNTS_SKIPPED)))
}

/// Connects to where nobody listens, on one processor.
fn knock(cpu: usize, nobody: SocketAddr) -> Result<(), String> {
    const TIMES: u32 = 2000;
    let mut cpus = CpuSet::new();
    cpus.set(cpu).map_err(|error| error.to_string())?;
    sched_setaffinity(Pid::from_raw(0), &cpus).map_err(|error| error.to_string())?;
    for _ in 0..TIMES {
        if TcpStream::connect(nobody).is_ok() {
            return Err("somebody listens".to_owned());
        }
    }
    Ok(())
}

/// What loopback receives is handled by the first processor, wherever it was sent. Interfaces of this namespace are in
/// a file system of their own, which a thread of its own mounts for itself.
fn packets_to_first_processor() -> Result<(), Failed> {
    let steered = thread::spawn(|| -> Result<(), String> {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
        for line in ["mount --make-rprivate /", "mount -t sysfs sysfs /sys"] {
            let words: Vec<_> = line.split(' ').collect();
            let status = Command::new(words[0]).args(&words[1..]).status();
            if !status.is_ok_and(|status| status.success()) {
                return Err(format!("{line} failed"));
            }
        }
        fs::write("/sys/class/net/lo/queues/rx-0/rps_cpus", "1").map_err(|error| error.to_string())
    });
    Ok(steered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
}

/// No program can be made to meet a bucket that its own processor holds. So the counters are set by hand, where the
/// programs have them: each is in its place of the ledger, summed over the processors.
fn busy_map() -> Result<Option<Reason>, Failed> {
    let before = maps_named("LOSS");
    let mut ebpf = Ebpf::start(net_traffic_snapshot::Tier::Auto, Sizes::default(), None)?;
    let map = Map::PerCpuArray(new_map("LOSS", &before)?);
    let mut counters: PerCpuArray<_, u64> = PerCpuArray::try_from(map)?;
    let cpus = u64::try_from(nr_cpus().map_err(|(_, error)| error)?)?;
    for cause in 0..counters.len() {
        let each: Vec<_> = (0..cpus).map(|cpu| 10_u64.pow(cause) * (cpu + 1)).collect();
        counters.set(cause, PerCpuValues::try_from(each)?, 0)?;
    }
    let sum = cpus * (cpus + 1) / 2;
    let expected = Loss {
        map_full: sum,
        map_busy: sum * 10,
        storage_failed: sum * 100,
        ring_full: sum * 1000,
        missed_hooks: sum * 10_000,
        queue_full: 0,
    };
    let found = read(&mut ebpf)?.loss;
    // The kernel itself may have skipped a program meanwhile.
    let is_as_set = found.missed_hooks >= expected.missed_hooks
        && Loss { missed_hooks: expected.missed_hooks, ..found } == expected;
    check(is_as_set, || format!("{found:?} instead of {expected:?}"))?;
    Ok(None)
}

/// The one map of this name that is none of those `before`.
fn new_map(name: &str, before: &[u32]) -> Result<MapData, Failed> {
    let mut ours = maps_named(name);
    ours.retain(|id| !before.contains(id));
    let [id] = ours[..] else { return Err(format!("{} new maps {name}", ours.len()).into()) };
    Ok(MapData::from_id(id)?)
}

/// The maps of this name of all who count on this machine.
fn maps_named(name: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    for map in loaded_maps() {
        // One that went away meanwhile is nobody's.
        if let Ok(map) = map
            && map.name_as_str() == Some(name)
        {
            ids.push(map.id());
        }
    }
    ids
}

/// More threads than the kernel has room for, if it is to tell of the return of each.
const WAITING: usize = 40;
/// What one message has.
const SIZE: usize = 100;

/// Each waits for datagrams at the same time, and each datagram counts.
fn many_wait_for_datagrams() -> Result<Option<Reason>, Failed> {
    let mut ebpf = match kprobes() {
        Ok(ebpf) => ebpf,
        Err(reason) => return Ok(Some(reason)),
    };
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let before = own(&read(&mut ebpf)?);
        let sender = UdpSocket::bind((address, 0))?;
        let sockets = (0..WAITING).map(|_| UdpSocket::bind((address, 0))).collect::<io::Result<Vec<_>>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        let waiting = Waiting::start(sockets, UdpSocket::recv)?;
        for _ in 0..2 {
            for to in &addresses {
                sender.send_to(&[b'x'; SIZE], to)?;
            }
            waiting.until_all_have(SIZE)?;
        }
        let seen = read(&mut ebpf)?;
        let moved = own(&seen);
        let expected = 2 * WAITING as u64 * SIZE as u64;
        let found = Bytes { rx: moved.rx - before.rx, tx: moved.tx - before.tx };
        check(found == Bytes { rx: expected, tx: expected }, || {
            format!("{found:?} of {expected} to {address}")
        })?;
        check(seen.loss == Loss::default(), || format!("{:?}", seen.loss))?;
        for to in addresses {
            sender.send_to(&[], to)?;
        }
        waiting.finish()?;
    }
    Ok(None)
}

/// Where a call can only be counted by its return, those of which the kernel does not tell are in the ledger.
fn missed_returns() -> Result<Option<Reason>, Failed> {
    let mut ebpf = match kprobes() {
        Ok(ebpf) => ebpf,
        Err(reason) => return Ok(Some(reason)),
    };
    let listener = match multipath() {
        Ok(socket) => socket,
        Err(error) => {
            return Ok(Some(Reason::Feature(Feature::Mptcp, error.to_string())));
        }
    };
    let any = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    bind(listener.as_raw_fd(), &any)?;
    listen(&listener, Backlog::new(128)?)?;
    let to: SockaddrStorage = getsockname(listener.as_raw_fd())?;
    let listener = TcpListener::from(listener);
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..WAITING {
        let client = multipath()?;
        connect(client.as_raw_fd(), &to)?;
        writers.push(TcpStream::from(client));
        readers.push(listener.accept()?.0);
    }
    let before = own(&read(&mut ebpf)?);
    let waiting = Waiting::start(readers, |mut stream: &TcpStream, buffer| stream.read(buffer))?;
    for writer in &mut writers {
        writer.write_all(&[b'x'; SIZE])?;
    }
    // Each thread calls anew, and what it finds of the call before tells.
    waiting.until_all_have(SIZE)?;
    let seen = read(&mut ebpf)?;
    let missed = seen.loss.missed_hooks;
    let counted = own(&seen).rx - before.rx;
    check(missed > 0, || "no return was missed: the test shows nothing".to_owned())?;
    check(counted + missed * SIZE as u64 == (WAITING * SIZE) as u64, || {
        format!("{counted} bytes counted, and {missed} of {WAITING} calls in the ledger")
    })?;
    drop(writers);
    waiting.finish()?;
    // Nor did it tell of all the calls that were the threads' last.
    let at_last = read(&mut ebpf)?.loss.missed_hooks;
    check(at_last > missed, || format!("{missed} before the threads ended, {at_last} after"))?;
    Ok(None)
}

/// What a call has left whose return was missed is not taken for a later one's. It is left by hand, in the place of a
/// call on somebody else's socket.
fn a_return_that_was_missed_before() -> Result<Option<Reason>, Failed> {
    /// As the programs number a send of TCP.
    const TCP_SEND: u64 = 1;
    let before = maps_named("CALLS");
    let mut ebpf = match kprobes() {
        Ok(ebpf) => ebpf,
        Err(reason) => return Ok(Some(reason)),
    };
    let mut calls: HashMap<_, u64, [u64; 2]> = HashMap::try_from(Map::HashMap(new_map("CALLS", &before)?))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    sender.write_all(&[b'x'; SIZE])?;
    let left = TCP_SEND << 32 | u64::try_from(gettid().as_raw())?;
    let somebodys = [0; 2];
    calls.insert(left, somebodys, 0)?;
    sender.write_all(&[b'x'; SIZE])?;
    check(calls.get(&left, 0).is_err(), || "the call before is still there".to_owned())?;
    let missed = read(&mut ebpf)?.loss.missed_hooks;
    check(missed == 1, || format!("{missed} calls in the ledger"))?;
    Ok(None)
}

fn multipath() -> io::Result<OwnedFd> {
    let domain = AddressFamily::Inet as i32;
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: it takes numbers only.
    let raw = unsafe { libc::socket(domain, kind, libc::IPPROTO_MPTCP) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn kprobes() -> Result<Ebpf, Reason> {
    Ebpf::start(net_traffic_snapshot::Tier::Kprobe, Sizes::default(), None)
        .map_err(|error| Reason::Tier(Tier::Kprobe, Refused { reason: error.to_string() }))
}

/// Threads that receive, each on its own socket, until it gets nothing.
struct Waiting {
    threads: Vec<thread::JoinHandle<io::Result<()>>>,
    ids: Vec<Pid>,
    received: std::sync::mpsc::Receiver<usize>,
}

impl Waiting {
    /// All wait when this returns.
    fn start<S: Send + 'static>(
        sockets: Vec<S>,
        receive: fn(&S, &mut [u8]) -> io::Result<usize>,
    ) -> Result<Self, Failed> {
        let (begin, started) = channel();
        let (tell, received) = channel();
        let wait = |socket: S| {
            let (begin, tell) = (begin.clone(), tell.clone());
            thread::spawn(move || receive_all(&socket, receive, &begin, &tell))
        };
        let threads: Vec<_> = sockets.into_iter().map(wait).collect();
        let ids = threads.iter().map(|_| started.recv()).collect::<Result<Vec<_>, _>>()?;
        let waiting = Self { threads, ids, received };
        waiting.until_in_call()?;
        Ok(waiting)
    }

    /// Until each has received one message more, and waits for the next.
    fn until_all_have(&self, size: usize) -> Result<(), Failed> {
        for _ in &self.ids {
            let length = self.received.recv()?;
            check(length == size, || format!("{length} bytes received"))?;
        }
        self.until_in_call()
    }

    fn until_in_call(&self) -> Result<(), Failed> {
        const POLLS: u32 = 1000;
        let receives = format!("{} ", libc::SYS_recvfrom);
        for _ in 0..POLLS * slowness() {
            let call = |id: &Pid| fs::read_to_string(format!("/proc/self/task/{id}/syscall"));
            if self.ids.iter().all(|id| call(id).is_ok_and(|call| call.starts_with(&receives))) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err("the threads do not come to wait".into())
    }

    fn finish(self) -> Result<(), Failed> {
        for thread in self.threads {
            thread.join().map_err(|_panic| "a thread panicked")??;
        }
        Ok(())
    }
}

fn receive_all<S>(
    socket: &S,
    receive: fn(&S, &mut [u8]) -> io::Result<usize>,
    begin: &Sender<Pid>,
    tell: &Sender<usize>,
) -> io::Result<()> {
    let mut buffer = [0; 2 * SIZE];
    // Who started it may have failed and gone.
    let _told = begin.send(gettid());
    loop {
        let length = receive(socket, &mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let _told = tell.send(length);
    }
}

fn read(ebpf: &mut Ebpf) -> Result<Snapshot, Failed> {
    let mut seen = Snapshot::default();
    ebpf.collect(&mut seen)?;
    Ok(seen)
}

/// What the row of this process has.
fn own(seen: &Snapshot) -> Bytes {
    let row = seen.processes.iter().find(|row| row.id.pid == std::process::id());
    row.and_then(|row| row.counted).unwrap_or_default()
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
