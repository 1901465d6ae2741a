//! Bytes as the system's event tracing tells them: a session, its queue, and who adds up.

mod refusal;
mod session;

use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub(super) use self::refusal::Refusal;
use self::session::Session;
use super::processes::Processes;
use crate::snapshot::{Loss, Socket, Status};
use crate::source::etw::{Accounts, Entry, Losses, Reading, Tallies, queue};

/// How bytes are counted here, as `doctor` prints it.
pub(super) const TIER: &str = "etw";
/// What an administrator may refuse: the slot of the status.
pub(super) const SLOT: &str = "counting";

/// Events that may wait until they are added up: 5 MB.
const QUEUE: usize = 1 << 16;

/// Counts from its beginning to its drop.
#[derive(Debug)]
pub(super) struct Counting {
    /// Ends before the thread that adds up: that ends with the last event.
    session: Option<Session>,
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
            tallies,
            losses: queue.losses,
            adder: Some(adder),
            accounts: Accounts::default(),
        })
    }

    /// All sockets with what was counted by now. `tables` is asked after the events were taken.
    pub(super) fn advance(
        &mut self,
        at_ns: u64,
        addresses: &[IpAddr],
        processes: &mut Processes,
        tables: impl FnOnce() -> io::Result<Vec<Entry>>,
    ) -> io::Result<Vec<Socket>> {
        /// How long the system may take to hand over what it was told to.
        const HAND_OVER: Duration = Duration::from_millis(20);
        if Session::flush() {
            std::thread::sleep(HAND_OVER);
        }
        let batch = lock(&self.tallies).take();
        let entries = tables()?;
        let reading = Reading { at_ns, entries: &entries, addresses };
        Ok(self.accounts.advance(&batch, &reading, processes))
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Events that were not counted, by cause.
    pub(super) fn loss(&self) -> Loss {
        Loss {
            map_full: self.accounts.map_full() + lock(&self.tallies).map_full(),
            ring_full: Session::lost(),
            queue_full: self.losses.queue_full.load(Ordering::Relaxed),
            missed_hooks: self.losses.malformed.load(Ordering::Relaxed),
            ..Loss::default()
        }
    }

    pub(super) fn status() -> Status {
        Status {
            slot: SLOT.to_owned(),
            tier: Some(TIER.to_owned()),
            program: Some("Microsoft-Windows-Kernel-Network".to_owned()),
            covers: Some("the payload of every TCP and UDP call, by process and connection".to_owned()),
            reason: None,
            remedy: None,
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
