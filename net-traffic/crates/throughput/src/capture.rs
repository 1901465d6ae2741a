//! Captures the standard output of this process line by line: riperf3 has no other interface for its report.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::end_observer::EndObserver;
use super::lines::{Lines, message};
use crate::Event;
use crate::system::Redirected;

/// Redirects standard output and standard error into events while it lives. [`Outlets`] bypass it.
pub(super) struct Capture {
    redirected: Redirected,
    phase: Phase,
}

/// The original standard output and standard error.
#[derive(Debug)]
pub struct Outlets {
    pub out: File,
    pub err: File,
}

/// Whether a test is running, and whether one has ever run.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase {
    running: Arc<AtomicBool>,
    begun: Arc<AtomicBool>,
}

impl Phase {
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    fn set(&self, running: bool) {
        self.running.store(running, Ordering::SeqCst);
        self.begun.fetch_or(running, Ordering::SeqCst);
    }
}

impl Capture {
    pub(super) fn begin(observer: EndObserver) -> io::Result<(Self, UnboundedReceiver<Event>)> {
        io::stdout().flush()?;
        let (from_out, to_out) = io::pipe()?;
        let (from_err, to_err) = io::pipe()?;
        let (events, receiver) = unbounded_channel();
        let phase = Phase::default();
        let (watched, other) = (phase.clone(), events.clone());
        thread::Builder::new().spawn(move || follow(from_out, observer, &watched, &events))?;
        thread::Builder::new().spawn(move || follow_messages(from_err, &other))?;
        let redirected = Redirected::begin(to_out, to_err)?;
        Ok((Self { redirected, phase }, receiver))
    }

    pub(super) fn outlets(&self) -> io::Result<Outlets> {
        let (out, err) = self.redirected.originals()?;
        Ok(Outlets { out, err })
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.clone()
    }
}

impl Drop for Capture {
    /// Flushes, and closes the writing ends of the pipes. So the readers end, and with them the events.
    fn drop(&mut self) {
        drop(io::stdout().flush());
    }
}

fn follow(from: PipeReader, observer: EndObserver, phase: &Phase, events: &UnboundedSender<Event>) {
    let mut lines = Lines::new(observer);
    // The pipe is read to its end even without a receiver: the writer must not block.
    let emit = |event| drop(events.send(event));
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        lines.push(&line, emit);
        phase.set(lines.is_running());
    }
    lines.end(emit);
}

fn follow_messages(from: PipeReader, events: &UnboundedSender<Event>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        drop(events.send(message(&line)));
    }
}
