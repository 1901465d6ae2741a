//! Watches a test with this program's own collectors while it runs.

use std::io;

use crate::app::run::remarks;
use crate::source::system::{HostLoad, Live};
use net_traffic_model::throughput::{HostLoad as HostLoadReading, Observations, TestMonitor, TestRequest};
use net_traffic_output::throughput;
use net_traffic_snapshot::{LiveOptions, OpenError};
use net_traffic_view::throughput::cause;

/// The collectors, and what they saw of the test that is running.
pub(super) struct Watcher {
    live: Live,
    host_load: Option<HostLoad>,
    port: u16,
    monitor: Option<TestMonitor>,
    request: TestRequest,
    /// What these rights do not let it see.
    remarks: Vec<String>,
    paused: bool,
}

impl Watcher {
    pub(super) fn open(options: &LiveOptions, port: u16, request: TestRequest) -> Result<Self, OpenError> {
        let mut live = Live::open(options)?;
        // The first reading looks for whoever holds the sockets of this machine, which must not take time from a test.
        // What it cannot do the next ones tell.
        drop(live.snapshot());
        // Without them the sockets still tell.
        let host_load = HostLoad::open().ok();
        Ok(Self { live, host_load, port, monitor: None, request, remarks: Vec::new(), paused: false })
    }

    pub(super) fn is_watching(&self) -> bool {
        self.monitor.is_some() && !self.paused
    }

    /// A test begins.
    pub(super) fn begin(&mut self) {
        self.monitor = Some(TestMonitor::new(std::process::id(), self.port));
        self.paused = false;
        self.look();
    }

    /// Its last byte was moved: what comes now is not part of it.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// Takes one more reading.
    pub(super) fn look(&mut self) {
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

    /// When it was read last, and what the test had moved by then.
    pub(super) fn moved(&self) -> Option<(u64, u64)> {
        self.monitor.as_ref().filter(|_| !self.paused)?.moved()
    }

    /// What the test's own report says of lost datagrams belongs to the cause.
    pub(super) fn report(&mut self, lost: u64, sent: u64) {
        self.request.datagrams = Some((lost, sent));
    }

    /// The test is over; a document has of it what lines say.
    pub(super) fn end(&mut self, document: Option<&str>) -> Option<Findings> {
        // The sockets are closed by now: where something counts, these are their last figures.
        self.look();
        let seen = self.monitor.take()?.observations();
        let lost = document.and_then(datagrams).or(self.request.datagrams.take());
        let request = TestRequest { datagrams: lost, ..self.request };
        Some(Findings { seen, request, remarks: self.remarks.clone() })
    }
}

/// What was seen of a test that is over.
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

/// Lost and sent, as the sum of iperf3's report has them.
fn datagrams(document: &str) -> Option<(u64, u64)> {
    let report: serde_json::Value = serde_json::from_str(document).ok()?;
    let sum = report.get("end")?.get("sum")?;
    Some((sum.get("lost_packets")?.as_u64()?, sum.get("packets")?.as_u64()?))
}
