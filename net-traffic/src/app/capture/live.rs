//! Captures packets of this machine.

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;

use super::{Failure, Writer, invalid_filter, note, note_source};
use crate::config::CaptureConfig;
use crate::source::system::{LiveCapture, Signals};
use net_traffic_capture::{CaptureStartError, Ledger, LiveCaptureOptions, StopReason, now_ns};
use pcap_io::{Interface, Packet};

pub(super) fn capture(
    capture: &CaptureConfig,
    options: &LiveCaptureOptions,
    command: &[OsString],
    expression: &str,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to start: {error}"));
    let signals = Signals::listen().map_err(failed)?;
    let mut live =
        LiveCapture::start(options, expression, capture.filter.optimize).map_err(|error| match error {
            CaptureStartError::Filter(error) => invalid_filter(expression, &error),
            CaptureStartError::Open(error) => error.into(),
        })?;
    if let Some(reason) = live.without_owners() {
        note(&format!("packets have no process: {reason}"));
    }
    for remark in live.remarks() {
        note(&remark);
    }
    let mut consumer = PacketConsumer {
        writer: Writer::new(&capture.to),
        limit: capture.count,
        captured: 0,
        after_last_file: 0,
        failure: None,
    };
    consumer.writer.open(live.interfaces(), now_ns())?;
    match live.interfaces() {
        several if options.interfaces.is_empty() => {
            note(&format!("listening on any ({} interfaces)", several.len()));
        }
        [interface] => {
            let name = interface.name.as_deref().unwrap_or("?");
            note_source(&format!("listening on {name}"), interface);
        }
        several => note(&format!("listening on {} interfaces", several.len())),
    }
    if !command.is_empty() {
        live.run(command).map_err(|error| Failure::Usage(format!("failed to run the command: {error}")))?;
    }
    let end = follow(&mut live, &mut consumer, &signals);
    let wants_rest = consumer.failure.is_none() && end != Some(StopReason::ConsumerDone);
    let mut consume = |interfaces: &[Interface], packet: &Packet<'_>| consumer.consume(interfaces, packet);
    live.finish(if wants_rest { Some(&mut consume) } else { None });
    conclude(capture, &mut live, &mut consumer, end.as_ref(), &signals)
}

/// Captures until the end; `None` if a signal ended the capture.
fn follow(live: &mut LiveCapture, consumer: &mut PacketConsumer, signals: &Signals) -> Option<StopReason> {
    while !signals.stopped() {
        if signals.statistics_wanted() {
            let ledger = consumer.ledger(live);
            note_summary(&ledger);
            let written = consumer.writer.statistics(live.interfaces(), &ledger, now_ns());
            if consumer.keep_failure(written) {
                return Some(StopReason::ConsumerDone);
            }
        }
        let end = live.next(&mut |interfaces, packet| consumer.consume(interfaces, packet));
        if end.is_some() {
            return end;
        }
        let flushed = consumer.writer.flush();
        if consumer.keep_failure(flushed) {
            return Some(StopReason::ConsumerDone);
        }
    }
    None
}

/// Writes the end of the file and the summary, and returns the error that ended the capture.
fn conclude(
    capture: &CaptureConfig,
    live: &mut LiveCapture,
    consumer: &mut PacketConsumer,
    end: Option<&StopReason>,
    signals: &Signals,
) -> Result<(), Failure> {
    if consumer.failure.is_none() {
        let ledger = consumer.ledger(live);
        let written = consumer.writer.finish(live.interfaces(), &ledger, now_ns());
        consumer.keep_failure(written);
    }
    let output_closed = matches!(consumer.failure, Some(Failure::OutputClosed));
    let mut ledger = consumer.ledger(live);
    if consumer.failure.is_some() && !output_closed {
        // Packets after a failed write are lost, too.
        ledger.write_failed += std::mem::take(&mut ledger.left_over);
    }
    for remark in live.remarks() {
        note(&remark);
    }
    note_summary(&ledger);
    signals.done();
    if let Some(failure) = consumer.failure.take() {
        return Err(failure);
    }
    match end {
        Some(StopReason::InterfaceGone(name)) => {
            return Err(Failure::Failed(format!("the interface {name} is gone")));
        }
        Some(StopReason::SourceFailed(why)) => return Err(Failure::Failed(why.clone())),
        Some(StopReason::ConsumerDone | StopReason::CommandExited) | None => {}
    }
    if capture.fail_on_loss && ledger.dropped() > 0 {
        return Err(Failure::Failed(format!("{} packets were lost", ledger.dropped())));
    }
    Ok(())
}

/// Writes packets until `-c` is reached or a write fails.
struct PacketConsumer {
    writer: Writer,
    limit: Option<u64>,
    captured: u64,
    /// Packets after the last file that `-W` allows.
    after_last_file: u64,
    failure: Option<Failure>,
}

impl PacketConsumer {
    fn consume(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> ControlFlow<()> {
        self.captured += 1;
        let written = self.writer.packet(interfaces, packet);
        if self.keep_failure(written) {
            return ControlFlow::Break(());
        }
        if self.writer.is_full() {
            self.captured -= 1;
            self.after_last_file += 1;
            self.limit = Some(self.captured);
        }
        let enough = self.limit.is_some_and(|limit| self.captured >= limit);
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Keeps the first failure; returns whether the write failed.
    fn keep_failure(&mut self, written: io::Result<()>) -> bool {
        match written {
            Ok(()) => false,
            Err(error) => {
                self.failure.get_or_insert(error.into());
                true
            }
        }
    }

    fn ledger(&mut self, live: &mut LiveCapture) -> Ledger {
        let mut ledger = live.ledger();
        let unwritten = if self.failure.is_some() { self.writer.unwritten() } else { 0 };
        ledger.left_over += self.after_last_file;
        ledger.captured = self.captured - unwritten.min(self.captured);
        match &self.failure {
            Some(Failure::OutputClosed) => ledger.left_over += unwritten,
            Some(_) => ledger.write_failed += unwritten,
            None => {}
        }
        ledger
    }
}

/// The summary that tcpdump prints, with the causes of loss.
fn note_summary(ledger: &Ledger) {
    let plural = |count: u64| if count == 1 { "packet" } else { "packets" };
    let Ledger { received, captured, .. } = *ledger;
    let dropped = ledger.dropped();
    let causes: Vec<String> = ledger
        .causes()
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(cause, count)| format!("{cause} {count}"))
        .collect();
    let causes = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
    note(&format!("{captured} {} captured", plural(captured)));
    note(&format!("{received} {} received by filter", plural(received)));
    note(&format!("{dropped} {} dropped by kernel{causes}", plural(dropped)));
    if ledger.left_over > 0 {
        note(&format!("{} {} left over when the capture ended", ledger.left_over, plural(ledger.left_over)));
    }
    if ledger.map_full > 0 {
        let count = ledger.map_full;
        note(&format!(
            "packets may lack their process: no map entry for {count} addresses of other network namespaces (map_full)"
        ));
    }
}
