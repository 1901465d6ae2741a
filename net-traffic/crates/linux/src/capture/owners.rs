//! Names the processes that packets belong to.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use net_traffic_common::ProcessKey;

use super::kernel::Kernel;
use crate::cgroup::{Containers, hierarchy, path_of};
use pcap_io::{Container, Process};

/// A process may take another name; so often it is looked at again.
const REFRESH_NS: u64 = 1_000_000_000;
/// More are not kept: whoever starts processes must not fill our memory.
const MOST: usize = 1 << 16;
/// Longer command lines are cut.
const COMMAND_LIMIT: usize = 4096;

#[derive(Default)]
pub(super) struct Owners {
    /// Their places in `known`.
    places: HashMap<ProcessKey, usize>,
    known: Vec<Known>,
    containers: Containers,
}

struct Known {
    process: Arc<Process>,
    read_ns: u64,
}

impl Owners {
    /// Learns of a process what can be learned now; gives its place, which holds until the next call.
    pub(super) fn learn(&mut self, key: ProcessKey, now_ns: u64, kernel: &mut Kernel) -> usize {
        let place = self.places.get(&key).copied();
        let before = place.and_then(|place| self.known.get(place));
        if let (Some(place), Some(known)) = (place, before)
            && now_ns.saturating_sub(known.read_ns) < REFRESH_NS
        {
            return place;
        }
        let before = before.map(|known| Arc::clone(&known.process));
        let begin = || Process { pid: key.pid(), ..Process::default() };
        let mut process = before.as_deref().cloned().unwrap_or_else(begin);
        self.read(key, kernel, &mut process);
        let process = before.filter(|before| **before == process).unwrap_or_else(|| Arc::new(process));
        let now = Known { process, read_ns: now_ns };
        if let Some((place, known)) = place.and_then(|place| Some((place, self.known.get_mut(place)?))) {
            *known = now;
            return place;
        }
        if self.known.len() >= MOST {
            self.known.clear();
            self.places.clear();
        }
        self.known.push(now);
        self.places.insert(key, self.known.len() - 1);
        self.known.len() - 1
    }

    pub(super) fn get(&self, place: usize) -> Option<&Arc<Process>> {
        self.known.get(place).map(|known| &known.process)
    }

    /// The kernel's row has name and cgroup also of a process that has ended; /proc has the rest while it lives.
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

    /// The cgroups of the processes that run in this container now.
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

/// The directory has an entry for each thread, and as every directory two links more.
fn has_one_thread(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(format!("/proc/{pid}/task")).is_ok_and(|directory| directory.nlink() == 3)
}

fn container(known: &net_traffic_snapshot::Container) -> Container {
    Container { id: known.id.clone(), name: known.name.clone() }
}

/// Field 22 of /proc/PID/stat, as keys have it. The second field is the name, in parentheses, which may contain
/// anything.
fn start_ticks(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: u64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    u32::try_from(ticks & u64::from(u32::MAX)).ok()
}
