//! `net-traffic top` while a thousand processes a second come and go, each with a connection: its memory must not grow with
//! what has been, and its totals must hold all of it.

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
    running::{Latest, Running},
};
use crate::vm;

const PROCESSES_EACH_SECOND: u32 = 1000;
/// What each of them sends.
const VISIT: u64 = 64;
const MINUTE: Duration = Duration::from_mins(1);
/// The least that counts as churn, also on a busy machine.
const LEAST_RATE: f64 = 100.0;
/// What keeps its size is full by then: those that ended are kept for a while, and tables grow by doubling.
const FULL_AFTER_MINUTES: u32 = 2;
/// What the last minute's memory may be above that.
const GROWTH: f64 = 1.05;
/// The last visit is in a report by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections that were read to their end, and their bytes.
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
    let (mut visitors, made) = Running::reporting(visitors)?;
    watch(&mut tracer, began, minutes)?;
    visitors.finish().context("end the visits")?;
    check_totals(&latest, &made)?;
    tracer.ensure_alive()
}

/// The memory from minute to minute.
#[expect(clippy::print_stdout, reason = "the figures")]
fn watch(tracer: &mut Running, began: Instant, minutes: u32) -> Result<()> {
    let mut full = f64::INFINITY;
    let mut last = 0.0;
    for minute in 1..=minutes {
        let served = SERVED.load(Ordering::Relaxed);
        thread::sleep((MINUTE * minute).saturating_sub(began.elapsed()));
        tracer.ensure_alive()?;
        #[expect(clippy::cast_precision_loss, reason = "it is a few millions")]
        let rate = (SERVED.load(Ordering::Relaxed) - served) as f64 / MINUTE.as_secs_f64();
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
    if minutes <= FULL_AFTER_MINUTES {
        println!("churn: whether memory grows takes more than {FULL_AFTER_MINUTES} minutes to tell");
        return Ok(());
    }
    ensure!(last <= full * GROWTH, "it grows, from {full:.1} MB to {last:.1} MB");
    Ok(())
}

/// Reads every connection to its end; gives the address.
fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A visitor that went is no error of the server's.
            RECEIVED.fetch_add(read(stream).unwrap_or(0), Ordering::Relaxed);
            SERVED.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(address)
}

fn read(mut stream: TcpStream) -> std::io::Result<u64> {
    std::io::copy(&mut stream, &mut std::io::sink())
}

/// A worker of the kernel tests, which makes processes as cheaply as the kernel lets it, and says how many.
fn visitors(server: &str, seconds: u32) -> Result<Command> {
    let mut worker = Command::new(vm::test_binary()?);
    let (rate, seconds) = (PROCESSES_EACH_SECOND.to_string(), seconds.to_string());
    worker.args(["--worker", "visits", server, &rate, &seconds]);
    Ok(worker)
}

/// Both ends of each connection are in this namespace: what was sent to its only host is what was received from there.
#[expect(clippy::print_stdout, reason = "the figures")]
fn check_totals(latest: &Latest, made: &Latest) -> Result<()> {
    let began = Instant::now();
    loop {
        let (report, made) = (latest.read()?, made.read()?);
        let bytes = made.as_u64().context("read how many there were")? * VISIT;
        let (found, loss) = (moved(&report), &report["loss"]["total"]);
        if found == (bytes, bytes) && RECEIVED.load(Ordering::Relaxed) == bytes {
            println!(
                "churn: {made} processes; in the totals {bytes} bytes received, and as many sent: exact; loss {loss}"
            );
            return Ok(());
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "of {made} processes the totals have {found:?} bytes; loss {loss}"
        );
        thread::sleep(Duration::from_millis(200));
    }
}

/// Received and sent, with every host.
fn moved(report: &Value) -> (u64, u64) {
    let hosts = report["destinations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |key: &str| hosts.iter().filter_map(|host| host[key].as_u64()).sum();
    (sum("rx_bytes"), sum("tx_bytes"))
}
