//! A process: its key, and its row in the map `PROCESSES`.

use crate::{Plain, loadable, plain};

/// A process that PID reuse cannot confuse: the thread group's id in the upper half, and in the lower half its
/// start time since boot in clock ticks of 10 ms, as field 22 of /proc/PID/stat has it, modulo 2^32.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessKey(pub u64);

// SAFETY: the type is a plain integer.
unsafe impl Plain for ProcessKey {}
loadable!(ProcessKey);

/// Bytes of sockets of which no owner is known.
pub const UNOWNED: ProcessKey = ProcessKey::new(0, 0);
/// Bytes of processes for which the map had no room.
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
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    pub const fn start_ticks(self) -> u32 {
        self.0 as u32
    }
}

/// The process has ended: a bit of [`ProcessCounters::flags`].
pub const PROCESS_EXITED: u32 = 1;
/// It descends from the process whose descendants are traced.
pub const PROCESS_TRACED: u32 = 2;
/// Its user is known.
pub const PROCESS_HAS_UID: u32 = 4;

plain! {
    /// What a process moved, and what can only be learned while it runs.
    pub struct ProcessCounters: 48 {
        /// Payload received and sent since the programs were attached.
        pub rx_bytes: u64,
        pub tx_bytes: u64,
        /// The id of its cgroup in the hierarchy that the loader chose; 0 when not known.
        pub cgroup: u64,
        /// The name of the thread group's leader, NUL-terminated.
        pub comm: [u8; 16],
        pub flags: u32,
        /// The user it runs as, if [`PROCESS_HAS_UID`] says that this is known.
        pub uid: u32,
    }
}

/// The path of a cgroup below the root of its hierarchy, NUL-terminated; a longer one is cut.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupPath(pub [u8; CGROUP_PATH]);

// SAFETY: the type is a plain array.
unsafe impl Plain for CgroupPath {}
loadable!(CgroupPath);

/// Room for a pod's slice and scope, in a hierarchy of a service or two.
pub const CGROUP_PATH: usize = 384;
