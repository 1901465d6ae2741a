//! The known gaps of each tier: exactly these differences must occur.

use super::compare::{Difference, Phase};
use super::tracer::Tier;

struct KnownGap {
    tier: Tier,
    case: &'static str,
    gaps: &'static [Gap],
}

struct Gap {
    phase: Phase,
    direction: &'static str,
    expected: u64,
    counted: Option<u64>,
}

/// A reset connection, or one closed in both directions, leaves the kernel's tables while a process still holds its
/// descriptor. A socket that connects again starts at zero.
const KNOWN_GAPS: &[KnownGap] = &[
    KnownGap { tier: Tier::TpBtf, case: "ktls_shared", gaps: TLS_FRAMING },
    KnownGap { tier: Tier::Fentry, case: "ktls_shared", gaps: TLS },
    KnownGap { tier: Tier::Kprobe, case: "ktls_shared", gaps: TLS },
    KnownGap {
        tier: Tier::Polling,
        case: "tcp_end_of_stream",
        gaps: &[missing("received", 300), missing("sent", 300)],
    },
    KnownGap {
        tier: Tier::Polling,
        case: "tcp_half_closed",
        gaps: &[missing("received", 80_000), missing("sent", 300)],
    },
    KnownGap { tier: Tier::Polling, case: "tcp_reset", gaps: &[missing("received", 1000)] },
    KnownGap { tier: Tier::Polling, case: "tcp_reset_unread", gaps: &[missing("received", 400)] },
    KnownGap { tier: Tier::Polling, case: "tcp_unread", gaps: &[missing("sent", 5000)] },
    KnownGap { tier: Tier::Polling, case: "tcp_never_accepted", gaps: &[missing("sent", 5000)] },
    KnownGap {
        tier: Tier::Polling,
        case: "tcp_reconnected",
        gaps: &[
            missing("received", 3000),
            missing("sent", 1000),
            Gap { phase: Phase::Open, direction: "received", expected: 1200, counted: Some(200) },
            Gap { phase: Phase::Open, direction: "sent", expected: 3500, counted: Some(500) },
        ],
    },
];

/// With kernel TLS, the bytes of a process that does not own the socket count for the owner: no hooked function sends
/// them.
const TLS: &[Gap] = &[
    non_owner(Phase::Open, RECORDS, Some(2 * RECORDS)),
    non_owner(Phase::Open, RECORDS, None),
    non_owner(Phase::Closed, RECORDS, Some(2 * RECORDS)),
    non_owner(Phase::Closed, RECORDS, None),
];
/// The tracepoint has the bytes of the call; the framing of TLS counts for the owner.
const TLS_FRAMING: &[Gap] = &[
    non_owner(Phase::Open, RECORDS, Some(RECORDS + FRAMING)),
    non_owner(Phase::Open, RECORDS, Some(RECORDS - FRAMING)),
    non_owner(Phase::Closed, RECORDS, Some(RECORDS + FRAMING)),
    non_owner(Phase::Closed, RECORDS, Some(RECORDS - FRAMING)),
];
/// The bytes that each of two processes sends, and the framing of TLS in them.
const RECORDS: u64 = 16 * 4096 + FRAMING;
const FRAMING: u64 = 16 * 29;

const fn non_owner(phase: Phase, expected: u64, counted: Option<u64>) -> Gap {
    Gap { phase, direction: "sent", expected, counted }
}

const fn missing(direction: &'static str, expected: u64) -> Gap {
    Gap { phase: Phase::Open, direction, expected, counted: None }
}

/// Removes the known differences; returns the others and the missing ones, one line each.
pub(super) fn unexplained(tier: Tier, case: &str, mut found: Vec<(Phase, Difference)>) -> Vec<String> {
    let mut wrong = vec![];
    for miss in KNOWN_GAPS.iter().filter(|row| row.tier == tier && row.case == case).flat_map(|row| row.gaps)
    {
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

impl Gap {
    fn is(&self, phase: Phase, difference: &Difference) -> bool {
        let Self { phase: when, direction, expected, counted } = self;
        *when == phase
            && difference.direction == *direction
            && difference.expected == *expected
            && difference.counted == *counted
    }
}
