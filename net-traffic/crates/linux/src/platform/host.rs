//! Reads the host's name and clocks, and the CPU time and memory of this process.

use std::io;
use std::sync::OnceLock;

use nix::sys::utsname::uname;

use net_traffic_snapshot::{Cost, Time};

/// The CPU time of this process at the start of the program. `execve(2)` keeps the CPU time of the process, so that
/// the program inherits that of `cargo run` or of a shell with `exec`.
static BEFORE_NS: OnceLock<i64> = OnceLock::new();

/// Excludes the CPU time until now from [`cost`]. Only the first call has an effect.
pub fn init_process_accounting() {
    BEFORE_NS.get_or_init(|| read_clock(libc::CLOCK_PROCESS_CPUTIME_ID));
}

/// The current time on both clocks.
#[must_use]
pub fn now() -> Time {
    let real = read_clock(libc::CLOCK_REALTIME);
    let monotonic = read_clock(libc::CLOCK_MONOTONIC);
    Time { unix_ns: real, monotonic_ns: monotonic.max(0).cast_unsigned() }
}

/// The name of the host, as `uname -n` prints it.
///
/// # Errors
/// When `uname(2)` fails.
pub fn name() -> io::Result<String> {
    Ok(uname()?.nodename().to_string_lossy().into_owned())
}

/// The CPU time and the resident memory of this program; the other fields are `None`.
#[must_use]
pub fn cost() -> Cost {
    Cost { user_cpu_ms: cpu_ms(), rss_bytes: rss_bytes(), ..Cost::default() }
}

fn read_clock(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. The clocks exist on every Linux, so that the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// User and system time.
fn cpu_ms() -> Option<u64> {
    let used = read_clock(libc::CLOCK_PROCESS_CPUTIME_ID) - BEFORE_NS.get().copied().unwrap_or_default();
    u64::try_from(used / 1_000_000).ok()
}

/// The second number of /proc/self/statm: pages.
fn rss_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: the call takes and returns a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(page).ok().map(|page| page * pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_increase() {
        let (first, second) = (now(), now());
        assert!(first.unix_ns > 1_700_000_000_000_000_000);
        assert!(second.monotonic_ns >= first.monotonic_ns);
    }

    #[test]
    fn cost_has_memory_and_cpu_time() {
        let cost = cost();
        assert!(cost.rss_bytes.unwrap() > 500_000);
        assert!(cost.user_cpu_ms.is_some());
    }

    #[test]
    fn host_has_a_name() {
        assert!(!name().unwrap().is_empty());
    }
}
