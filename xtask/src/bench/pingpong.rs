//! What the tracer adds to the smallest exchange: 64 bytes there and back over loopback, tracer off and on.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

use super::{
    net_traffic,
    paired::{Plan, Side, compare},
};

const MESSAGE: usize = 64;
/// About 5 ms: short enough that both blocks of a pair meet the same machine.
const EXCHANGES: u32 = 800;
const NULL_TOLERANCE: f64 = 0.005;
/// The exchange runs here, and the tracer's own work elsewhere.
const MEASURED_CPU: usize = 1;
const TRACER_CPU: &str = "0";

#[expect(clippy::print_stdout, reason = "the figures")]
pub(super) fn run(pairs: usize) -> Result<()> {
    let mut tracer = Tracer::default();
    let outcome = measure(pairs, |on| if on { tracer.start(top()) } else { tracer.stop() })?;
    let outcome = outcome.trusted()?;
    println!(
        "pingpong, {MESSAGE} bytes: tracer on {:.0} ns, off {:.0} ns, ratio {}, null {}",
        outcome.subject, outcome.base, outcome.ratio, outcome.null
    );
    Ok(())
}

/// Nanoseconds of CPU time of one exchange. `tracer` attaches or detaches, and may be told what is so already.
fn measure(pairs: usize, mut tracer: impl FnMut(bool) -> Result<()>) -> Result<super::paired::Outcome> {
    let mut cpus = CpuSet::new();
    cpus.set(MEASURED_CPU)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("pin the exchange to a CPU")?;
    let mut exchange = Exchange::open()?;
    compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |side| {
        tracer(side == Side::Subject)?;
        // Caches and branch predictors meet the new code before it counts.
        exchange.block()?;
        exchange.block()
    })
}

fn top() -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", TRACER_CPU]).arg(net_traffic()).args(["top", "-d", "1", "--json"]);
    command
}

/// A running tracer, if one runs. It ends when this is dropped.
#[derive(Default)]
struct Tracer(Option<Child>);

impl Tracer {
    /// Returns after the first report: by then everything is attached.
    fn start(&mut self, mut command: Command) -> Result<()> {
        if self.0.is_some() {
            return Ok(());
        }
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start the tracer")?;
        let stdout = self.0.insert(child).stdout.as_mut().context("read from the tracer")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("read from the tracer")?;
        ensure!(!line.is_empty(), "the tracer ended before its first report");
        Ok(())
    }

    /// The kernel detaches what the process held.
    fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.0.take() {
            child.kill().context("end the tracer")?;
            child.wait().context("wait for the tracer")?;
        }
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("the tracer: {error}");
        }
    }
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
    Ok(std::time::Duration::from(time).as_secs_f64() * 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_exchange_costs_cpu_time() {
        let mut exchange = Exchange::open().unwrap();
        assert!(exchange.block().unwrap() > 100.0);
    }

    #[test]
    fn a_tracer_runs_from_its_first_report_until_it_is_stopped() {
        let mut tracer = Tracer::default();
        tracer.start(shell("echo report; exec sleep 60")).unwrap();
        assert!(tracer.0.as_mut().unwrap().try_wait().unwrap().is_none());
        tracer.stop().unwrap();
        assert!(tracer.0.is_none());
        tracer.stop().unwrap();
    }

    #[test]
    fn a_tracer_that_reports_nothing_is_an_error() {
        let error = Tracer::default().start(shell("exit 1")).unwrap_err().to_string();
        assert_eq!(error, "the tracer ended before its first report");
    }
}
