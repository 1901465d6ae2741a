//! Compares the run time of `net-traffic connections` with that of `ss -tnp`, which lists the same sockets.

use std::{process::Command, time::Instant};

use anyhow::Result;

use super::{
    net_traffic,
    paired::{Arm, Plan, compare},
    silent,
    sockets::SocketHolders,
};
use crate::process;

const PROCESSES: usize = 10;
/// Two sockets per connection: 20 000 in total.
const CONNECTIONS_EACH: usize = 1000;
/// Wider than for a loop: a block starts a process, so scheduling adds noise.
const NULL_TOLERANCE: f64 = 0.03;

pub(super) fn run(pairs: usize) -> Result<()> {
    measure(pairs, 0)?;
    let holders = SocketHolders::start(PROCESSES, CONNECTIONS_EACH)?;
    // A block of `ss` takes more than half a second here. The share of scheduling is smaller, so fewer pairs suffice.
    measure(pairs.div_ceil(4), 2 * PROCESSES * CONNECTIONS_EACH)?;
    drop(holders);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn measure(pairs: usize, sockets: usize) -> Result<()> {
    let outcome = compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |arm| wall_time_ms(command(arm)))?;
    let outcome = outcome.trusted()?;
    println!(
        "startup, {sockets} sockets: net-traffic {:.2} ms, ss -tnp {:.2} ms, ratio {}, null {}",
        outcome.subject, outcome.base, outcome.ratio, outcome.null
    );
    Ok(())
}

fn command(arm: Arm) -> Command {
    match arm {
        Arm::Base => {
            let mut ss = Command::new("ss");
            ss.arg("-tnp");
            ss
        }
        Arm::Subject => {
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
