//! Records the process that last used each socket, without counting bytes. The traced processes pay less for that than
//! for the byte counters.

use std::collections::HashSet;
use std::io;

use aya::Btf;
use aya::maps::{HashMap, Map, MapError};
use aya::programs::{BtfTracePoint, ProgramError};
use net_traffic_common::packet::{CaptureSettings, OWNERS_FROM_SOCKETS};
use net_traffic_common::{PROCESS_EXITED, ProcessCounters, ProcessKey};

use crate::cgroup::paths::CgroupPaths;
use crate::error_chain::chain;
use crate::load::{self, LoadError};
use net_traffic_snapshot::Status;

/// The program for sends that works without the kernel's private storage layout.
const FALLBACK: &str = "nt_own_send_tp";
/// Tracepoints with their programs, the cheapest first. The first one that the kernel accepts is attached.
const PROGRAMS: [(&str, &[&str]); 5] = [
    ("sock_send_length", &["nt_own_sfast_tp", FALLBACK]),
    ("sock_recv_length", &["nt_own_rfast_tp", "nt_own_recv_tp"]),
    ("sched_process_exec", &["nt_exec_tp"]),
    ("sched_process_exit", &["nt_exit_tp"]),
    ("cgroup_mkdir", &["nt_cgroup_tp"]),
];

/// Why the programs cannot run.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrackError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{}", chain(.0))]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Map(#[from] MapError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the object lacks a program")]
    MissingProgram,
    #[error("the object lacks a map")]
    MissingMap,
}

/// The status for `doctor`: a trial tells whether the kernel accepts the programs.
pub(crate) fn status() -> Status {
    let settings = CaptureSettings { owners: OWNERS_FROM_SOCKETS, ..CaptureSettings::default() };
    let btf = load::kernel_btf().map_err(TrackError::from);
    let trial = btf.and_then(|btf| OwnerTracker::start(settings, &btf));
    Status {
        slot: "capture".to_owned(),
        tier: trial.is_ok().then(|| "tp-btf".to_owned()),
        program: Some(trial.as_ref().map_or(FALLBACK, |started| started.program).to_owned()),
        covers: Some("packets with their processes, without counting; else by the best tier".to_owned()),
        reason: trial.err().map(|error| chain(&error)),
        remedy: None,
    }
}

pub(super) struct OwnerTracker {
    pub(super) object: aya::Ebpf,
    /// The program on `sock_send_length`.
    program: &'static str,
    processes: Map,
    cgroups: CgroupPaths,
    /// Processes that had ended at the last [`Self::gc`].
    ended: HashSet<ProcessKey>,
}

impl OwnerTracker {
    /// Before Linux 6.3 the kernel lacks the tracepoints `sock_send_length` and `sock_recv_length`
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/include/trace/events/sock.h#L299>).
    pub(super) fn start(settings: CaptureSettings, btf: &Btf) -> Result<Self, TrackError> {
        let mut object = load::load_for_capture(settings, true)?;
        let mut program = FALLBACK;
        for (event, programs) in PROGRAMS {
            let attached = attach_first_of(&mut object, programs, event, btf)?;
            if programs.contains(&FALLBACK) {
                program = attached;
            }
        }
        let mut take = |name| object.take_map(name).ok_or(TrackError::MissingMap);
        let (processes, created) = (take("nt_processes")?, take("nt_cgroup_paths")?);
        let cgroups = CgroupPaths::read(created)?;
        Ok(Self { object, program, processes, cgroups, ended: HashSet::new() })
    }

    /// The row of a process.
    pub(super) fn process(&self, key: ProcessKey) -> Option<ProcessCounters> {
        HashMap::<_, ProcessKey, ProcessCounters>::try_from(&self.processes).ok()?.get(&key, 0).ok()
    }

    pub(super) fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.of(id)
    }

    /// Removes the rows of processes that had ended at the last call: their last packets have been read since.
    pub(super) fn gc(&mut self) {
        let Ok(mut rows) = HashMap::<_, ProcessKey, ProcessCounters>::try_from(&mut self.processes) else {
            return;
        };
        for key in std::mem::take(&mut self.ended) {
            // The call fails if the row is already removed.
            let _removed = rows.remove(&key);
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

/// Attaches the first program that the kernel accepts. The error is the refusal of the last one.
fn attach_first_of(
    object: &mut aya::Ebpf,
    programs: &[&'static str],
    event: &str,
    btf: &Btf,
) -> Result<&'static str, TrackError> {
    let mut refusal = TrackError::MissingProgram;
    for name in programs {
        let program = object.program_mut(name).ok_or(TrackError::MissingProgram)?;
        let program: &mut BtfTracePoint = program.try_into()?;
        match program.load(event, btf).and_then(|()| program.attach()) {
            Ok(_attached) => return Ok(name),
            Err(error) => refusal = error.into(),
        }
    }
    Err(refusal)
}
