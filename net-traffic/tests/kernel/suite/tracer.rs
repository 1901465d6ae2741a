//! The interface of a tracer under test.

use std::fmt;

use net_traffic_linux::Live;
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::{Counting, LiveOptions};

/// A tier, named as by `--tier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    TpBtf,
    Fentry,
    Kprobe,
    Polling,
}

/// Why the kernel refuses a tier.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) reason: String,
}

/// Counts every process and socket of the machine from `start` until drop.
pub(super) trait Tracer: Sized {
    /// Counts every byte after its return. Polls sockets of the calling thread's network namespace.
    fn start(tier: Tier) -> Result<Self, Refused>;

    /// One reading: a closed socket and an exited process are in one snapshot after their end.
    fn snapshot(&mut self) -> Result<Snapshot, String>;
}

impl Tier {
    pub(super) const ALL: [Self; 4] = [Self::TpBtf, Self::Fentry, Self::Kprobe, Self::Polling];

    /// Whether the tier counts by hooks, and so also UDP, processes, and sockets closed before a reading.
    pub(super) fn hooks(self) -> bool {
        self != Self::Polling
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TpBtf => "tp-btf",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Polling => "polling",
        })
    }
}

/// The program's live source.
pub(super) struct Machine(Live);

impl Tracer for Machine {
    fn start(tier: Tier) -> Result<Self, Refused> {
        let tier = match tier {
            Tier::TpBtf => net_traffic_snapshot::Tier::TpBtf,
            Tier::Fentry => net_traffic_snapshot::Tier::Fentry,
            Tier::Kprobe => net_traffic_snapshot::Tier::Kprobe,
            Tier::Polling => net_traffic_snapshot::Tier::Polling,
        };
        let options = LiveOptions { counting: Counting::Sockets, tier, ..LiveOptions::default() };
        Live::open(&options).map(Self).map_err(|error| Refused { reason: error.to_string() })
    }

    fn snapshot(&mut self) -> Result<Snapshot, String> {
        self.0.snapshot().map_err(|error| error.to_string())
    }
}
