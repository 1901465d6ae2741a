//! Measures the CPU time that net-traffic adds to an exchange of 64 bytes in each direction over loopback.
//!
//! Two empty eBPF programs at the same tracepoints show the kernel's share of the difference.

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
    empty_programs::EmptyPrograms,
    net_traffic,
    paired::{Arm, Outcome, Plan, compare, median},
    running::{Ready, Running},
};

const MESSAGE: usize = 64;
/// Exchanges per block: about 5 ms, so that a disturbance affects few blocks.
const EXCHANGES: u32 = 400;
/// Blocks to discard after attaching or detaching, until caches, branch predictors and CPU frequency are steady and the
/// kernel has freed the detached programs.
const WARM_UP: usize = 20;
/// The figure is the median of this many blocks.
const BLOCKS: usize = 9;
const NULL_TOLERANCE: f64 = 0.005;
/// The exchange and the tracer's process run on different CPUs.
const MEASURED_CPU: usize = 1;
const TRACER_CPU: &str = "0";

#[expect(clippy::print_stdout, reason = "the figures")]
pub(super) fn run(pairs: usize) -> Result<()> {
    println!("an exchange of {MESSAGE} bytes, CPU time:");
    // A discarded run of the empty programs does not prevent the tracer's run.
    let empty = compare_with("empty programs", pairs, EmptyPrograms::attach);
    compare_with("tracer", pairs, || Running::start(top(), Ready::FirstLine))?;
    empty
}

/// Compares exchanges with the programs that `start` attaches and without.
#[expect(clippy::print_stdout, reason = "the figures")]
fn compare_with<T>(name: &str, pairs: usize, start: impl Fn() -> Result<T>) -> Result<()> {
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

/// Returns the CPU time of one exchange in nanoseconds. `switch` attaches (`true`) or detaches; it must accept a repeated
/// value.
fn measure(pairs: usize, mut switch: impl FnMut(bool) -> Result<()>) -> Result<Outcome> {
    let mut cpus = CpuSet::new();
    cpus.set(MEASURED_CPU)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("pin the exchange to a CPU")?;
    let mut exchange = Exchange::open()?;
    let mut before = None;
    compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |arm| {
        switch(arm == Arm::Subject)?;
        if before.replace(arm) != Some(arm) {
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

/// Both sockets of a connection, used by one thread. Loopback delivers a packet before `send` returns, so the figure
/// contains no context switch.
/// <https://github.com/gregkh/linux/blob/v6.12.117/drivers/net/loopback.c#L89>
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

/// The CPU time of the calling thread.
fn cpu_time_ns() -> Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("read the thread's CPU time")?;
    Ok(Duration::from(time).as_secs_f64() * 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_takes_cpu_time() {
        let mut exchange = Exchange::open().unwrap();
        assert!(exchange.block().unwrap() > 100.0);
    }
}
