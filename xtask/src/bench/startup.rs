//! From start to end of `net-traffic connections`, against `ss -tnp`, which shows the same sockets.

use std::{process::Command, time::Instant};

use anyhow::Result;

use super::{
    net_traffic,
    paired::{Plan, Side, compare},
    silent,
    sockets::Holders,
};
use crate::process;

const PROCESSES: usize = 10;
/// Two sockets each: 20 000 in all.
const CONNECTIONS_EACH: usize = 1000;
/// A process starts and ends in a block: scheduling makes that a rougher measure than a loop.
const NULL_TOLERANCE: f64 = 0.03;

pub(super) fn run(pairs: usize) -> Result<()> {
    measure(pairs, 0)?;
    let holders = Holders::start(PROCESSES, CONNECTIONS_EACH)?;
    // Here a block takes `ss` more than half a second: scheduling weighs less, and fewer pairs tell as much.
    measure(pairs.div_ceil(4), 2 * PROCESSES * CONNECTIONS_EACH)?;
    drop(holders);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn measure(pairs: usize, sockets: usize) -> Result<()> {
    let outcome =
        compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |side| wall_time_ms(command(side)))?;
    let outcome = outcome.trusted()?;
    println!(
        "startup, {sockets} sockets: net-traffic {:.2} ms, ss -tnp {:.2} ms, ratio {}, null {}",
        outcome.subject, outcome.base, outcome.ratio, outcome.null
    );
    Ok(())
}

fn command(side: Side) -> Command {
    match side {
        Side::Base => {
            let mut ss = Command::new("ss");
            ss.arg("-tnp");
            ss
        }
        Side::Subject => {
            let mut own = Command::new(net_traffic());
            own.args(["connections", "-n"]);
            own
        }
    }
}

fn wall_time_ms(command: Command) -> Result<f64> {
    let mut command = silent(command);
    let began = Instant::now();
    process::run(&mut command)?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
