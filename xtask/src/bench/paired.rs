//! Comparing two sides on a machine that is never quiet: blocks in alternating order, ratios within pairs, their median
//! with a bootstrap confidence interval, and a null control that tells whether the run is worth anything.
//!
//! It measures nothing itself: the caller's closure runs one block of one side and says what it cost.

use std::fmt;

use anyhow::{Result, ensure};

const RESAMPLES: usize = 2000;

/// What a block runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    /// What is compared against: tracer off, the other program.
    Base,
    /// What is measured: tracer on, our program.
    Subject,
}

/// How to run it.
pub(super) struct Plan {
    /// How often both sides run; below 80 the interval gets wide.
    pub(super) pairs: usize,
    /// How far the null control may be from 1.
    pub(super) null_tolerance: f64,
}

/// A median and its 95 % confidence interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What came out; costs in the unit that the closure returned.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Subject / base.
    pub(super) ratio: Estimate,
    /// Base / base: 1 on a machine that does not disturb.
    pub(super) null: Estimate,
    pub(super) base: f64,
    pub(super) subject: f64,
    null_tolerance: f64,
}

impl Outcome {
    /// Fails if the null control shows that something else moved the figures.
    pub(super) fn trusted(&self) -> Result<&Self> {
        ensure!(
            (self.null.median - 1.0).abs() <= self.null_tolerance,
            "discarded: the null control is {}, further from 1 than {}",
            self.null,
            self.null_tolerance
        );
        Ok(self)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} [{:.4}, {:.4}]", self.median, self.low, self.high)
    }
}

/// Runs base/subject pairs and, between them, base/base pairs; which of a pair goes first alternates.
pub(super) fn compare(plan: &Plan, mut block: impl FnMut(Side) -> Result<f64>) -> Result<Outcome> {
    ensure!(plan.pairs > 0, "a comparison needs at least one pair");
    let (mut ratios, mut nulls) = (Vec::new(), Vec::new());
    let (mut bases, mut subjects) = (Vec::new(), Vec::new());
    for pair in 0..plan.pairs {
        let subject_first = pair % 2 == 1;
        let (base, subject) = run_pair(&mut block, Side::Subject, subject_first)?;
        let (first, second) = run_pair(&mut block, Side::Base, subject_first)?;
        ratios.push(subject / base);
        nulls.push(second / first);
        bases.extend([base, first, second]);
        subjects.push(subject);
    }
    Ok(Outcome {
        ratio: estimate(&ratios),
        null: estimate(&nulls),
        base: median(&mut bases),
        subject: median(&mut subjects),
        null_tolerance: plan.null_tolerance,
    })
}

/// Runs both sides in turn, each block once: a subject's is compared with the base's before and after it, and so are for
/// the null control the base's own. For blocks that take long; the figures of a block are compared each for itself.
pub(super) fn alternate<const N: usize>(
    plan: &Plan,
    mut block: impl FnMut(Side) -> Result<[f64; N]>,
) -> Result<[Outcome; N]> {
    ensure!(plan.pairs > 1, "neighbours of neighbours need at least two pairs");
    let (mut bases, mut subjects) = (vec![block(Side::Base)?], Vec::new());
    for _ in 0..plan.pairs {
        subjects.push(block(Side::Subject)?);
        bases.push(block(Side::Base)?);
    }
    Ok(std::array::from_fn(|figure| {
        let of = |blocks: &[[f64; N]]| blocks.iter().map(|block| block[figure]).collect::<Vec<f64>>();
        let (mut bases, mut subjects) = (of(&bases), of(&subjects));
        let against = |block: f64, before: f64, after: f64| block / f64::midpoint(before, after);
        let ratios: Vec<f64> = subjects
            .iter()
            .zip(bases.windows(2))
            .map(|(subject, around)| against(*subject, around[0], around[1]))
            .collect();
        let nulls: Vec<f64> = bases.windows(3).map(|three| against(three[1], three[0], three[2])).collect();
        Outcome {
            ratio: estimate(&ratios),
            null: estimate(&nulls),
            base: median(&mut bases),
            subject: median(&mut subjects),
            null_tolerance: plan.null_tolerance,
        }
    }))
}

/// The costs of the base and of the other side.
fn run_pair(
    block: &mut impl FnMut(Side) -> Result<f64>,
    other: Side,
    other_first: bool,
) -> Result<(f64, f64)> {
    if other_first {
        let cost = block(other)?;
        Ok((block(Side::Base)?, cost))
    } else {
        Ok((block(Side::Base)?, block(other)?))
    }
}

/// The median of at least one value, with its interval.
pub(super) fn estimate(ratios: &[f64]) -> Estimate {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut resample: Vec<f64> = ratios.iter().map(|_| ratios[random.below(ratios.len())]).collect();
            median(&mut resample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Estimate {
        median: median(&mut ratios.to_vec()),
        low: medians[RESAMPLES / 40],
        high: medians[RESAMPLES - 1 - RESAMPLES / 40],
    }
}

/// Of at least one value; sorts them.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// A xorshift generator: the same figures give the same interval each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The high bits; the modulus favours none noticeably at bounds this small.
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { pairs: 80, null_tolerance: 0.005 };

    /// Blocks that cost 100, times `factor` for the subject, with noise, on a machine that gets slower all the time.
    fn synthetic(factor: f64, noise: f64, drift: f64) -> impl FnMut(Side) -> Result<f64> {
        let mut random = Random(42);
        let mut level = 100.0;
        move |side| {
            level *= 1.0 + drift;
            let jitter = f64::from(u16::try_from(random.below(1000)).unwrap()) / 1000.0 - 0.5;
            let cost = level * (1.0 + noise * jitter);
            Ok(if side == Side::Subject { cost * factor } else { cost })
        }
    }

    #[test]
    fn finds_a_small_effect_in_noise_and_drift() {
        let outcome = compare(&PLAN, synthetic(1.03, 0.02, 0.001)).unwrap();
        let Estimate { median, low, high } = outcome.ratio;
        assert!((median - 1.03).abs() < 0.005, "{outcome:?}");
        assert!(low < median && median < high && low > 1.0, "{outcome:?}");
        outcome.trusted().unwrap();
    }

    #[test]
    fn finds_nothing_where_nothing_is() {
        let outcome = compare(&PLAN, synthetic(1.0, 0.02, 0.001)).unwrap();
        assert!(outcome.ratio.low <= 1.0 && outcome.ratio.high >= 1.0, "{outcome:?}");
    }

    #[test]
    fn an_outlier_moves_no_median() {
        let mut blocks = 0;
        let mut quiet = synthetic(1.1, 0.01, 0.0);
        let outcome = compare(&PLAN, |side| {
            blocks += 1;
            Ok(quiet(side)? * if blocks % 20 == 0 { 50.0 } else { 1.0 })
        });
        assert!((outcome.unwrap().ratio.median - 1.1).abs() < 0.005);
    }

    #[test]
    fn a_disturbed_run_is_discarded() {
        // Something periodic that meets the same slot of each null pair, whichever goes first.
        let mut blocks = 0;
        let outcome = compare(&PLAN, |_| {
            blocks += 1;
            Ok(if matches!(blocks % 8, 4 | 7) { 102.0 } else { 100.0 })
        });
        let outcome = outcome.unwrap();
        let error = outcome.trusted().unwrap_err().to_string();
        assert!(error.starts_with("discarded"), "{error}");
    }

    #[test]
    fn sides_alternate_within_pairs() {
        let mut order = String::new();
        let plan = Plan { pairs: 2, null_tolerance: 1.0 };
        compare(&plan, |side| {
            order.push(if side == Side::Base { 'b' } else { 's' });
            Ok(1.0)
        })
        .unwrap();
        assert_eq!(order, "bsbbsbbb");
    }

    #[test]
    fn blocks_in_turn_are_compared_with_their_neighbours() {
        let mut order = String::new();
        let mut cost = synthetic(0.9, 0.02, 0.001);
        let [outcome, constant] = alternate(&PLAN, |side| {
            order.push(if side == Side::Base { 'b' } else { 's' });
            Ok([cost(side)?, 7.0])
        })
        .unwrap();
        assert!(order.starts_with("bsbsb") && order.len() == 161, "{order}");
        assert!((outcome.ratio.median - 0.9).abs() < 0.005, "{outcome:?}");
        outcome.trusted().unwrap();
        assert!(
            (constant.ratio.median - 1.0).abs() < f64::EPSILON
                && (constant.null.high - 1.0).abs() < f64::EPSILON
        );
        assert!(alternate(&Plan { pairs: 1, null_tolerance: 1.0 }, |_| Ok([1.0])).is_err());
    }

    #[test]
    fn an_interval_narrows_with_more_pairs() {
        let width = |pairs| {
            let plan = Plan { pairs, null_tolerance: 1.0 };
            let ratio = compare(&plan, synthetic(1.0, 0.1, 0.0)).unwrap().ratio;
            ratio.high - ratio.low
        };
        assert!(width(400) < width(20) / 2.0);
    }

    #[test]
    fn a_failed_block_ends_the_comparison() {
        let outcome = compare(&PLAN, |_| anyhow::bail!("no"));
        assert_eq!(outcome.unwrap_err().to_string(), "no");
        assert!(compare(&Plan { pairs: 0, null_tolerance: 1.0 }, |_| Ok(1.0)).is_err());
    }

    #[test]
    fn medians() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
