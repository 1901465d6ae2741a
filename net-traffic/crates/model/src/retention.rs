//! The bounds of the model's memory.

/// How many ended items are kept one by one. The others are kept as sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Snapshots for which an ended connection is kept.
    pub snapshots: u32,
    pub connections: usize,
    pub processes: usize,
    pub destinations: usize,
    /// Connections, containers and remote hosts with a rate history, at most so many of each; 0 keeps none.
    pub histories: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshots: 5, connections: 10_000, processes: 5_000, destinations: 50_000, histories: 0 }
    }
}

impl Retention {
    /// For the full screen, which draws rate histories.
    #[must_use]
    pub fn for_screen() -> Self {
        Self { histories: 4096, ..Self::default() }
    }

    /// For `run`, which reports once: every connection is kept until then.
    #[must_use]
    pub fn for_run() -> Self {
        Self { snapshots: u32::MAX, connections: 100_000, processes: 100_000, ..Self::default() }
    }
}
