//! Takes what this process prints, line by line: riperf3 prints its report and has no other way to give it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::lines::{Lines, message};
use super::served::Told;
use crate::Event;
use crate::system::Redirected;

/// While it lives, standard output and standard error lead to its events; [`Outlets`] lead past it.
pub(super) struct Capture {
    redirected: Redirected,
    phase: Phase,
}

/// Standard output and standard error as they were before.
#[derive(Debug)]
pub struct Outlets {
    pub out: File,
    pub err: File,
}

/// Whether a test is moving data, and whether one ever did.
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
    pub(super) fn begin(told: Told) -> io::Result<(Self, UnboundedReceiver<Event>)> {
        io::stdout().flush()?;
        let (from_out, to_out) = io::pipe()?;
        let (from_err, to_err) = io::pipe()?;
        let (events, receiver) = unbounded_channel();
        let phase = Phase::default();
        let (watched, other) = (phase.clone(), events.clone());
        thread::Builder::new().spawn(move || follow(from_out, told, &watched, &events))?;
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
    /// Once all is written, the ends to write to go: then the readers end, and with them the events.
    fn drop(&mut self) {
        drop(io::stdout().flush());
    }
}

fn follow(from: PipeReader, told: Told, phase: &Phase, events: &UnboundedSender<Event>) {
    let mut lines = Lines::new(told);
    // The receiver may have gone away; the writer must not wait for it all the same.
    let tell = |event| drop(events.send(event));
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        lines.take(&line, tell);
        phase.set(lines.is_running());
    }
    lines.end(tell);
}

fn follow_messages(from: PipeReader, events: &UnboundedSender<Event>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        drop(events.send(message(&line)));
    }
}
