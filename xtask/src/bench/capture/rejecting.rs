//! What a filter costs that wants nothing: CPU time of the sender, within which the kernel runs the filter, for each
//! packet, with the capture and without.

use std::time::Duration;

use anyhow::Result;

use super::sender::Sender;
use super::stage::Stage;
use super::who::Who;
use super::{SENDER_CPU, SMALL};
use crate::bench::paired::{Outcome, Plan, Side, compare, median};

/// Short enough that a disturbance spoils few blocks.
const BLOCK: Duration = Duration::from_millis(4);
/// After a switch these do not count: caches and branch predictors meet the new code.
const WARM_UP: usize = 20;
/// The median of so many does.
const BLOCKS: usize = 21;
const NULL_TOLERANCE: f64 = 0.01;

#[expect(clippy::print_stdout, reason = "the figures")]
pub(in crate::bench) fn run(pairs: usize) -> Result<()> {
    let stage = Stage::set()?;
    let mut sender = Sender::open(SENDER_CPU, SMALL)?;
    println!("a capture that rejects all, packets of {SMALL} octets, CPU time of the sender for each:");
    for who in [Who::OwnRejectingBare, Who::OwnRejecting] {
        let outcome = against_nobody(&stage, &mut sender, who, pairs)?;
        let Outcome { subject, base, ratio, null, .. } = outcome.trusted()?;
        println!("  {:<15} {subject:.0} ns, without {base:.0} ns, ratio {ratio}, null {null}", who.name());
    }
    Ok(())
}

fn against_nobody(stage: &Stage, sender: &mut Sender, who: Who, pairs: usize) -> Result<Outcome> {
    let mut block = || -> Result<f64> {
        let sent = sender.send(BLOCK)?;
        Ok(sent.cpu_s * 1e9 / sent.packets)
    };
    let (mut running, mut before) = (None, None);
    compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |side| {
        match side {
            Side::Base => drop(running.take()),
            Side::Subject if running.is_none() => running = stage.start(who)?,
            Side::Subject => {}
        }
        if before.replace(side) != Some(side) {
            for _ in 0..WARM_UP {
                block()?;
            }
        }
        let mut blocks = (0..BLOCKS).map(|_| block()).collect::<Result<Vec<f64>>>()?;
        Ok(median(&mut blocks))
    })
}
