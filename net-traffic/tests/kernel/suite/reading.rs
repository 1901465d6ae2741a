//! The time of a reading, from which rates are computed.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use libtest_mimic::{Completion, Failed, Trial};
use net_traffic_linux::ebpf::Ebpf;
use net_traffic_linux::load::LoadOptions;
use net_traffic_linux::platform::host;
use net_traffic_selftest::traffic::NetNs;
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::{Collector, Tier};

use super::skips::{Reason, skip};

pub(super) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test("reading::after_a_search", || match NetNs::enter_new() {
        Ok(_namespace) => after_a_search().map(|()| Completion::Completed),
        Err(error) => skip("reading::after_a_search", &Reason::Rights(error)),
    })]
}

/// A new connection without a known owner causes a search of all descriptors. The counters and the clock are read after
/// that search.
fn after_a_search() -> Result<(), Failed> {
    const DESCRIPTORS: usize = 15_000;
    const ATTEMPTS: u32 = 20;
    allow(DESCRIPTORS as u64 + 1000)?;
    let file = File::open("/dev/null")?;
    let _many = (0..DESCRIPTORS).map(|_| file.try_clone()).collect::<Result<Vec<_>, _>>()?;
    let mut ebpf = Ebpf::start(Tier::Auto, LoadOptions::default(), None)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    for _ in 0..ATTEMPTS {
        ebpf.collect(&mut Snapshot::default())?;
        let _client = TcpStream::connect(listener.local_addr()?)?;
        let mut seen = Snapshot { at: host::now(), ..Snapshot::default() };
        let began = seen.at.monotonic_ns;
        ebpf.collect(&mut seen)?;
        let at = seen.at.monotonic_ns;
        let ended = host::now().monotonic_ns;
        // The search takes most of the time, unless another process has the CPU.
        if at - began > (ended - began) / 4 {
            return Ok(());
        }
    }
    Err("the time of the reading is that of its begin".into())
}

/// The number of descriptors.
fn allow(descriptors: u64) -> Result<(), Failed> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes the struct.
    nix::errno::Errno::result(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_cur.max(descriptors);
    limit.rlim_max = limit.rlim_max.max(descriptors);
    // SAFETY: setrlimit reads the struct.
    nix::errno::Errno::result(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(())
}
