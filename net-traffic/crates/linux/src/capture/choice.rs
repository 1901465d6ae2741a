//! Whose packets are wanted: what the programs are told before they run, and what changes while they do.

use std::io;

use aya::maps::{HashMap, Map};
use net_traffic_common::packet::{
    CHOOSE_CGROUP, CHOOSE_NAME, CHOOSE_PID, CHOOSE_UID, CHOSEN_WITH_CHILDREN, CaptureSettings, OWNERS_HELD,
};
use nix::unistd::User;

use net_traffic_capture::LiveCaptureOptions;

/// The processes and the cgroups that are chosen.
pub(super) struct Chosen {
    pids: Map,
    cgroups: Map,
}

impl Chosen {
    pub(super) fn new(pids: Map, cgroups: Map) -> Self {
        Self { pids, cgroups }
    }

    pub(super) fn with_children(&mut self, pid: u32) -> io::Result<()> {
        self.add(pid, CHOSEN_WITH_CHILDREN)
    }

    pub(super) fn pid(&mut self, pid: u32) -> io::Result<()> {
        self.add(pid, 0)
    }

    pub(super) fn forget(&mut self, pid: u32) -> io::Result<()> {
        let mut chosen: HashMap<_, u32, u32> = HashMap::try_from(&mut self.pids).map_err(io::Error::other)?;
        chosen.remove(&pid).map_err(io::Error::other)
    }

    pub(super) fn cgroups(&mut self, cgroups: &[u64]) {
        let Ok(mut chosen) = HashMap::<_, u64, u32>::try_from(&mut self.cgroups) else { return };
        for cgroup in cgroups {
            // When the map is full, more are not chosen.
            let _chosen = chosen.insert(cgroup, 1, 0);
        }
    }

    fn add(&mut self, pid: u32, flags: u32) -> io::Result<()> {
        let mut chosen: HashMap<_, u32, u32> = HashMap::try_from(&mut self.pids).map_err(io::Error::other)?;
        chosen.insert(pid, flags, 0).map_err(io::Error::other)
    }
}

/// The user of a name or a number; `None` if there is none.
pub(super) fn user(name: &str) -> Option<u32> {
    let by_name = || Some(User::from_name(name).ok()??.uid.as_raw());
    name.parse().ok().or_else(by_name)
}

pub(super) fn settings(options: &LiveCaptureOptions, uid: Option<u32>, wake_bytes: u32) -> CaptureSettings {
    let choice = &options.choice;
    let mut name = [0; 16];
    if let Some(wanted) = &choice.process {
        // The kernel keeps fifteen octets of a name.
        let wanted = wanted.as_bytes();
        let length = wanted.len().min(15);
        name[..length].copy_from_slice(&wanted[..length]);
    }
    let flag = |is_chosen: bool, flag| if is_chosen { flag } else { 0 };
    CaptureSettings {
        snaplen: options.snaplen,
        choose: flag(!choice.pids.is_empty() || choice.command, CHOOSE_PID)
            | flag(choice.process.is_some(), CHOOSE_NAME)
            | flag(choice.container.is_some(), CHOOSE_CGROUP)
            | flag(uid.is_some(), CHOOSE_UID),
        name,
        wake_bytes,
        owners: if options.owners { OWNERS_HELD } else { 0 },
        uid: uid.unwrap_or(0),
        reserved: 0,
    }
}
