//! Measures a TCP connection over loopback: the round trip of one byte, and the throughput.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::traffic::TrafficError;
use net_traffic_snapshot::selftest::Speed;

const BLOCK: usize = 128 << 10;

/// Other programs only slow a measurement down, so the fastest of several is the best.
const TRIES: u32 = 5;

/// Measures both; they take `duration` together.
pub(super) fn measure(duration: Duration) -> Result<Speed, TrafficError> {
    fastest(duration / 2 / TRIES)
        .map_err(|cause| TrafficError::Call { attempt: "measure the speed of loopback", cause })
}

fn fastest(each: Duration) -> io::Result<Speed> {
    let mut best = round_trip(each)?;
    best.bps = bps(each)?;
    for _ in 1..TRIES {
        let next = round_trip(each)?;
        best.round_trip_ns = best.round_trip_ns.min(next.round_trip_ns);
        best.round_trip_cpu_ns = best.round_trip_cpu_ns.min(next.round_trip_cpu_ns);
        best.bps = best.bps.max(bps(each)?);
    }
    Ok(best)
}

/// The elapsed time and the CPU time of both ends.
fn round_trip(duration: Duration) -> io::Result<Speed> {
    let (mut here, mut there) = connect()?;
    let echo = thread::spawn(move || -> io::Result<()> {
        let mut byte = [0];
        while there.read(&mut byte)? > 0 {
            there.write_all(&byte)?;
        }
        Ok(())
    });
    let (begin, cpu, mut trips) = (now(), cpu_time()?, 0_u128);
    while begin.elapsed() < duration {
        here.write_all(&[1])?;
        here.read_exact(&mut [0])?;
        trips += 1;
    }
    let (elapsed, used) = (begin.elapsed(), cpu_time()?.saturating_sub(cpu));
    drop(here);
    join(echo)?;
    let each = |time: Duration| u64::try_from(time.as_nanos() / trips.max(1)).unwrap_or(u64::MAX);
    Ok(Speed { round_trip_ns: each(elapsed), round_trip_cpu_ns: each(used), bps: 0 })
}

fn bps(duration: Duration) -> io::Result<u64> {
    let (mut here, mut there) = connect()?;
    let sink = thread::spawn(move || -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        while there.read(&mut block)? > 0 {}
        Ok(())
    });
    let block = vec![0; BLOCK];
    let (begin, mut sent) = (now(), 0_u128);
    while begin.elapsed() < duration {
        here.write_all(&block)?;
        sent += 8 * 128 * 1024;
    }
    drop(here);
    join(sink)?;
    let nanoseconds = begin.elapsed().as_nanos().max(1);
    Ok(u64::try_from(sent * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX))
}

fn connect() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let here = TcpStream::connect(listener.local_addr()?)?;
    here.set_nodelay(true)?;
    let (there, _) = listener.accept()?;
    there.set_nodelay(true)?;
    Ok((here, there))
}

fn join(thread: thread::JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread.join().map_err(|_panic| io::Error::other("the other end panicked"))?
}

/// The CPU time of this process, in user and kernel mode.
fn cpu_time() -> io::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?))
}

#[expect(clippy::disallowed_methods, reason = "the elapsed time is measured")]
fn now() -> Instant {
    Instant::now()
}
