//! Bytes as the system's event tracing tells them: a session, its queue, and who adds up.

mod refusal;
mod session;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

pub(super) use self::refusal::Refusal;
use self::session::{Session, Tracing};
use super::processes::Processes;
use crate::events::{Accounts, Entry, Losses, Queue, Reading, Tallies, Watch, queue};
use net_traffic_snapshot::{Bytes, Loss, ProcessId, Socket, Status};

/// How bytes are counted here, as `doctor` prints it.
pub(super) const TIER: &str = "etw";
/// What an administrator may refuse: the slot of the status.
pub(super) const SLOT: &str = "counting";

/// Events that may wait until they are added up: 5 MB.
const QUEUE: usize = 1 << 16;

/// Counts from its beginning to its drop, or until somebody stops its session.
#[derive(Debug)]
pub(super) struct Counting {
    /// Ends before the thread that adds up: that ends with the last event.
    session: Option<Box<dyn Tracing>>,
    watch: Watch,
    /// The session had ended before the last snapshot began: nothing of that was counted.
    is_blind: bool,
    tallies: Arc<Mutex<Tallies>>,
    losses: Arc<Losses>,
    adder: Option<JoinHandle<()>>,
    accounts: Accounts,
}

impl Counting {
    /// Begins to count.
    pub(super) fn start() -> Result<Self, Refusal> {
        let (callback, queue) = queue(QUEUE);
        let session = Session::start(callback)?;
        Self::of(Box::new(session), queue)
    }

    /// Counts what a session puts into this queue.
    fn of(session: Box<dyn Tracing>, queue: Queue) -> Result<Self, Refusal> {
        let tallies = Arc::new(Mutex::new(Tallies::default()));
        let shared = Arc::clone(&tallies);
        let events = queue.events;
        let add = move || {
            while let Ok(event) = events.recv() {
                let mut tallies = lock(&shared);
                tallies.add(&event);
                // Those that wait are taken with the same lock, in turns that nobody waits for long.
                events.try_iter().take(QUEUE).for_each(|event| tallies.add(&event));
            }
        };
        let adder = std::thread::Builder::new().name("etw-events".into()).spawn(add);
        let adder = adder.map_err(Refusal::Failed)?;
        Ok(Self {
            session: Some(session),
            watch: Watch::default(),
            is_blind: false,
            tallies,
            losses: queue.losses,
            adder: Some(adder),
            accounts: Accounts::default(),
        })
    }

    /// All sockets with what was counted by now, which is not known any more once the session has ended. `tables` is
    /// asked after the events were taken.
    pub(super) fn advance(
        &mut self,
        at_ns: u64,
        addresses: &[IpAddr],
        processes: &mut Processes,
        tables: impl FnOnce() -> io::Result<Vec<Entry>>,
    ) -> io::Result<Vec<Socket>> {
        self.is_blind = self.watch.ended().is_some();
        if let Some(session) = self.session.as_ref().filter(|_| !self.is_blind) {
            session.hand_over();
            self.watch.hear(session.lost(), session.ended());
        }
        let batch = lock(&self.tallies).take();
        let entries = match tables() {
            Ok(entries) => entries,
            Err(error) => {
                lock(&self.tallies).give_back(batch);
                return Err(error);
            }
        };
        let reading = Reading { at_ns, entries: &entries, addresses };
        let mut sockets = self.accounts.advance(&batch, &reading, processes);
        if self.is_blind {
            for socket in &mut sockets {
                socket.counted = None;
            }
        }
        Ok(sockets)
    }

    /// What each process has moved by now, as long as that is counted.
    pub(super) fn processes(&self) -> Option<&HashMap<ProcessId, Bytes>> {
        (!self.is_blind).then(|| self.accounts.processes())
    }

    /// Events that were not counted, by cause. A session that was stopped has lost one at least.
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
            reason: ended.map(|why| format!("{why}; what is moved since then is not counted")),
            remedy: ended
                .map(|_| "start net-traffic again; `logman query -ets` lists the sessions".to_owned()),
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        drop(self.session.take());
        if let Some(adder) = self.adder.take() {
            let _ended = adder.join();
        }
    }
}

/// A thread that panicked while it held the tallies left sums behind, which are as good as before.
fn lock(tallies: &Mutex<Tallies>) -> std::sync::MutexGuard<'_, Tallies> {
    tallies.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
