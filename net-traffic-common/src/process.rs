//! A process: its key, and its row in the map `nt_processes`.

use crate::{Plain, loadable, plain};

/// A process, safe against PID reuse: the PID (thread group ID) in the upper half, the start time since boot in the
/// lower. The start time is in clock ticks of 10 ms modulo 2^32, as field 22 of [`/proc/PID/stat`][stat].
///
/// [stat]: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessKey(pub u64);

// SAFETY: the type is a plain integer.
unsafe impl Plain for ProcessKey {}
loadable!(ProcessKey);

/// The row for bytes of sockets without a known owner.
pub const UNOWNED: ProcessKey = ProcessKey::new(0, 0);
/// The row for bytes of processes that found the map full.
pub const OTHER: ProcessKey = ProcessKey::new(0, 1);

impl ProcessKey {
    #[must_use]
    pub const fn new(pid: u32, start_ticks: u32) -> Self {
        Self((pid as u64) << 32 | start_ticks as u64)
    }

    #[must_use]
    pub const fn pid(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the result")]
    pub const fn start_ticks(self) -> u32 {
        self.0 as u32
    }
}

/// The process has exited: a bit of [`ProcessCounters::flags`].
pub const PROCESS_EXITED: u32 = 1;
/// The process descends from the one whose descendants are traced.
pub const PROCESS_TRACED: u32 = 2;
/// The process's user is known.
pub const PROCESS_HAS_UID: u32 = 4;

plain! {
    /// The bytes of a process, and the facts about it that are readable only while it runs.
    pub struct ProcessCounters: 48 {
        /// Payload received and sent since the programs are attached.
        pub rx_bytes: u64,
        pub tx_bytes: u64,
        /// The ID of the process's cgroup in the hierarchy that the loader chose; 0 if unknown.
        pub cgroup: u64,
        /// The name of the first thread, NUL-terminated.
        pub comm: [u8; 16],
        pub flags: u32,
        /// The real UID, if [`PROCESS_HAS_UID`] is set.
        pub uid: u32,
    }
}

/// The path of a cgroup below the root of its hierarchy, NUL-terminated; a longer path is cut.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupPath(pub [u8; CGROUP_PATH]);

// SAFETY: the type is a plain array.
unsafe impl Plain for CgroupPath {}
loadable!(CgroupPath);

/// Room for the slice and the scope of a pod, below one or two services.
pub const CGROUP_PATH: usize = 384;
