//! The rare causes of loss: skipped programs, missed kretprobes, busy map buckets.

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
use net_traffic_linux::load::LoadOptions;
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

/// Two CPUs make refused connections, and one CPU handles the packets of both. On that CPU, packets interrupt the
/// program of a connection's state and need the same program; the kernel skips the nested run.
fn missed_hooks() -> Result<Option<Reason>, Failed> {
    const ROUNDS: u32 = 200;
    if !counts_skipped_programs()? {
        return Ok(Some(Reason::SkippedUncounted));
    }
    packets_to_first_processor()?;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let mut ebpf = Ebpf::start(net_traffic_snapshot::Tier::Auto, LoadOptions::default(), None)?;
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

/// The kernel function that counts skipped tracepoint programs; older kernels run the programs instead.
pub(super) const COUNTS_SKIPPED: &str = " bpf_prog_inc_misses_counter";

fn counts_skipped_programs() -> Result<bool, Failed> {
    Ok(fs::read_to_string("/proc/kallsyms")?.lines().any(|line| line.ends_with(COUNTS_SKIPPED)))
}

/// Connects to a closed port, on one CPU.
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

/// Directs the packets that loopback receives to the first CPU (RPS). The sysfs of this namespace has to be mounted, which
/// a thread of its own does.
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

/// A busy map bucket cannot be forced. So the test writes the programs' loss counters and checks that each appears in the
/// ledger, summed over the CPUs.
fn busy_map() -> Result<Option<Reason>, Failed> {
    let before = maps_named("nt_loss");
    let mut ebpf = Ebpf::start(net_traffic_snapshot::Tier::Auto, LoadOptions::default(), None)?;
    let map = Map::PerCpuArray(new_map("nt_loss", &before)?);
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
    // The kernel may have skipped a program meanwhile.
    let is_as_set = found.missed_hooks >= expected.missed_hooks
        && Loss { missed_hooks: expected.missed_hooks, ..found } == expected;
    check(is_as_set, || format!("{found:?} instead of {expected:?}"))?;
    Ok(None)
}

/// The new map with this name.
fn new_map(name: &str, before: &[u32]) -> Result<MapData, Failed> {
    let mut ours = maps_named(name);
    ours.retain(|id| !before.contains(id));
    let [id] = ours[..] else { return Err(format!("{} new maps {name}", ours.len()).into()) };
    Ok(MapData::from_id(id)?)
}

/// All maps with this name on the machine.
fn maps_named(name: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    for map in loaded_maps() {
        // The map may have been freed meanwhile.
        if let Ok(map) = map
            && map.name_as_str() == Some(name)
        {
            ids.push(map.id());
        }
    }
    ids
}

/// More threads than a kretprobe has instances (`maxactive`).
const WAITING: usize = 40;
/// The bytes of one message.
const SIZE: usize = 100;

/// All threads wait in a call at the same time, and every datagram counts.
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

/// If a tier counts a call by its kretprobe, missed returns are in the loss counters.
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
    // The next call of a thread finds the state of the missed one.
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
    // The last calls of the threads were missed too.
    let at_last = read(&mut ebpf)?.loss.missed_hooks;
    check(at_last > missed, || format!("{missed} before the threads ended, {at_last} after"))?;
    Ok(None)
}

/// The state of a call whose return was missed is not used for a later call. The test writes such a state, of a call on
/// another socket.
fn a_return_that_was_missed_before() -> Result<Option<Reason>, Failed> {
    /// The programs' number of a TCP send.
    const TCP_SEND: u64 = 1;
    let before = maps_named("nt_calls");
    let mut ebpf = match kprobes() {
        Ok(ebpf) => ebpf,
        Err(reason) => return Ok(Some(reason)),
    };
    let mut calls: HashMap<_, u64, [u64; 2]> =
        HashMap::try_from(Map::HashMap(new_map("nt_calls", &before)?))?;
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
    // SAFETY: the system call takes numbers only.
    let raw = unsafe { libc::socket(domain, kind, libc::IPPROTO_MPTCP) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just created this descriptor, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn kprobes() -> Result<Ebpf, Reason> {
    Ebpf::start(net_traffic_snapshot::Tier::Kprobe, LoadOptions::default(), None)
        .map_err(|error| Reason::Tier(Tier::Kprobe, Refused { reason: error.to_string() }))
}

/// Threads that receive, each on its own socket, until an empty read.
struct Waiting {
    threads: Vec<thread::JoinHandle<io::Result<()>>>,
    ids: Vec<Pid>,
    received: std::sync::mpsc::Receiver<usize>,
}

impl Waiting {
    /// Returns when all threads wait in the call.
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

    /// Waits until each thread has received one more message and waits again.
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
    // The receiver of the channel may have failed already.
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

/// The bytes in the row of this process.
fn own(seen: &Snapshot) -> Bytes {
    let row = seen.processes.iter().find(|row| row.id.pid == std::process::id());
    row.and_then(|row| row.counted).unwrap_or_default()
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
