//! Compares two arms on a host with other load: blocks in alternating order, ratios within pairs, the median of the ratios
//! with a bootstrap confidence interval, and a null control that detects disturbed runs.
//!
//! The caller's closure runs one block of one arm and returns its cost.

use std::fmt;

use anyhow::{Result, ensure};

const RESAMPLES: usize = 2000;

/// One of the two things that are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arm {
    /// The reference: net-traffic off, or the other program.
    Base,
    /// The measured arm: net-traffic.
    Subject,
}

/// Parameters of a comparison.
pub(super) struct Plan {
    /// Pairs of blocks. Below 80 the interval becomes wide.
    pub(super) pairs: usize,
    /// Allowed distance of the null control from 1.
    pub(super) null_tolerance: f64,
}

/// A median and its 95 % confidence interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The result of a comparison. Costs have the unit that the closure returns.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Subject / base.
    pub(super) ratio: Estimate,
    /// Base / base: 1 on an undisturbed host.
    pub(super) null: Estimate,
    pub(super) base: f64,
    pub(super) subject: f64,
    null_tolerance: f64,
}

impl Outcome {
    /// Fails if the null control is outside the tolerance: other load changed the figures.
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

/// Runs base/subject pairs and, between them, base/base pairs. The order within pairs alternates.
pub(super) fn compare(plan: &Plan, mut block: impl FnMut(Arm) -> Result<f64>) -> Result<Outcome> {
    ensure!(plan.pairs > 0, "a comparison needs at least one pair");
    let (mut ratios, mut nulls) = (Vec::new(), Vec::new());
    let (mut bases, mut subjects) = (Vec::new(), Vec::new());
    for pair in 0..plan.pairs {
        let subject_first = pair % 2 == 1;
        let (base, subject) = run_pair(&mut block, Arm::Subject, subject_first)?;
        let (first, second) = run_pair(&mut block, Arm::Base, subject_first)?;
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

/// Runs base and subject blocks in turn. Each subject block is compared with the mean of the base blocks before and after;
/// for the null control, each base block is compared with the base blocks around it. This needs fewer blocks than
/// [`compare`] and suits long blocks. Each of the `N` figures of a block has its own outcome.
pub(super) fn alternate<const N: usize>(
    plan: &Plan,
    mut block: impl FnMut(Arm) -> Result<[f64; N]>,
) -> Result<[Outcome; N]> {
    ensure!(plan.pairs > 1, "the null control needs at least two pairs");
    let (mut bases, mut subjects) = (vec![block(Arm::Base)?], Vec::new());
    for _ in 0..plan.pairs {
        subjects.push(block(Arm::Subject)?);
        bases.push(block(Arm::Base)?);
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

/// Runs one block of the base and one of the other arm. Returns their costs in this order.
fn run_pair(block: &mut impl FnMut(Arm) -> Result<f64>, other: Arm, other_first: bool) -> Result<(f64, f64)> {
    if other_first {
        let cost = block(other)?;
        Ok((block(Arm::Base)?, cost))
    } else {
        Ok((block(Arm::Base)?, block(other)?))
    }
}

/// The median of the values and its interval. There must be at least one value.
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

/// Sorts the values, of which there must be at least one.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// A xorshift generator with a fixed seed: equal figures give equal intervals.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The high bits are the better ones. The bias of the modulus is negligible at these bounds.
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { pairs: 80, null_tolerance: 0.005 };

    /// Blocks that cost 100, for the subject times `factor`, with noise and a linear slow-down of the host.
    fn synthetic(factor: f64, noise: f64, drift: f64) -> impl FnMut(Arm) -> Result<f64> {
        let mut random = Random(42);
        let mut level = 100.0;
        move |arm| {
            level *= 1.0 + drift;
            let jitter = f64::from(u16::try_from(random.below(1000)).unwrap()) / 1000.0 - 0.5;
            let cost = level * (1.0 + noise * jitter);
            Ok(if arm == Arm::Subject { cost * factor } else { cost })
        }
    }

    #[test]
    fn small_effect_in_noise_is_found() {
        let outcome = compare(&PLAN, synthetic(1.03, 0.02, 0.001)).unwrap();
        let Estimate { median, low, high } = outcome.ratio;
        assert!((median - 1.03).abs() < 0.005, "{outcome:?}");
        assert!(low < median && median < high && low > 1.0, "{outcome:?}");
        outcome.trusted().unwrap();
    }

    #[test]
    fn equal_arms_have_ratio_one() {
        let outcome = compare(&PLAN, synthetic(1.0, 0.02, 0.001)).unwrap();
        assert!(outcome.ratio.low <= 1.0 && outcome.ratio.high >= 1.0, "{outcome:?}");
    }

    #[test]
    fn outliers_leave_median_unchanged() {
        let mut blocks = 0;
        let mut quiet = synthetic(1.1, 0.01, 0.0);
        let outcome = compare(&PLAN, |arm| {
            blocks += 1;
            Ok(quiet(arm)? * if blocks % 20 == 0 { 50.0 } else { 1.0 })
        });
        assert!((outcome.unwrap().ratio.median - 1.1).abs() < 0.005);
    }

    #[test]
    fn disturbed_null_control_discards_run() {
        // A periodic disturbance in the second block of each null pair.
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
    fn order_within_pairs_alternates() {
        let mut order = String::new();
        let plan = Plan { pairs: 2, null_tolerance: 1.0 };
        compare(&plan, |arm| {
            order.push(if arm == Arm::Base { 'b' } else { 's' });
            Ok(1.0)
        })
        .unwrap();
        assert_eq!(order, "bsbbsbbb");
    }

    #[test]
    fn alternating_blocks_compare_with_neighbours() {
        let mut order = String::new();
        let mut cost = synthetic(0.9, 0.02, 0.001);
        let [outcome, constant] = alternate(&PLAN, |arm| {
            order.push(if arm == Arm::Base { 'b' } else { 's' });
            Ok([cost(arm)?, 7.0])
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
    fn more_pairs_narrow_the_interval() {
        let width = |pairs| {
            let plan = Plan { pairs, null_tolerance: 1.0 };
            let ratio = compare(&plan, synthetic(1.0, 0.1, 0.0)).unwrap().ratio;
            ratio.high - ratio.low
        };
        assert!(width(400) < width(20) / 2.0);
    }

    #[test]
    fn failed_block_ends_comparison() {
        let outcome = compare(&PLAN, |_| anyhow::bail!("no"));
        assert_eq!(outcome.unwrap_err().to_string(), "no");
        assert!(compare(&Plan { pairs: 0, null_tolerance: 1.0 }, |_| Ok(1.0)).is_err());
    }

    #[test]
    fn median_of_odd_and_even_counts() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
