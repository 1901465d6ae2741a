//! The known gaps of each tier: exactly these differences must occur.

use super::compare::{Difference, Phase};
use super::tracer::Tier;

struct Blind {
    tier: Tier,
    case: &'static str,
    misses: &'static [Miss],
}

struct Miss {
    phase: Phase,
    direction: &'static str,
    expected: u64,
    counted: Option<u64>,
}

/// A reset connection, or one closed in both directions, leaves the kernel's tables while a process still holds its
/// descriptor. A socket that connects again starts at zero.
const BLIND: &[Blind] = &[
    Blind { tier: Tier::TpBtf, case: "ktls_shared", misses: TLS_FRAMING },
    Blind { tier: Tier::Fentry, case: "ktls_shared", misses: TLS },
    Blind { tier: Tier::Kprobe, case: "ktls_shared", misses: TLS },
    Blind {
        tier: Tier::Polling,
        case: "tcp_end_of_stream",
        misses: &[unseen("received", 300), unseen("sent", 300)],
    },
    Blind {
        tier: Tier::Polling,
        case: "tcp_half_closed",
        misses: &[unseen("received", 80_000), unseen("sent", 300)],
    },
    Blind { tier: Tier::Polling, case: "tcp_reset", misses: &[unseen("received", 1000)] },
    Blind { tier: Tier::Polling, case: "tcp_reset_unread", misses: &[unseen("received", 400)] },
    Blind { tier: Tier::Polling, case: "tcp_unread", misses: &[unseen("sent", 5000)] },
    Blind { tier: Tier::Polling, case: "tcp_never_accepted", misses: &[unseen("sent", 5000)] },
    Blind {
        tier: Tier::Polling,
        case: "tcp_reconnected",
        misses: &[
            unseen("received", 3000),
            unseen("sent", 1000),
            Miss { phase: Phase::Open, direction: "received", expected: 1200, counted: Some(200) },
            Miss { phase: Phase::Open, direction: "sent", expected: 3500, counted: Some(500) },
        ],
    },
];

/// With kernel TLS, the bytes of a process that does not own the socket count for the owner: no hooked function sends
/// them.
const TLS: &[Miss] = &[
    guests(Phase::Open, RECORDS, Some(2 * RECORDS)),
    guests(Phase::Open, RECORDS, None),
    guests(Phase::Closed, RECORDS, Some(2 * RECORDS)),
    guests(Phase::Closed, RECORDS, None),
];
/// The tracepoint has the bytes of the call; the framing of TLS counts for the owner.
const TLS_FRAMING: &[Miss] = &[
    guests(Phase::Open, RECORDS, Some(RECORDS + FRAMING)),
    guests(Phase::Open, RECORDS, Some(RECORDS - FRAMING)),
    guests(Phase::Closed, RECORDS, Some(RECORDS + FRAMING)),
    guests(Phase::Closed, RECORDS, Some(RECORDS - FRAMING)),
];
/// The bytes that each of two processes sends, and the framing of TLS in them.
const RECORDS: u64 = 16 * 4096 + FRAMING;
const FRAMING: u64 = 16 * 29;

const fn guests(phase: Phase, expected: u64, counted: Option<u64>) -> Miss {
    Miss { phase, direction: "sent", expected, counted }
}

const fn unseen(direction: &'static str, expected: u64) -> Miss {
    Miss { phase: Phase::Open, direction, expected, counted: None }
}

/// Removes the known differences; returns the others and the missing ones, one line each.
pub(super) fn unexplained(tier: Tier, case: &str, mut found: Vec<(Phase, Difference)>) -> Vec<String> {
    let mut wrong = vec![];
    for miss in BLIND.iter().filter(|row| row.tier == tier && row.case == case).flat_map(|row| row.misses) {
        match found.iter().position(|(phase, difference)| miss.is(*phase, difference)) {
            Some(known) => drop(found.remove(known)),
            None => wrong.push(format!(
                "{}: {} {} is known to read {:?}, and did not; correct the table",
                miss.phase, miss.direction, miss.expected, miss.counted
            )),
        }
    }
    wrong.extend(found.iter().map(|(phase, difference)| format!("{phase}: {difference}")));
    wrong
}

impl Miss {
    fn is(&self, phase: Phase, difference: &Difference) -> bool {
        let Self { phase: when, direction, expected, counted } = self;
        *when == phase
            && difference.direction == *direction
            && difference.expected == *expected
            && difference.counted == *counted
    }
}
