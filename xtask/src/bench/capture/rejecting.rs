//! Measures a capture whose filter rejects every packet: the sender's CPU time per packet, with and without the capture.
//! The kernel runs the filter in the sender's context.

use std::time::Duration;

use anyhow::Result;

use super::competitor::Side;
use super::sender::Sender;
use super::testbed::Testbed;
use super::{SENDER_CPU, SMALL};
use crate::bench::paired::{Arm, Outcome, Plan, compare, median};

/// Short, so that a disturbance affects few blocks.
const BLOCK: Duration = Duration::from_millis(4);
/// Blocks to discard after a switch, until caches and branch predictors are warm.
const WARM_UP: usize = 20;
/// The figure is the median of this many blocks.
const BLOCKS: usize = 21;
const NULL_TOLERANCE: f64 = 0.01;

#[expect(clippy::print_stdout, reason = "the figures")]
pub(in crate::bench) fn run(pairs: usize) -> Result<()> {
    let testbed = Testbed::create()?;
    let mut sender = Sender::open(SENDER_CPU, SMALL)?;
    println!("a capture that rejects all packets of {SMALL} bytes, the sender's CPU time per packet:");
    for side in [Side::OwnRejectingBare, Side::OwnRejecting] {
        let outcome = against_no_capture(&testbed, &mut sender, side, pairs)?;
        let Outcome { subject, base, ratio, null, .. } = outcome.trusted()?;
        println!("  {:<15} {subject:.0} ns, without {base:.0} ns, ratio {ratio}, null {null}", side.name());
    }
    Ok(())
}

fn against_no_capture(testbed: &Testbed, sender: &mut Sender, side: Side, pairs: usize) -> Result<Outcome> {
    let mut block = || -> Result<f64> {
        let sent = sender.send(BLOCK)?;
        Ok(sent.cpu_s * 1e9 / sent.packets)
    };
    let (mut running, mut before) = (None, None);
    compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |arm| {
        match arm {
            Arm::Base => drop(running.take()),
            Arm::Subject if running.is_none() => running = testbed.start(side)?,
            Arm::Subject => {}
        }
        if before.replace(arm) != Some(arm) {
            for _ in 0..WARM_UP {
                block()?;
            }
        }
        let mut blocks = (0..BLOCKS).map(|_| block()).collect::<Result<Vec<f64>>>()?;
        Ok(median(&mut blocks))
    })
}
