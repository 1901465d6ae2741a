//! Runs `net-traffic top` while 1000 processes a second start, open one connection each, and exit.
//!
//! The resident memory must stay constant, and the totals must include the bytes of every process.

use std::{
    net::{TcpListener, TcpStream},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    net_traffic,
    running::{LatestLine, Running},
};
use crate::vm;

const PROCESSES_EACH_SECOND: u32 = 1000;
/// The kernel tests' worker `visits` sends this many bytes per process.
const BYTES_PER_VISIT: u64 = 64;
const MINUTE: Duration = Duration::from_mins(1);
/// Processes a second below which the result is discarded: the host is too busy.
const MIN_RATE: f64 = 100.0;
/// Memory is constant after this time: ended processes stay in the tables for a while, and tables grow by doubling.
const WARM_UP_MINUTES: u32 = 2;
/// Allowed ratio of the memory in the last minute to the memory after the warm-up.
const MAX_GROWTH: f64 = 1.05;
/// The last process must be in a report by then.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that the server read to the end, and their bytes.
static SERVED: AtomicU64 = AtomicU64::new(0);
static RECEIVED: AtomicU64 = AtomicU64::new(0);

pub(super) fn run(minutes: usize) -> Result<()> {
    let minutes = u32::try_from(minutes)?;
    let server = serve()?;
    let mut command = Command::new(net_traffic());
    command.args(["top", "--json", "--netns", "/proc/self/ns/net"]);
    let visitors = visitors(&server, minutes * 60)?;
    let (mut tracer, latest) = Running::reporting(command)?;
    let began = Instant::now();
    let (mut visitors, started) = Running::reporting(visitors)?;
    watch(&mut tracer, began, minutes)?;
    visitors.wait_success().context("wait for the worker that starts processes")?;
    check_totals(&latest, &started)?;
    tracer.ensure_alive()
}

/// Prints the memory each minute and checks its growth.
#[expect(clippy::print_stdout, reason = "the figures")]
fn watch(tracer: &mut Running, began: Instant, minutes: u32) -> Result<()> {
    let mut full = f64::INFINITY;
    let mut last = 0.0;
    for minute in 1..=minutes {
        let served = SERVED.load(Ordering::Relaxed);
        thread::sleep((MINUTE * minute).saturating_sub(began.elapsed()));
        tracer.ensure_alive()?;
        #[expect(clippy::cast_precision_loss, reason = "the difference is at most some millions")]
        let rate = (SERVED.load(Ordering::Relaxed) - served) as f64 / MINUTE.as_secs_f64();
        ensure!(rate >= MIN_RATE, "only {rate:.0} processes a second: the host is too busy");
        let size = f64::from(tracer.resident_kib()?) * 1.024e-3;
        println!("churn, minute {minute}: {rate:.0} processes and connections a second, RSS {size:.1} MB");
        last = size;
        if minute == WARM_UP_MINUTES {
            full = size;
        }
    }
    let cpu = tracer.cpu_time()?.as_secs_f64() / began.elapsed().as_secs_f64();
    println!("churn: CPU {:.1} % of a core", 100.0 * cpu);
    if minutes <= WARM_UP_MINUTES {
        println!("churn: memory growth is checked only in runs of more than {WARM_UP_MINUTES} minutes");
        return Ok(());
    }
    ensure!(last <= full * MAX_GROWTH, "memory grew from {full:.1} MB to {last:.1} MB");
    Ok(())
}

/// Starts a server that reads every connection to the end, and returns its address.
fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A connection that was reset counts as served; the check of the totals reports its bytes.
            RECEIVED.fetch_add(read(stream).unwrap_or(0), Ordering::Relaxed);
            SERVED.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(address)
}

fn read(mut stream: TcpStream) -> std::io::Result<u64> {
    std::io::copy(&mut stream, &mut std::io::sink())
}

/// The worker `visits` of the kernel tests. It starts processes and prints their number so far, a line each time.
fn visitors(server: &str, seconds: u32) -> Result<Command> {
    let mut worker = Command::new(vm::test_binary()?);
    let (rate, seconds) = (PROCESSES_EACH_SECOND.to_string(), seconds.to_string());
    worker.args(["--worker", "visits", server, &rate, &seconds]);
    Ok(worker)
}

/// Both ends of each connection are in this namespace, so received and sent bytes of the destinations are equal.
#[expect(clippy::print_stdout, reason = "the figures")]
fn check_totals(latest: &LatestLine, started: &LatestLine) -> Result<()> {
    let began = Instant::now();
    loop {
        let (report, started) = (latest.read()?, started.read()?);
        let bytes = started.as_u64().context("read the number of processes")? * BYTES_PER_VISIT;
        let (found, loss) = (total_bytes(&report), &report["loss"]["total"]);
        if found == (bytes, bytes) && RECEIVED.load(Ordering::Relaxed) == bytes {
            println!(
                "churn: {started} processes; totals are exact: {bytes} bytes received, {bytes} sent; loss {loss}"
            );
            return Ok(());
        }
        ensure!(
            began.elapsed() < TIMEOUT,
            "{started} processes moved {bytes} bytes each way, the totals are {found:?}; loss {loss}"
        );
        thread::sleep(Duration::from_millis(200));
    }
}

/// Received and sent bytes, summed over all destinations.
fn total_bytes(report: &Value) -> (u64, u64) {
    let hosts = report["destinations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |key: &str| hosts.iter().filter_map(|host| host[key].as_u64()).sum();
    (sum("rx_bytes"), sum("tx_bytes"))
}
