//! The host's name and clocks, and what this process costs it.

use std::io;
use std::sync::OnceLock;

use nix::sys::utsname::uname;

use net_traffic_snapshot::{Cost, Time};

/// The processor time that this process had used when the program began: whoever executed it in its own place (as
/// `cargo run` and a shell's `exec` do) has left its own.
static BEFORE_NS: OnceLock<i64> = OnceLock::new();

/// The program begins: what was used until now is not its own. The first call holds.
pub fn begin() {
    BEFORE_NS.get_or_init(|| read_clock(libc::CLOCK_PROCESS_CPUTIME_ID));
}

/// Now, on both clocks.
#[must_use]
pub fn now() -> Time {
    let real = read_clock(libc::CLOCK_REALTIME);
    let monotonic = read_clock(libc::CLOCK_MONOTONIC);
    Time { unix_ns: real, monotonic_ns: monotonic.max(0).cast_unsigned() }
}

/// The name of the host, as `uname -n` prints it.
///
/// # Errors
/// When the kernel does not tell.
pub fn name() -> io::Result<String> {
    Ok(uname()?.nodename().to_string_lossy().into_owned())
}

/// What this program has used until now: processor time and the memory it holds. The rest is not known here.
#[must_use]
pub fn cost() -> Cost {
    Cost { user_cpu_ms: cpu_ms(), rss_bytes: rss_bytes(), ..Cost::default() }
}

fn read_clock(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. Both clocks exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// In user space and in the kernel on our behalf.
fn cpu_ms() -> Option<u64> {
    let used = read_clock(libc::CLOCK_PROCESS_CPUTIME_ID) - BEFORE_NS.get().copied().unwrap_or_default();
    u64::try_from(used / 1_000_000).ok()
}

/// The second number of /proc/self/statm is in pages.
fn rss_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: takes a number and gives one.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(page).ok().map(|page| page * pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_go_forward() {
        let (first, second) = (now(), now());
        assert!(first.unix_ns > 1_700_000_000_000_000_000);
        assert!(second.monotonic_ns >= first.monotonic_ns);
    }

    #[test]
    fn the_cost_is_that_of_a_running_program() {
        let cost = cost();
        assert!(cost.rss_bytes.unwrap() > 500_000);
        assert!(cost.user_cpu_ms.is_some());
    }

    #[test]
    fn the_host_has_a_name() {
        assert!(!name().unwrap().is_empty());
    }
}
