//! What the tracer adds to the smallest exchange: 64 bytes there and back over loopback, tracer off and on, and
//! what two programs that do nothing add in its place.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

use super::{
    net_traffic,
    nothing::Nothing,
    paired::{Outcome, Plan, Side, compare, median},
    running::{Ready, Running},
};

const MESSAGE: usize = 64;
/// About 5 ms: short enough that a disturbance spoils few blocks.
const EXCHANGES: u32 = 400;
/// After a switch these do not count: the processor comes out of the second that starting the tracer takes, caches and
/// branch predictors meet the new code, and the machine tidies up behind what was ended.
const WARM_UP: usize = 20;
/// The median of so many does.
const BLOCKS: usize = 9;
const NULL_TOLERANCE: f64 = 0.005;
/// The exchange runs here, and the tracer's own work elsewhere.
const MEASURED_CPU: usize = 1;
const TRACER_CPU: &str = "0";

#[expect(clippy::print_stdout, reason = "the figures")]
pub(super) fn run(pairs: usize) -> Result<()> {
    println!("an exchange of {MESSAGE} bytes, CPU time:");
    // What nobody can do without; that it was disturbed says nothing of the other.
    let least = compared("programs that do nothing", pairs, Nothing::attach);
    compared("tracer", pairs, || Running::start(top(), Ready::FirstLine))?;
    least
}

/// With what `start` attaches, and without.
#[expect(clippy::print_stdout, reason = "the figures")]
fn compared<T>(name: &str, pairs: usize, start: impl Fn() -> Result<T>) -> Result<()> {
    let mut attached = None;
    let outcome = measure(pairs, |on| {
        if !on {
            drop(attached.take());
        } else if attached.is_none() {
            attached = Some(start()?);
        }
        Ok(())
    })?;
    let Outcome { subject, base, ratio, null, .. } = outcome.trusted()?;
    println!("  {name:<24}  {subject:.0} ns, without {base:.0} ns, ratio {ratio}, null {null}");
    Ok(())
}

/// Nanoseconds of CPU time of one exchange. `switch` attaches or detaches, and may be told what is so already.
fn measure(pairs: usize, mut switch: impl FnMut(bool) -> Result<()>) -> Result<Outcome> {
    let mut cpus = CpuSet::new();
    cpus.set(MEASURED_CPU)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("pin the exchange to a CPU")?;
    let mut exchange = Exchange::open()?;
    let mut before = None;
    compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |side| {
        switch(side == Side::Subject)?;
        if before.replace(side) != Some(side) {
            for _ in 0..WARM_UP {
                exchange.block()?;
            }
        }
        let mut blocks = (0..BLOCKS).map(|_| exchange.block()).collect::<Result<Vec<f64>>>()?;
        Ok(median(&mut blocks))
    })
}

fn top() -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", TRACER_CPU]).arg(net_traffic()).args(["top", "-d", "1", "--json"]);
    command
}

/// Both ends in one thread: loopback delivers within the call that sends, so that no switch of threads is measured.
struct Exchange {
    client: TcpStream,
    server: TcpStream,
}

impl Exchange {
    fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
        let client = TcpStream::connect(listener.local_addr()?).context("connect")?;
        let server = listener.accept().context("accept")?.0;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        Ok(Self { client, server })
    }

    fn block(&mut self) -> Result<f64> {
        let mut message = [0; MESSAGE];
        let began = cpu_time_ns()?;
        for _ in 0..EXCHANGES {
            self.client.write_all(&message)?;
            self.server.read_exact(&mut message)?;
            self.server.write_all(&message)?;
            self.client.read_exact(&mut message)?;
        }
        Ok((cpu_time_ns()? - began) / f64::from(EXCHANGES))
    }
}

/// This thread's.
fn cpu_time_ns() -> Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("read the thread's CPU time")?;
    Ok(Duration::from(time).as_secs_f64() * 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_costs_cpu_time() {
        let mut exchange = Exchange::open().unwrap();
        assert!(exchange.block().unwrap() > 100.0);
    }
}
