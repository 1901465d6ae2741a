//! Who uses sockets, without counting what they move: that costs others less.

use std::collections::HashSet;

use aya::Btf;
use aya::maps::{HashMap, Map};
use aya::programs::BtfTracePoint;
use net_traffic_common::packet::{CaptureSettings, OWNERS_HELD};
use net_traffic_common::{PROCESS_EXITED, ProcessCounters, ProcessKey};

use crate::cgroup::paths::CgroupPaths;
use crate::load::{self, chain};
use net_traffic_snapshot::Status;

/// Learns of what is sent where nothing cheaper is taken.
const LAST_RESORT: &str = "holder_send_tp";
/// Tracepoints, and the programs of which the first that the kernel takes runs there.
const PROGRAMS: [(&str, &[&str]); 5] = [
    ("sock_send_length", &["glance_send_tp", LAST_RESORT]),
    ("sock_recv_length", &["glance_recv_tp", "holder_recv_tp"]),
    ("sched_process_exec", &["exec_tp"]),
    ("sched_process_exit", &["exit_tp"]),
    ("cgroup_mkdir", &["cgroup_tp"]),
];

/// Whether packets find their processes in the cheapest way, as `doctor` says it; found by a trial.
pub(crate) fn status() -> Status {
    let settings = CaptureSettings { owners: OWNERS_HELD, ..CaptureSettings::default() };
    let btf = Btf::from_sys_fs().map_err(|error| chain(&error));
    let trial = btf.and_then(|btf| Watching::start(settings, &btf));
    Status {
        slot: "capture".to_owned(),
        tier: trial.is_ok().then(|| "tp-btf".to_owned()),
        program: Some(trial.as_ref().map_or(LAST_RESORT, |started| started.program).to_owned()),
        covers: Some("packets with their processes, without counting; else by the best tier".to_owned()),
        reason: trial.err(),
        remedy: None,
    }
}

pub(super) struct Watching {
    pub(super) object: aya::Ebpf,
    /// The one that sees what is sent.
    program: &'static str,
    processes: Map,
    cgroups: CgroupPaths,
    /// Processes that had ended when they were looked at last.
    ended: HashSet<ProcessKey>,
}

impl Watching {
    /// The kernel's refusal in its words: before Linux 6.3 it lacks the tracepoints.
    pub(super) fn start(settings: CaptureSettings, btf: &Btf) -> Result<Self, String> {
        let mut object = load::load_for_capture(settings, true).map_err(|error| chain(&error))?;
        let mut program = LAST_RESORT;
        for (event, programs) in PROGRAMS {
            let attached = attach_one_of(&mut object, programs, event, btf)?;
            if programs.contains(&LAST_RESORT) {
                program = attached;
            }
        }
        let mut take = |name| object.take_map(name).ok_or("the object lacks a map");
        let (processes, made) = (take("PROCESSES")?, take("CGROUP_PATHS")?);
        let cgroups = CgroupPaths::read(made).map_err(|error| chain(&error))?;
        Ok(Self { object, program, processes, cgroups, ended: HashSet::new() })
    }

    /// What is known of a process.
    pub(super) fn process(&self, key: ProcessKey) -> Option<ProcessCounters> {
        HashMap::<_, ProcessKey, ProcessCounters>::try_from(&self.processes).ok()?.get(&key, 0).ok()
    }

    pub(super) fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.of(id)
    }

    /// Forgets the processes that had ended when this was called before: their last packets have been seen.
    pub(super) fn tidy(&mut self) {
        let Ok(mut rows) = HashMap::<_, ProcessKey, ProcessCounters>::try_from(&mut self.processes) else {
            return;
        };
        for key in std::mem::take(&mut self.ended) {
            // It fails where the row is gone.
            let _forgotten = rows.remove(&key);
        }
        let has_ended = |row: &ProcessCounters| row.flags & PROCESS_EXITED != 0;
        self.ended = rows
            .iter()
            .filter_map(Result::ok)
            .filter(|(_, row)| has_ended(row))
            .map(|(key, _)| key)
            .collect();
    }
}

/// The first that the kernel takes; the last one's refusal otherwise.
fn attach_one_of(
    object: &mut aya::Ebpf,
    programs: &[&'static str],
    event: &str,
    btf: &Btf,
) -> Result<&'static str, String> {
    let mut refusal = "there is no program for it".to_owned();
    for name in programs {
        let program = object.program_mut(name).ok_or("the object lacks a program")?;
        let program: &mut BtfTracePoint = program.try_into().map_err(|error| chain(&error))?;
        match program.load(event, btf).and_then(|()| program.attach()) {
            Ok(_attached) => return Ok(name),
            Err(error) => refusal = chain(&error),
        }
    }
    Err(refusal)
}
