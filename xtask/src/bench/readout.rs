//! Measures CPU time and resident memory of `top` when it reads 20 000 sockets once a second.

use std::{process::Command, thread::sleep, time::Duration};

use anyhow::Result;

use super::{
    net_traffic,
    running::{Ready, Running},
    sockets::SocketHolders,
};

const PROCESSES: usize = 10;
/// Two sockets per connection: 20 000 in total.
const CONNECTIONS_EACH: usize = 1000;
const WARM_UP: Duration = Duration::from_secs(4);
const SECONDS: u32 = 20;

#[expect(clippy::print_stdout, reason = "the figures")]
pub(super) fn run(_pairs: usize) -> Result<()> {
    for sockets in [0, 2 * PROCESSES * CONNECTIONS_EACH] {
        let holders =
            if sockets == 0 { None } else { Some(SocketHolders::start(PROCESSES, CONNECTIONS_EACH)?) };
        let Reading { cpu_seconds, rss_kib } = measure()?;
        println!(
            "readout, {sockets} sockets once a second: {:.2} % of a core, RSS {:.1} MB",
            100.0 * cpu_seconds / f64::from(SECONDS),
            f64::from(rss_kib) * 1.024e-3,
        );
        drop(holders);
    }
    Ok(())
}

struct Reading {
    cpu_seconds: f64,
    rss_kib: u32,
}

fn measure() -> Result<Reading> {
    let mut command = Command::new(net_traffic());
    command.args(["top", "-d", "1", "--json", "--limit", "50"]);
    let tracer = Running::start(command, Ready::After(WARM_UP))?;
    let before = tracer.cpu_time()?;
    sleep(Duration::from_secs(1) * SECONDS);
    let cpu_seconds = tracer.cpu_time()?.saturating_sub(before).as_secs_f64();
    Ok(Reading { cpu_seconds, rss_kib: tracer.resident_kib()? })
}
