//! What stands beside a packet: its direction, its checksum's state, its process, and what was lost before it.

use std::collections::HashMap;
use std::sync::Arc;

use super::read::{Options, text};
use crate::endian::Endian;
use crate::format::{
    EPB_DROPCOUNT, EPB_FLAGS, EPB_PROCESS, FLAG_CHECKSUM_NOT_READY, FLAG_CHECKSUM_VALID, FLAG_IN, FLAG_OUT,
    OPT_COMMENT,
};
use crate::{Checksum, Container, Direction, Process, Segments};

/// What the options of a packet say.
pub(super) struct Described {
    pub(super) direction: Option<Direction>,
    pub(super) checksum: Option<Checksum>,
    pub(super) segments: Option<Segments>,
    pub(super) pid: Option<u32>,
    /// Packets that were lost before this one.
    pub(super) lost: u64,
}

/// Reads a packet's options. The table of processes has from now on what they say of one.
pub(super) fn described(
    endian: Endian,
    options: &[u8],
    processes: &mut HashMap<u32, Arc<Process>>,
) -> Described {
    let (mut direction, mut checksum, mut pid, mut lost) = (None, None, None, 0);
    let mut comments = Vec::new();
    for (code, value) in Options::new(endian, options) {
        match code {
            EPB_FLAGS => {
                let flags = endian.u32(value, 0).unwrap_or(0);
                direction = match flags & 3 {
                    FLAG_IN => Some(Direction::In),
                    FLAG_OUT => Some(Direction::Out),
                    _ => None,
                };
                checksum = match flags & (FLAG_CHECKSUM_NOT_READY | FLAG_CHECKSUM_VALID) {
                    FLAG_CHECKSUM_NOT_READY => Some(Checksum::NotReady),
                    FLAG_CHECKSUM_VALID => Some(Checksum::Valid),
                    _ => None,
                };
            }
            EPB_PROCESS => pid = endian.u32(value, 0).filter(|pid| *pid != 0),
            EPB_DROPCOUNT => lost = endian.u64(value, 0).unwrap_or(0),
            OPT_COMMENT => comments.push(text(value)),
            _ => {}
        }
    }
    let lines = || comments.iter().flat_map(|comment| comment.lines());
    let pid = pid.or_else(|| lines().find_map(|line| line.strip_prefix("PID: ")?.parse().ok()));
    if let Some(pid) = pid {
        let process = processes.entry(pid).or_insert_with(|| Arc::new(Process { pid, ..Process::default() }));
        lines().filter_map(|line| line.split_once(": ")).for_each(|(key, value)| tell(key, value, process));
    }
    let segments = lines().find_map(|line| segments(line.strip_prefix("Segments: ")?));
    Described { direction, checksum, segments, pid, lost }
}

/// `N of at most M octets`
fn segments(text: &str) -> Option<Segments> {
    let (count, size) = text.strip_suffix(" octets")?.split_once(" of at most ")?;
    Some(Segments { count: count.parse().ok()?, size: size.parse().ok()? })
}

/// What one `Key: value` of a comment tells.
fn tell(key: &str, value: &str, process: &mut Arc<Process>) {
    let container = || Container { id: String::new(), name: None };
    if !matches!(key, "Cmd" | "Args" | "ContainerName" | "ContainerId") {
        return;
    }
    let process = Arc::make_mut(process);
    match key {
        "Cmd" => value.rsplit('/').next().unwrap_or(value).clone_into(&mut process.name),
        "Args" => process.command = Some(value.to_owned()),
        "ContainerName" => process.container.get_or_insert_with(container).name = Some(value.to_owned()),
        "ContainerId" => value.clone_into(&mut process.container.get_or_insert_with(container).id),
        _ => {}
    }
}
