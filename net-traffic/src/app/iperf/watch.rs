//! Reads this machine's collectors while a test runs, to find what limits it.

use std::io;

use crate::app::series::remarks;
use crate::source::system::{HostLoad, Live};
use net_traffic_model::throughput::{HostLoad as HostLoadReading, Observations, TestMonitor, TestRequest};
use net_traffic_output::throughput;
use net_traffic_snapshot::{LiveOptions, OpenError};
use net_traffic_view::throughput::cause;

/// The collectors, and their observations of the running test.
pub(super) struct Watcher {
    live: Live,
    host_load: Option<HostLoad>,
    port: u16,
    monitor: Option<TestMonitor>,
    request: TestRequest,
    /// What the privileges do not allow to observe.
    remarks: Vec<String>,
    paused: bool,
}

impl Watcher {
    pub(super) fn open(options: &LiveOptions, port: u16, request: TestRequest) -> Result<Self, OpenError> {
        let mut live = Live::open(options)?;
        // The first reading scans the descriptors of all processes. It comes before the test, which it would slow down.
        // An error shows in the next reading.
        drop(live.snapshot());
        // Optional: without it the cause comes from the sockets alone.
        let host_load = HostLoad::open().ok();
        Ok(Self { live, host_load, port, monitor: None, request, remarks: Vec::new(), paused: false })
    }

    pub(super) fn is_watching(&self) -> bool {
        self.monitor.is_some() && !self.paused
    }

    /// Starts to observe a test.
    pub(super) fn begin(&mut self) {
        self.monitor = Some(TestMonitor::new(std::process::id(), self.port));
        self.paused = false;
        self.sample();
    }

    /// Stops to observe after the last byte: what follows is not part of the test.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// Reads the collectors once more.
    pub(super) fn sample(&mut self) {
        let Some(monitor) = &mut self.monitor else { return };
        let mut reading = HostLoadReading::default();
        if let Some(host_load) = &mut self.host_load {
            reading.cpus = host_load.cpus().unwrap_or_default();
            reading.queues = host_load.queues().unwrap_or_default();
        }
        if let Ok(snapshot) = self.live.snapshot() {
            self.remarks = remarks(&snapshot.status);
            monitor.advance(snapshot, reading);
        }
    }

    /// The time of the last reading, and the bytes of the test until then.
    pub(super) fn moved(&self) -> Option<(u64, u64)> {
        self.monitor.as_ref().filter(|_| !self.paused)?.moved()
    }

    /// Adds the lost datagrams of the test's own report to the cause.
    pub(super) fn report(&mut self, lost: u64, sent: u64) {
        self.request.datagrams = Some((lost, sent));
    }

    /// Ends the observation. `document`: the JSON report, which has the lost datagrams.
    pub(super) fn end(&mut self, document: Option<&str>) -> Option<Findings> {
        // The sockets are closed by now: with programs, this reading has their final counters.
        self.sample();
        let seen = self.monitor.take()?.observations();
        let lost = document.and_then(datagrams).or(self.request.datagrams.take());
        let request = TestRequest { datagrams: lost, ..self.request };
        Some(Findings { seen, request, remarks: self.remarks.clone() })
    }
}

/// The observations of a test that has ended.
pub(super) struct Findings {
    seen: Observations,
    request: TestRequest,
    remarks: Vec<String>,
}

impl Findings {
    pub(super) fn lines(&self) -> Vec<String> {
        throughput::lines(&cause(&self.seen, &self.request, &self.remarks))
    }

    pub(super) fn add_to(&self, document: &str) -> String {
        throughput::with_key(document, &cause(&self.seen, &self.request, &self.remarks))
    }

    pub(super) fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        self.lines().iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

/// Lost and sent datagrams, from the sum of an iperf3 report.
fn datagrams(document: &str) -> Option<(u64, u64)> {
    let report: serde_json::Value = serde_json::from_str(document).ok()?;
    let sum = report.get("end")?.get("sum")?;
    Some((sum.get("lost_packets")?.as_u64()?, sum.get("packets")?.as_u64()?))
}
