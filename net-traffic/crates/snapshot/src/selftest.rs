//! What a self-test found: known traffic against what was counted, and what counting cost. Data only.

use crate::Snapshot;

/// A whole self-test.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    pub tiers: Vec<TierTrial>,
    /// What the same calls take while nothing counts.
    pub uncounted: Speed,
    /// Why it ran among the machine's own traffic, where it could not have a network namespace.
    pub shared: Option<String>,
    /// The last reading: who, when, and by which means.
    pub last: Snapshot,
}

#[derive(Clone, Debug, Default)]
pub struct TierTrial {
    pub tier: &'static str,
    /// Why this kernel does not grant it.
    pub refused: Option<String>,
    pub cases: Vec<CaseTrial>,
    pub speed: Option<Speed>,
    /// Events that the tool knows it failed to count.
    pub lost: u64,
}

#[derive(Clone, Debug, Default)]
pub struct CaseTrial {
    pub case: &'static str,
    /// What its processes sent and received, of what the tier promises to count.
    pub moved: u64,
    pub counted: u64,
    /// How far every process and socket was off, added up without signs.
    pub error: u64,
    /// The first difference, in words.
    pub difference: Option<String>,
    /// What this kernel lacks for it, or the tier does not claim.
    pub skipped: Option<String>,
}

/// How fast a connection over loopback is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speed {
    /// For one byte there and one back: two calls that send and two that receive.
    pub round_trip_ns: u64,
    /// What it takes of the processors: both ends, and all that is counted within their calls.
    pub round_trip_cpu_ns: u64,
    pub bps: u64,
}

impl Trial {
    /// Every promise was kept, and at least one was made.
    #[must_use]
    pub fn passed(&self) -> bool {
        let mut tried = self.tiers.iter().filter(|tier| tier.refused.is_none()).peekable();
        tried.peek().is_some() && tried.all(TierTrial::passed)
    }
}

impl TierTrial {
    fn passed(&self) -> bool {
        let counted = |case: &CaseTrial| case.difference.is_none() && case.error == 0;
        self.lost == 0
            && self.cases.iter().all(|case| case.skipped.is_some() || counted(case))
            && self.cases.iter().any(|case| case.skipped.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(change: impl FnOnce(&mut TierTrial)) -> Trial {
        let case = CaseTrial { case: "tcp", moved: 10, counted: 10, ..CaseTrial::default() };
        let mut tier = TierTrial { tier: "tp-btf", cases: vec![case], ..TierTrial::default() };
        change(&mut tier);
        let refused = TierTrial { refused: Some("no".to_owned()), ..TierTrial::default() };
        Trial { tiers: vec![refused, tier], ..Trial::default() }
    }

    #[test]
    fn one_wrong_byte_or_one_lost_event_fails() {
        assert!(trial(|_| ()).passed());
        assert!(!trial(|tier| tier.cases[0].error = 1).passed());
        assert!(!trial(|tier| tier.cases[0].difference = Some("x".to_owned())).passed());
        assert!(!trial(|tier| tier.lost = 1).passed());
    }

    #[test]
    fn nothing_tried_is_nothing_passed() {
        assert!(!Trial::default().passed());
        assert!(!trial(|tier| tier.refused = Some("no".to_owned())).passed());
        assert!(!trial(|tier| tier.cases[0].skipped = Some("no".to_owned())).passed());
    }
}
