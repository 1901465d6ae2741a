//! Counts bytes by ETW: a session, a queue, and a thread that sums the events.

mod refusal;
mod session;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

pub(super) use self::refusal::Refusal;
use self::session::{Session, TraceSession};
use super::processes::Processes;
use crate::events::{Accounts, Entry, Losses, Queue, Reading, SessionWatch, Tallies, queue};
use net_traffic_snapshot::{Bytes, Loss, ProcessId, Socket, Status};

/// The name of the tier that `doctor` prints.
pub(super) const TIER: &str = "etw";
/// The slot of the status.
pub(super) const SLOT: &str = "counting";

/// The capacity of the queue in events: 5 MB.
const QUEUE_CAPACITY: usize = 1 << 16;

/// Counts bytes until it is dropped or its session is stopped.
#[derive(Debug)]
pub(super) struct EtwCounter {
    /// Dropped before the thread is joined: the thread ends with the sender in the session's callback.
    session: Option<Box<dyn TraceSession>>,
    watch: SessionWatch,
    /// The session had ended before the last snapshot began: the bytes since then are unknown.
    has_ended: bool,
    tallies: Arc<Mutex<Tallies>>,
    losses: Arc<Losses>,
    thread: Option<JoinHandle<()>>,
    accounts: Accounts,
}

impl EtwCounter {
    /// Starts the session and the thread.
    pub(super) fn start() -> Result<Self, Refusal> {
        let (callback, queue) = queue(QUEUE_CAPACITY);
        let session = Session::start(callback)?;
        Self::with_session(Box::new(session), queue)
    }

    /// Counts the events that a session puts into the queue.
    fn with_session(session: Box<dyn TraceSession>, queue: Queue) -> Result<Self, Refusal> {
        let tallies = Arc::new(Mutex::new(Tallies::default()));
        let shared = Arc::clone(&tallies);
        let events = queue.events;
        let add = move || {
            while let Ok(event) = events.recv() {
                let mut tallies = lock(&shared);
                tallies.add(&event);
                // One lock for all queued events, but bounded: `advance` waits for the lock.
                events.try_iter().take(QUEUE_CAPACITY).for_each(|event| tallies.add(&event));
            }
        };
        let thread = std::thread::Builder::new().name("etw-events".into()).spawn(add);
        let thread = thread.map_err(Refusal::Failed)?;
        Ok(Self {
            session: Some(session),
            watch: SessionWatch::default(),
            has_ended: false,
            tallies,
            losses: queue.losses,
            thread: Some(thread),
            accounts: Accounts::default(),
        })
    }

    /// All sockets with their byte counts, which are unknown after the session has ended. `tables` is called after the
    /// events were taken.
    pub(super) fn advance(
        &mut self,
        at_ns: u64,
        addresses: &[IpAddr],
        processes: &mut Processes,
        tables: impl FnOnce() -> io::Result<Vec<Entry>>,
    ) -> io::Result<Vec<Socket>> {
        self.has_ended = self.watch.ended().is_some();
        if let Some(session) = self.session.as_ref().filter(|_| !self.has_ended) {
            session.flush();
            self.watch.update(session.lost(), session.ended());
        }
        let batch = lock(&self.tallies).take();
        let entries = match tables() {
            Ok(entries) => entries,
            Err(error) => {
                lock(&self.tallies).restore(batch);
                return Err(error);
            }
        };
        let reading = Reading { at_ns, entries: &entries, addresses };
        let mut sockets = self.accounts.advance(&batch, &reading, processes);
        if self.has_ended {
            for socket in &mut sockets {
                socket.counted = None;
            }
        }
        Ok(sockets)
    }

    /// The bytes of each process; `None` after the session has ended.
    pub(super) fn processes(&self) -> Option<&HashMap<ProcessId, Bytes>> {
        (!self.has_ended).then(|| self.accounts.processes())
    }

    /// Events that were not counted, by cause. The end of the session counts as one missed hook.
    pub(super) fn loss(&self) -> Loss {
        Loss {
            map_full: self.accounts.map_full() + lock(&self.tallies).map_full(),
            ring_full: self.watch.lost(),
            queue_full: self.losses.queue_full.load(Ordering::Relaxed),
            missed_hooks: self.losses.malformed.load(Ordering::Relaxed)
                + u64::from(self.watch.ended().is_some()),
            ..Loss::default()
        }
    }

    pub(super) fn status(&self) -> Status {
        let ended = self.watch.ended();
        Status {
            slot: SLOT.to_owned(),
            tier: ended.is_none().then(|| TIER.to_owned()),
            program: Some("Microsoft-Windows-Kernel-Network".to_owned()),
            covers: Some("the payload of every TCP and UDP call, by process and connection".to_owned()),
            reason: ended.map(|why| format!("{why}; bytes since then are not counted")),
            remedy: ended
                .map(|_| "start net-traffic again; `logman query -ets` lists the sessions".to_owned()),
        }
    }
}

impl Drop for EtwCounter {
    fn drop(&mut self) {
        drop(self.session.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Ignores poisoning: the sums stay valid after a panic.
fn lock(tallies: &Mutex<Tallies>) -> std::sync::MutexGuard<'_, Tallies> {
    tallies.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
