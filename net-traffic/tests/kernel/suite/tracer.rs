//! What the tests ask of whatever counts bytes on this machine.

use std::fmt;

use net_traffic_linux::Live;
use net_traffic_snapshot::LiveOptions;
use net_traffic_snapshot::Snapshot;

/// A way of counting, as `--tier` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    TpBtf,
    Fentry,
    Kprobe,
    Polling,
}

/// Why this kernel does not grant a tier.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) reason: String,
}

/// Counts every process and socket of the machine from `start` until it is dropped.
pub(super) trait Tracer: Sized {
    /// From its return on, every byte counts. Sockets are looked for in the calling thread's network namespace.
    fn start(tier: Tier) -> Result<Self, Refused>;

    /// As a user's reading would be: a closed socket and an ended process are in one snapshot after their end.
    fn snapshot(&mut self) -> Result<Snapshot, String>;
}

impl Tier {
    pub(super) const ALL: [Self; 4] = [Self::TpBtf, Self::Fentry, Self::Kprobe, Self::Polling];

    /// It has a hook on the bytes themselves, so it sees UDP, processes, and sockets that are gone when it reads.
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

/// The program's own live source.
pub(super) struct Machine(Live);

impl Tracer for Machine {
    fn start(tier: Tier) -> Result<Self, Refused> {
        let tier = match tier {
            Tier::TpBtf => net_traffic_snapshot::Tier::TpBtf,
            Tier::Fentry => net_traffic_snapshot::Tier::Fentry,
            Tier::Kprobe => net_traffic_snapshot::Tier::Kprobe,
            Tier::Polling => net_traffic_snapshot::Tier::Polling,
        };
        let options = LiveOptions { counting: true, tier, ..LiveOptions::default() };
        Live::open(&options).map(Self).map_err(|error| Refused { reason: error.to_string() })
    }

    fn snapshot(&mut self) -> Result<Snapshot, String> {
        self.0.snapshot().map_err(|error| error.to_string())
    }
}
