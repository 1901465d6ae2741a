//! What a filter costs that wants nothing: CPU time of the sender, within which the kernel runs the filter, for each
//! packet, with the capture and without.

use std::time::Duration;

use anyhow::Result;

use super::sender::Sender;
use super::stage::Stage;
use super::who::Who;
use super::{SENDER_CPU, SMALL};
use crate::bench::paired::{Plan, Side, compare, median};

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
    let mut block = || -> Result<f64> {
        let sent = sender.send(BLOCK)?;
        Ok(sent.cpu_s * 1e9 / sent.packets)
    };
    let (mut running, mut before) = (None, None);
    let outcome = compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |side| {
        match side {
            Side::Base => drop(running.take()),
            Side::Subject if running.is_none() => running = stage.start(Who::OwnRejecting)?,
            Side::Subject => {}
        }
        if before.replace(side) != Some(side) {
            for _ in 0..WARM_UP {
                block()?;
            }
        }
        let mut blocks = (0..BLOCKS).map(|_| block()).collect::<Result<Vec<f64>>>()?;
        Ok(median(&mut blocks))
    })?;
    let outcome = outcome.trusted()?;
    println!(
        "a capture that rejects all, packets of {SMALL} octets: {:.0} ns each, without {:.0} ns, ratio {}, null {}",
        outcome.subject, outcome.base, outcome.ratio, outcome.null
    );
    Ok(())
}
