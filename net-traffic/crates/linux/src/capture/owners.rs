//! Reads name, command line and container of the processes that own packets.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use net_traffic_common::ProcessKey;

use super::kernel::Kernel;
use crate::cgroup::{Containers, hierarchy, path_of};
use pcap_io::{Container, Process};

/// The age at which a process is read again: a process may change its name.
const REFRESH_NS: u64 = 1_000_000_000;
/// The limit of the cache, so that a host with many short processes does not fill the memory.
const CACHE_LIMIT: usize = 1 << 16;
/// The length at which a command line is cut.
const COMMAND_LIMIT: usize = 4096;

#[derive(Default)]
pub(super) struct Owners {
    /// Indices in `known`.
    indices: HashMap<ProcessKey, usize>,
    known: Vec<CachedProcess>,
    containers: Containers,
}

struct CachedProcess {
    process: Arc<Process>,
    read_ns: u64,
}

impl Owners {
    /// Reads a process unless a recent entry exists. Returns the index for [`Self::get`], valid until the next call.
    pub(super) fn lookup(&mut self, key: ProcessKey, now_ns: u64, kernel: &mut Kernel) -> usize {
        let index = self.indices.get(&key).copied();
        let before = index.and_then(|index| self.known.get(index));
        if let (Some(index), Some(known)) = (index, before)
            && now_ns.saturating_sub(known.read_ns) < REFRESH_NS
        {
            return index;
        }
        let before = before.map(|known| Arc::clone(&known.process));
        let begin = || Process { pid: key.pid(), ..Process::default() };
        let mut process = before.as_deref().cloned().unwrap_or_else(begin);
        self.read(key, kernel, &mut process);
        let process = before.filter(|before| **before == process).unwrap_or_else(|| Arc::new(process));
        let now = CachedProcess { process, read_ns: now_ns };
        if let Some((index, known)) = index.and_then(|index| Some((index, self.known.get_mut(index)?))) {
            *known = now;
            return index;
        }
        if self.known.len() >= CACHE_LIMIT {
            self.known.clear();
            self.indices.clear();
        }
        self.known.push(now);
        self.indices.insert(key, self.known.len() - 1);
        self.known.len() - 1
    }

    pub(super) fn get(&self, index: usize) -> Option<&Arc<Process>> {
        self.known.get(index).map(|known| &known.process)
    }

    /// The programs' row has the name and the cgroup, also of an ended process. /proc has the rest of a living one.
    fn read(&mut self, key: ProcessKey, kernel: &mut Kernel, process: &mut Process) {
        if let Some(row) = kernel.process(key) {
            let name = row.comm.split(|octet| *octet == 0).next().unwrap_or_default();
            if !name.is_empty() {
                process.name = String::from_utf8_lossy(name).into_owned();
            }
            if let Some(path) = kernel.cgroup_path(row.cgroup) {
                process.container = self.containers.of(&path).map(container);
            }
        }
        let pid = key.pid();
        if start_ticks(pid) != Some(key.start_ticks()) {
            return;
        }
        process.thread = has_one_thread(pid).then_some(pid);
        let read = |file| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        if process.name.is_empty() {
            String::from_utf8_lossy(&read("comm")).trim_end().clone_into(&mut process.name);
        }
        let mut command = read("cmdline");
        command.truncate(COMMAND_LIMIT);
        let words: Vec<_> = command
            .split(|octet| *octet == 0)
            .filter(|word| !word.is_empty())
            .map(String::from_utf8_lossy)
            .collect();
        if !words.is_empty() {
            process.command = Some(words.join(" "));
        }
        if let Some(path) = path_of(&read("cgroup")) {
            process.container = self.containers.of(&path).map(container);
        }
    }

    /// The cgroups of the container's processes.
    pub(super) fn cgroups_of(&mut self, wanted: &str) -> Vec<u64> {
        use std::os::unix::fs::MetadataExt;

        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let hierarchy = hierarchy::container_hierarchy();
        let mut found = Vec::new();
        for entry in processes.filter_map(Result::ok) {
            let name = entry.file_name();
            if !name.to_string_lossy().bytes().all(|octet| octet.is_ascii_digit()) {
                continue;
            }
            let Ok(text) = fs::read(entry.path().join("cgroup")) else { continue };
            let is_wanted =
                path_of(&text).and_then(|path| self.containers.of(&path)).is_some_and(|container| {
                    container.name.as_deref() == Some(wanted)
                        || wanted.len() >= 4 && container.id.starts_with(wanted)
                });
            if is_wanted && let Some(directory) = hierarchy.directory(&String::from_utf8_lossy(&text)) {
                found.extend(fs::metadata(directory).map(|metadata| metadata.ino()).ok());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A directory has two links, and /proc/PID/task one more for each thread
/// (<https://github.com/gregkh/linux/blob/v6.12.117/fs/proc/base.c#L3954>).
fn has_one_thread(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(format!("/proc/{pid}/task")).is_ok_and(|directory| directory.nlink() == 3)
}

fn container(known: &net_traffic_snapshot::Container) -> Container {
    Container { id: known.id.clone(), name: known.name.clone() }
}

/// Field 22 of /proc/PID/stat, modulo 2^32 as in a [`ProcessKey`]. The second field is the name in parentheses, which may
/// contain spaces and parentheses.
fn start_ticks(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: u64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    u32::try_from(ticks & u64::from(u32::MAX)).ok()
}
