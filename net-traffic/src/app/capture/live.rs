//! Packets of this machine, as they pass.

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;

use super::{Failure, Writer, introduce, misread, note};
use crate::config::capture::Capture;
use crate::source::system::{LiveCapture, Signals};
use net_traffic_capture::{CaptureStartError, Ledger, LiveCaptureOptions, StopReason, now_ns};
use pcap_io::{Interface, Packet};

pub(super) fn capture(
    capture: &Capture,
    options: &LiveCaptureOptions,
    command: &[OsString],
    expression: &str,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to start: {error}"));
    let signals = Signals::listen().map_err(failed)?;
    let mut live =
        LiveCapture::start(options, expression, capture.filter.optimize).map_err(|error| match error {
            CaptureStartError::Filter(error) => misread(expression, &error),
            CaptureStartError::Open(error) => error.into(),
        })?;
    if let Some(reason) = live.without_owners() {
        note(&format!("packets have no process: {reason}"));
    }
    for remark in live.remarks() {
        note(&remark);
    }
    let mut taker = Taker {
        writer: Writer::new(&capture.to),
        limit: capture.count,
        captured: 0,
        unwanted: 0,
        failure: None,
    };
    taker.writer.open(live.interfaces(), now_ns())?;
    match live.interfaces() {
        several if options.interfaces.is_empty() => {
            note(&format!("listening on any, {} interfaces by now", several.len()));
        }
        [interface] => {
            let name = interface.name.as_deref().unwrap_or("?");
            introduce(&format!("listening on {name}"), interface);
        }
        several => note(&format!("listening on {} interfaces", several.len())),
    }
    if !command.is_empty() {
        live.run(command).map_err(|error| Failure::Usage(format!("failed to run the command: {error}")))?;
    }
    let end = follow(&mut live, &mut taker, &signals);
    let wants_rest = taker.failure.is_none() && end != Some(StopReason::ConsumerDone);
    let mut take = |interfaces: &[Interface], packet: &Packet<'_>| taker.take(interfaces, packet);
    live.finish(if wants_rest { Some(&mut take) } else { None });
    conclude(capture, &mut live, &mut taker, end.as_ref(), &signals)
}

/// Until something ends it; `None` if it is the user.
fn follow(live: &mut LiveCapture, taker: &mut Taker, signals: &Signals) -> Option<StopReason> {
    while !signals.stopped() {
        if signals.statistics_wanted() {
            let ledger = taker.ledger(live);
            tell(&ledger);
            let written = taker.writer.statistics(live.interfaces(), &ledger, now_ns());
            if taker.is_refused(written) {
                return Some(StopReason::ConsumerDone);
            }
        }
        let end = live.next(&mut |interfaces, packet| taker.take(interfaces, packet));
        if end.is_some() {
            return end;
        }
        let flushed = taker.writer.flush();
        if taker.is_refused(flushed) {
            return Some(StopReason::ConsumerDone);
        }
    }
    None
}

/// Writes the end of the file and the numbers, and says what kind of end it was.
fn conclude(
    capture: &Capture,
    live: &mut LiveCapture,
    taker: &mut Taker,
    end: Option<&StopReason>,
    signals: &Signals,
) -> Result<(), Failure> {
    if taker.failure.is_none() {
        let ledger = taker.ledger(live);
        let written = taker.writer.finish(live.interfaces(), &ledger, now_ns());
        taker.is_refused(written);
    }
    let reader_is_gone = matches!(taker.failure, Some(Failure::ReaderGone));
    let mut ledger = taker.ledger(live);
    if taker.failure.is_some() && !reader_is_gone {
        // What could not be written is lost, and so is what came after it.
        ledger.write_failed += std::mem::take(&mut ledger.left_over);
    }
    for remark in live.remarks() {
        note(&remark);
    }
    tell(&ledger);
    signals.done();
    if let Some(failure) = taker.failure.take() {
        // A full disk has no place for what belongs at the end; the capture is what it is.
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

/// Takes packets to the writer, until there were enough or it fails.
struct Taker {
    writer: Writer,
    limit: Option<u64>,
    captured: u64,
    /// What came after the last file that there may be.
    unwanted: u64,
    failure: Option<Failure>,
}

impl Taker {
    fn take(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> ControlFlow<()> {
        self.captured += 1;
        let written = self.writer.packet(interfaces, packet);
        if self.is_refused(written) {
            return ControlFlow::Break(());
        }
        if self.writer.is_full() {
            self.captured -= 1;
            self.unwanted += 1;
            self.limit = Some(self.captured);
        }
        let enough = self.limit.is_some_and(|limit| self.captured >= limit);
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Keeps the first failure.
    fn is_refused(&mut self, written: io::Result<()>) -> bool {
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
        ledger.left_over += self.unwanted;
        ledger.captured = self.captured - unwritten.min(self.captured);
        match &self.failure {
            Some(Failure::ReaderGone) => ledger.left_over += unwritten,
            Some(_) => ledger.write_failed += unwritten,
            None => {}
        }
        ledger
    }
}

/// The numbers as tcpdump gives them, with the causes of what was lost.
fn tell(ledger: &Ledger) {
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
            "processes may be missing: no room for {count} addresses behind interfaces (map_full)"
        ));
    }
}
