//! Chooses the processes whose packets are captured: settings before the load, and maps that change afterwards.

use std::io;

use aya::maps::{HashMap, Map};
use net_traffic_common::packet::{
    CaptureSettings, FILTER_CGROUP, FILTER_CHILDREN, FILTER_NAME, FILTER_PID, FILTER_UID, OWNERS_FROM_SOCKETS,
};
use nix::unistd::User;

use net_traffic_capture::LiveCaptureOptions;

/// The maps of chosen processes and cgroups.
pub(super) struct ChosenProcesses {
    pids: Map,
    cgroups: Map,
}

impl ChosenProcesses {
    pub(super) fn new(pids: Map, cgroups: Map) -> Self {
        Self { pids, cgroups }
    }

    /// Chooses the future children of a process.
    pub(super) fn add_with_children(&mut self, pid: u32) -> io::Result<()> {
        self.insert(pid, FILTER_CHILDREN)
    }

    pub(super) fn add(&mut self, pid: u32) -> io::Result<()> {
        self.insert(pid, 0)
    }

    pub(super) fn remove(&mut self, pid: u32) -> io::Result<()> {
        let mut chosen: HashMap<_, u32, u32> = HashMap::try_from(&mut self.pids).map_err(io::Error::other)?;
        chosen.remove(&pid).map_err(io::Error::other)
    }

    pub(super) fn add_cgroups(&mut self, cgroups: &[u64]) {
        let Ok(mut chosen) = HashMap::<_, u64, u32>::try_from(&mut self.cgroups) else { return };
        for cgroup in cgroups {
            // A full map refuses the insertion, and the cgroup is not chosen.
            let _chosen = chosen.insert(cgroup, 1, 0);
        }
    }

    fn insert(&mut self, pid: u32, flags: u32) -> io::Result<()> {
        let mut chosen: HashMap<_, u32, u32> = HashMap::try_from(&mut self.pids).map_err(io::Error::other)?;
        chosen.insert(pid, flags, 0).map_err(io::Error::other)
    }
}

/// The user id of a name or a number; `None` for an unknown name.
pub(super) fn user(name: &str) -> Option<u32> {
    let by_name = || Some(User::from_name(name).ok()??.uid.as_raw());
    name.parse().ok().or_else(by_name)
}

pub(super) fn settings(options: &LiveCaptureOptions, uid: Option<u32>, wake_bytes: u32) -> CaptureSettings {
    let choice = &options.choice;
    let mut name = [0; 16];
    if let Some(wanted) = &choice.process {
        // TASK_COMM_LEN is 16, with the NUL (<https://github.com/gregkh/linux/blob/v6.12.117/include/linux/sched.h#L306>).
        let wanted = wanted.as_bytes();
        let length = wanted.len().min(15);
        name[..length].copy_from_slice(&wanted[..length]);
    }
    let flag = |is_chosen: bool, flag| if is_chosen { flag } else { 0 };
    CaptureSettings {
        snaplen: options.snaplen,
        process_filter: flag(!choice.pids.is_empty() || choice.command, FILTER_PID)
            | flag(choice.process.is_some(), FILTER_NAME)
            | flag(choice.container.is_some(), FILTER_CGROUP)
            | flag(uid.is_some(), FILTER_UID),
        name,
        wake_bytes,
        owners: if options.owners { OWNERS_FROM_SOCKETS } else { 0 },
        uid: uid.unwrap_or(0),
        reserved: 0,
    }
}
