//! Reads the host's name and clocks, and the CPU time and memory of this process.

use std::io;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::SystemInformation::{ComputerNameDnsHostname, GetComputerNameExW};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};

use crate::narrow;
use net_traffic_snapshot::{Cost, Time};

/// 1970-01-01 as a `FILETIME`: steps of 100 ns since 1601-01-01 UTC
/// (<https://learn.microsoft.com/en-us/windows/win32/api/minwinbase/ns-minwinbase-filetime>).
const EPOCH: i64 = 116_444_736_000_000_000;

/// Does nothing: Windows has no `execve(2)`, so that all CPU time of this process is the program's.
pub fn init_process_accounting() {}

/// The current time on both clocks.
pub(crate) fn now() -> Time {
    #[expect(clippy::disallowed_methods, reason = "this is where clocks are read")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let unix_ns = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    Time { unix_ns, monotonic_ns: monotonic_ns() }
}

/// Converts a `FILETIME` to nanoseconds since 1970.
pub(crate) fn unix_ns(file_time: i64) -> i64 {
    file_time.saturating_sub(EPOCH).saturating_mul(100)
}

/// Joins the two halves.
pub(crate) fn joined(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// The host name that `hostname` prints.
pub(crate) fn name() -> io::Result<String> {
    let mut name = [0_u16; 256];
    let mut length = 256;
    // SAFETY: the buffer has `length` units.
    let done = unsafe { GetComputerNameExW(ComputerNameDnsHostname, name.as_mut_ptr(), &raw mut length) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(narrow(&name)) }
}

/// The CPU time and the resident memory of this process. The other fields stay unknown.
pub(crate) fn cost() -> Cost {
    Cost { user_cpu_ms: cpu_ms(), rss_bytes: rss_bytes(), ..Cost::default() }
}

/// Nanoseconds since the system started.
fn monotonic_ns() -> u64 {
    let (mut count, mut frequency) = (0_i64, 0_i64);
    // SAFETY: both are writable. Since Windows XP the calls always succeed
    // (<https://learn.microsoft.com/en-us/windows/win32/api/profileapi/nf-profileapi-queryperformancecounter>).
    unsafe {
        QueryPerformanceCounter(&raw mut count);
        QueryPerformanceFrequency(&raw mut frequency);
    }
    let ns = i128::from(count) * 1_000_000_000 / i128::from(frequency.max(1));
    u64::try_from(ns).unwrap_or_default()
}

/// User time and kernel time.
fn cpu_ms() -> Option<u64> {
    let none = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let (mut created, mut exited, mut kernel, mut user) = (none, none, none, none);
    // SAFETY: the pseudo handle of this process needs no closing; all four times are writable.
    let done = unsafe {
        GetProcessTimes(
            GetCurrentProcess(),
            &raw mut created,
            &raw mut exited,
            &raw mut kernel,
            &raw mut user,
        )
    };
    (done != 0).then(|| (joined(kernel) + joined(user)) / 10_000)
}

fn rss_bytes() -> Option<u64> {
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).ok()?;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: size, ..PROCESS_MEMORY_COUNTERS::default() };
    // SAFETY: the pseudo handle of this process is valid; the structure is writable and has `size` octets.
    let done = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size) };
    if done == 0 { None } else { u64::try_from(counters.WorkingSetSize).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_forward() {
        let (first, second) = (now(), now());
        assert!(first.unix_ns > 1_700_000_000_000_000_000);
        assert!(second.monotonic_ns >= first.monotonic_ns);
        assert_eq!(unix_ns(EPOCH + 7), 700);
    }

    #[test]
    fn host_name_and_cost_are_read() {
        assert!(!name().unwrap().is_empty());
        let cost = cost();
        assert!(cost.rss_bytes.unwrap() > 500_000 && cost.user_cpu_ms.is_some());
    }
}
