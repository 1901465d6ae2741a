//! The result of a self-test: sent bytes, counted bytes, and the cost of counting. Data only.

use crate::Snapshot;

/// A whole self-test.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub tiers: Vec<TierResult>,
    /// The same calls before any tier counts.
    pub uncounted: Speed,
    /// Why the self-test has no network namespace of its own and ran on the machine's loopback.
    pub shared: Option<String>,
    /// The last reading: host, time and tier.
    pub last: Snapshot,
}

#[derive(Clone, Debug, Default)]
pub struct TierResult {
    pub tier: &'static str,
    /// Why the kernel refuses the tier.
    pub refused: Option<String>,
    pub cases: Vec<CaseResult>,
    pub speed: Option<Speed>,
    /// Events in the loss counters.
    pub lost: u64,
}

#[derive(Clone, Debug, Default)]
pub struct CaseResult {
    pub case: &'static str,
    /// The bytes that the case's processes sent and received and the tier must count.
    pub moved: u64,
    pub counted: u64,
    /// The sum of the absolute errors of all processes and sockets.
    pub error: u64,
    /// The first difference, as a message.
    pub difference: Option<String>,
    /// The feature that the kernel lacks, or why the tier does not count the traffic.
    pub skipped: Option<String>,
}

/// The speed of a TCP connection over loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speed {
    /// One byte and a reply of one byte: two calls that send and two that receive.
    pub round_trip_ns: u64,
    /// The CPU time of a round trip, of both ends and of the hooks in their calls.
    pub round_trip_cpu_ns: u64,
    pub bps: u64,
}

impl Report {
    /// Every case of the granted tiers was exact, and at least one case ran.
    #[must_use]
    pub fn passed(&self) -> bool {
        let mut granted = self.tiers.iter().filter(|tier| tier.refused.is_none()).peekable();
        granted.peek().is_some() && granted.all(TierResult::passed)
    }
}

impl TierResult {
    fn passed(&self) -> bool {
        let counted = |case: &CaseResult| case.difference.is_none() && case.error == 0;
        self.lost == 0
            && self.cases.iter().all(|case| case.skipped.is_some() || counted(case))
            && self.cases.iter().any(|case| case.skipped.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(change: impl FnOnce(&mut TierResult)) -> Report {
        let case = CaseResult { case: "tcp", moved: 10, counted: 10, ..CaseResult::default() };
        let mut tier = TierResult { tier: "tp-btf", cases: vec![case], ..TierResult::default() };
        change(&mut tier);
        let refused = TierResult { refused: Some("no".to_owned()), ..TierResult::default() };
        Report { tiers: vec![refused, tier], ..Report::default() }
    }

    #[test]
    fn report_wrong_byte_or_lost_event_fails() {
        assert!(report(|_| ()).passed());
        assert!(!report(|tier| tier.cases[0].error = 1).passed());
        assert!(!report(|tier| tier.cases[0].difference = Some("x".to_owned())).passed());
        assert!(!report(|tier| tier.lost = 1).passed());
    }

    #[test]
    fn report_without_played_case_fails() {
        assert!(!Report::default().passed());
        assert!(!report(|tier| tier.refused = Some("no".to_owned())).passed());
        assert!(!report(|tier| tier.cases[0].skipped = Some("no".to_owned())).passed());
    }
}
