//! The memory of `net-traffic top` while connections and processes come and go: it must not grow with what has been.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    net_traffic,
    running::{Ready, Running},
};

/// Each of these processes has a connection of its own.
const PROCESSES_EACH_TICK: u32 = 110;
const TICK: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_mins(1);
/// The least that counts as churn, also on a busy machine.
const LEAST_RATE: f64 = 100.0;
/// What keeps its size is full by then: those that ended are kept for a while, and tables grow by doubling.
const FULL_AFTER_MINUTES: u32 = 2;
/// What the last minute's memory may be above that.
const GROWTH: f64 = 1.05;

static SERVED: AtomicU32 = AtomicU32::new(0);

#[expect(clippy::print_stdout, reason = "the figures")]
pub(super) fn run(minutes: usize) -> Result<()> {
    let minutes = u32::try_from(minutes)?;
    ensure!(minutes > FULL_AFTER_MINUTES, "it takes more than {FULL_AFTER_MINUTES} minutes to tell");
    let port = serve()?;
    let mut command = Command::new(net_traffic());
    command.args(["top", "--json"]);
    let mut tracer = Running::start(command, Ready::FirstLine)?;
    let mut full = f64::INFINITY;
    let mut last = 0.0;
    let began = Instant::now();
    for minute in 1..=minutes {
        let served = SERVED.load(Ordering::Relaxed);
        while began.elapsed() < MINUTE * minute {
            let tick = Instant::now();
            tick_of(port)?;
            thread::sleep(TICK.saturating_sub(tick.elapsed()));
        }
        tracer.ensure_alive()?;
        let rate = f64::from(SERVED.load(Ordering::Relaxed) - served) / MINUTE.as_secs_f64();
        ensure!(rate >= LEAST_RATE, "only {rate:.0} processes a second: this machine is too busy");
        let size = f64::from(tracer.resident_kib()?) * 1.024e-3;
        println!("churn, minute {minute}: {rate:.0} processes and connections a second, RSS {size:.1} MB");
        last = size;
        if minute == FULL_AFTER_MINUTES {
            full = size;
        }
    }
    let cpu = tracer.cpu_time()?.as_secs_f64() / began.elapsed().as_secs_f64();
    println!("churn: CPU {:.1} % of a core", 100.0 * cpu);
    ensure!(last <= full * GROWTH, "it grows, from {full:.1} MB to {last:.1} MB");
    Ok(())
}

/// Reads every connection to its end; gives the port.
fn serve() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A visitor that went is no error of the server's.
            drop(read(stream));
            SERVED.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(port)
}

fn read(mut stream: TcpStream) -> std::io::Result<usize> {
    stream.read_to_end(&mut Vec::new())
}

/// A shell makes copies of itself, of which each sends a line.
fn tick_of(port: u16) -> Result<()> {
    let script = format!(
        "for ((i = 0; i < {PROCESSES_EACH_TICK}; i++)); do (echo visit > /dev/tcp/127.0.0.1/{port}) & done; wait"
    );
    let mut shell: Child =
        Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).spawn().context("start bash")?;
    let status = shell.wait().context("wait for bash")?;
    ensure!(status.success(), "the visitors ended with {status}");
    Ok(())
}
