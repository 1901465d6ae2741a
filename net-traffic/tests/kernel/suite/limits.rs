//! The limits: a full map, a full ring buffer, refused storage, a killed program. Each loss is counted.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aya::programs::loaded_programs;
use libtest_mimic::{Completion, Failed, Trial};
use net_traffic_linux::ebpf::Ebpf;
use net_traffic_linux::load::LoadOptions;
use net_traffic_linux::plan::{OPTIONAL_FUNCTIONS, SLOTS};
use net_traffic_selftest::traffic::{CaseRun, NetNs, cases};
use net_traffic_snapshot::{Bytes, ProcessId, Snapshot, SocketId};
use net_traffic_snapshot::{Collector, Tier};
use net_traffic_testing::wait_until;

use super::skips::{Reason, skip};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::ignorable_test("limits::full_map_of_processes", || in_namespace("full_map", None, full_map)),
        Trial::ignorable_test("limits::full_ring_of_closed_sockets", || {
            in_namespace("full_ring", None, full_ring)
        }),
        Trial::ignorable_test("limits::full_ring_of_a_walk", || in_namespace("full_walk", None, full_walk)),
        Trial::ignorable_test("limits::refused_storage", || {
            in_namespace("refused_storage", Some(STORAGE_LIMIT), refused_storage)
        }),
        Trial::ignorable_test("limits::killed", || in_namespace("killed", None, killed)),
    ]
}

/// Runs the check in a network namespace of its own; `parameter` must be per namespace.
fn in_namespace(
    name: &str,
    parameter: Option<&'static str>,
    test: fn() -> Result<(), Failed>,
) -> Result<Completion, Failed> {
    let missing = |path: &&str| !Path::new(path).exists();
    match NetNs::enter_new().map(|namespace| (namespace, parameter.filter(missing))) {
        Ok((_namespace, Some(path))) => skip(&format!("limits::{name}"), &Reason::Parameter(path)),
        Ok((_namespace, None)) => test().map(|()| Completion::Completed),
        Err(error) => skip(&format!("limits::{name}"), &Reason::Rights(error)),
    }
}

/// Two rows belong to the program; the processes share the third.
fn full_map() -> Result<(), Failed> {
    let case = cases().find(|case| case.name == "tcp_brief_processes").ok_or("no such case")?;
    let mut run = CaseRun::prepare(case)?;
    let sizes = LoadOptions { processes: 3, ..LoadOptions::default() };
    let mut ebpf = Ebpf::start(Tier::Auto, sizes, None)?;
    let truth = run.run()?;
    run.finish()?;

    let mut observed = Snapshot::default();
    ebpf.collect(&mut observed)?;
    let moved: u64 = truth.iter().map(|moved| moved.counted.rx + moved.counted.tx).sum();
    let sockets: HashMap<SocketId, Bytes> =
        observed.sockets.iter().filter_map(|socket| Some((socket.id, socket.counted?))).collect();
    let of_sockets: u64 = sockets.values().map(|bytes| bytes.rx + bytes.tx).sum();
    let of_rows: u64 =
        observed.processes.iter().filter_map(|row| row.counted).map(|bytes| bytes.rx + bytes.tx).sum();
    let other = observed.processes.iter().find(|row| row.id == ProcessId { pid: 0, start_ticks: 1 });
    let other = other.and_then(|row| row.counted).ok_or("there is no row for what found the map full")?;

    check(observed.loss.map_full > 0, || format!("the ledger says nothing: {:?}", observed.loss))?;
    let said = observed
        .status
        .iter()
        .filter(|status| status.slot == "loss")
        .find_map(|status| status.reason.as_deref());
    check(said == Some("a map refused an entry: error -7"), || format!("the programs say {said:?}"))?;
    check(other.rx + other.tx > 0, || "nothing went to the row `other`".to_owned())?;
    check(of_rows == of_sockets, || format!("rows: {of_rows}, sockets: {of_sockets}"))?;
    check(of_sockets >= moved, || format!("sockets: {of_sockets}, moved: {moved}"))
}

/// Sockets close faster than a ring buffer of one page is read: each unreported one is in the loss counters.
///
/// The ring buffer serves the whole machine: sockets of other processes may be lost and counted too.
fn full_ring() -> Result<(), Failed> {
    const BATCH: usize = 500;
    const BATCHES: usize = 200;
    let sizes = LoadOptions { ring_bytes: 4096, ..LoadOptions::default() };
    let mut ebpf = Ebpf::start(Tier::Auto, sizes, None)?;
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = receiver.local_addr()?;
    let namespace = own_namespace()?;
    let (mut moved, mut lost, mut exact) = (0, 0, 0);
    for batch in 1..=BATCHES {
        let senders: Vec<UdpSocket> = (0..BATCH)
            .map(|_| {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                moved += socket.send_to(&[0; 100], to)?;
                Ok(socket)
            })
            .collect::<std::io::Result<_>>()?;
        drop(senders);
        let mut observed = Snapshot::default();
        ebpf.collect(&mut observed)?;
        let closed = observed.sockets.iter().filter(|s| s.closed && s.netns == Some(namespace)).count();
        let before = std::mem::replace(&mut lost, usize::try_from(observed.loss.ring_full)?);
        let (missing, counted) = (BATCH - closed, lost - before);
        check(counted >= missing, || format!("{missing} of {BATCH} are missing, {counted} in the ledger"))?;
        exact += usize::from(counted == missing && missing > 0);
        let own = observed.processes.iter().find(|row| row.id.pid == std::process::id());
        let sent = own.and_then(|row| row.counted).map_or(0, |bytes| bytes.tx);
        check(sent == u64::try_from(moved)?, || format!("sent {moved}, the process's row says {sent}"))?;
        // The number of rounds depends on the speed of the reading CPU.
        if exact > 0 && batch >= 10 {
            return Ok(());
        }
    }
    Err(format!("{lost} were lost, and in no batch as many as were missing").into())
}

/// A walk over more sockets than fit into its ring buffer resumes: each socket is reported with its bytes.
///
/// The test repeats the walk: a socket of another process that closes during a pause makes the kernel skip a live one.
fn full_walk() -> Result<(), Failed> {
    const SOCKETS: usize = 300;
    const WALKS: u32 = 3;
    let sizes = LoadOptions { walk_bytes: 4096, ..LoadOptions::default() };
    let mut ebpf = Ebpf::start(Tier::Auto, sizes, None)?;
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = receiver.local_addr()?;
    let senders: Vec<UdpSocket> = (0..SOCKETS)
        .map(|number| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.send_to(&vec![0; 1 + number], to)?;
            Ok(socket)
        })
        .collect::<std::io::Result<_>>()?;
    let mut sent = HashMap::new();
    for (number, sender) in senders.iter().enumerate() {
        sent.insert(sender.local_addr()?.port(), u64::try_from(1 + number)?);
    }
    let namespace = own_namespace()?;
    let mut missing = 0;
    for _walk in 0..WALKS {
        let mut observed = Snapshot::default();
        ebpf.collect(&mut observed)?;
        let own = observed.sockets.iter().filter(|socket| socket.netns == Some(namespace));
        let counted: HashMap<u16, u64> =
            own.filter_map(|socket| Some((socket.local.port, socket.counted?.tx))).collect();
        missing = sent.iter().filter(|(port, bytes)| counted.get(*port) != Some(*bytes)).count();
        if missing == 0 {
            return Ok(());
        }
    }
    Err(format!("{missing} of {SOCKETS} sockets are missing or have other bytes").into())
}

/// The limit of socket storage; per namespace since Linux 6.8.
const STORAGE_LIMIT: &str = "/proc/sys/net/core/optmem_max";

/// The kernel refuses socket storage: each sending socket is in the loss counters.
fn refused_storage() -> Result<(), Failed> {
    const SOCKETS: u64 = 50;
    let mut ebpf = Ebpf::start(Tier::Auto, LoadOptions::default(), None)?;
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    std::fs::write(STORAGE_LIMIT, "0")?;
    let mut senders = Vec::new();
    for _ in 0..SOCKETS {
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sender.send_to(&[0; 100], receiver.local_addr()?)?;
        senders.push(sender);
    }
    let mut observed = Snapshot::default();
    ebpf.collect(&mut observed)?;
    check(observed.loss.storage_failed == SOCKETS, || format!("{SOCKETS} sockets, and {:?}", observed.loss))
}

/// A killed program leaves no eBPF program in the kernel.
fn killed() -> Result<(), Failed> {
    let before = our_programs();
    let mut child = Program::start()?;
    let running = our_programs();
    let started: Vec<u32> = running.into_iter().filter(|id| !before.contains(id)).collect();
    check(!started.is_empty(), || "it loaded no program".to_owned())?;
    child.0.kill()?;
    child.0.wait()?;
    wait_until("the kernel frees the programs", || !our_programs().iter().any(|id| started.contains(id)));
    Ok(())
}

/// `net-traffic top`. Drop kills it.
struct Program(Child);

impl Program {
    /// Returns after the first report, when the eBPF programs are loaded.
    fn start() -> Result<Self, Failed> {
        let child = Command::new(env!("CARGO_BIN_EXE_net-traffic"))
            .args(["top", "--json", "--interval", "1"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut program = Self(child);
        let output = program.0.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        check(line.starts_with('{'), || format!("no report: {line:?}"))?;
        Ok(program)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The ids of the loaded eBPF programs with net-traffic's names.
fn our_programs() -> Vec<u32> {
    let names: Vec<&str> = SLOTS
        .iter()
        .chain(OPTIONAL_FUNCTIONS.iter().map(|(_, slot)| slot))
        .flat_map(|slot| slot.hooks)
        .flat_map(|hook| hook.programs)
        .map(|program| program.name)
        .collect();
    let mut ids = Vec::new();
    for program in loaded_programs() {
        // The program may have been freed since the listing.
        if let Ok(program) = program
            && program.name_as_str().is_some_and(|name| names.contains(&name))
        {
            ids.push(program.id());
        }
    }
    ids
}

fn own_namespace() -> Result<u32, Failed> {
    Ok(net_traffic_linux::netns::NetNs::own()?.inode())
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
