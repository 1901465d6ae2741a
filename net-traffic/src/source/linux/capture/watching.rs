//! Who uses sockets, without counting what they move: that costs others less.

use std::collections::HashSet;

use aya::Btf;
use aya::maps::{HashMap, Map};
use aya::programs::BtfTracePoint;
use net_traffic_common::packet::{CaptureSettings, OWNERS_HELD};
use net_traffic_common::{PROCESS_EXITED, ProcessCounters, ProcessKey};

use crate::snapshot::Status;
use crate::source::linux::cgroup::paths::Paths;
use crate::source::linux::load::{self, chain};

/// Programs and the tracepoints at which they run.
const PROGRAMS: [(&str, &str); 5] = [
    ("holder_send_tp", "sock_send_length"),
    ("holder_recv_tp", "sock_recv_length"),
    ("exec_tp", "sched_process_exec"),
    ("exit_tp", "sched_process_exit"),
    ("cgroup_tp", "cgroup_mkdir"),
];

/// Whether packets find their processes in the cheapest way, as `doctor` says it; found by a trial.
pub(in crate::source::linux) fn status() -> Status {
    let settings = CaptureSettings { owners: OWNERS_HELD, ..CaptureSettings::default() };
    let btf = Btf::from_sys_fs().map_err(|error| chain(&error));
    let refusal = btf.and_then(|btf| Watching::start(settings, &btf).map(drop)).err();
    Status {
        slot: "capture".to_owned(),
        tier: refusal.is_none().then(|| "tp-btf".to_owned()),
        program: Some("holder_send_tp".to_owned()),
        covers: Some("packets with their processes, without counting; else by the best tier".to_owned()),
        reason: refusal,
        remedy: None,
    }
}

pub(super) struct Watching {
    pub(super) object: aya::Ebpf,
    processes: Map,
    cgroups: Paths,
    /// Processes that had ended when they were looked at last.
    ended: HashSet<ProcessKey>,
}

impl Watching {
    /// The kernel's refusal in its words: before Linux 6.3 it lacks the tracepoints.
    pub(super) fn start(settings: CaptureSettings, btf: &Btf) -> Result<Self, String> {
        let mut object = load::load_for_capture(settings, true).map_err(|error| chain(&error))?;
        for (name, event) in PROGRAMS {
            let program = object.program_mut(name).ok_or("the object lacks a program")?;
            let program: &mut BtfTracePoint = program.try_into().map_err(|error| chain(&error))?;
            program.load(event, btf).map_err(|error| chain(&error))?;
            program.attach().map_err(|error| chain(&error))?;
        }
        let mut take = |name| object.take_map(name).ok_or("the object lacks a map");
        let (processes, made) = (take("PROCESSES")?, take("CGROUP_PATHS")?);
        let cgroups = Paths::read(made).map_err(|error| chain(&error))?;
        Ok(Self { object, processes, cgroups, ended: HashSet::new() })
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
