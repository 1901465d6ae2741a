//! Reverse DNS in the background, by the system's resolver.
//!
//! The caller never waits: a few threads do, each for one address. The queue, the threads and the cache are bounded,
//! so that a name server that does not answer costs names and nothing else.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dns_lookup::{LookupErrorKind, lookup_addr};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The answer for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Name(String),
    /// The address has no name.
    NoName,
    /// The lookup failed; a later one may not.
    Failed,
}

type Lookup = dyn Fn(IpAddr) -> Answer + Send + Sync;

/// Resolves addresses, each once until its answer expires.
#[derive(Debug)]
pub(crate) struct Resolver {
    cache: HashMap<IpAddr, CacheEntry>,
    queue: SyncSender<IpAddr>,
    answers: UnboundedReceiver<(IpAddr, Answer)>,
    /// Received, and not returned yet.
    received: Vec<(IpAddr, Answer)>,
    waiting: usize,
    round: u64,
}

#[derive(Clone, Copy, Debug)]
struct CacheEntry {
    /// When the answer expires, on the clock of the snapshots; `None` while there is no answer.
    expires_ns: Option<u64>,
    /// The last round that queued the address.
    round: u64,
}

/// A lookup waits for a name server, not for a processor: a few threads suffice.
const THREADS: usize = 4;
/// Addresses that wait for a thread. The rest is queued with a later snapshot.
const QUEUE: usize = 256;
/// Addresses in the cache.
pub(crate) const CACHE_SIZE: usize = 10_000;
/// After one answer, others follow soon: they are returned together.
const BATCH: Duration = Duration::from_millis(250);

impl Resolver {
    /// Uses the system's resolver: its hosts file and its name servers, as configured.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn of_system() -> io::Result<Self> {
        Self::with(lookup_by_system)
    }

    /// Uses another lookup, which may block.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn with(lookup: impl Fn(IpAddr) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        let lookup: Arc<Lookup> = Arc::new(lookup);
        let (queue, queued) = sync_channel(QUEUE);
        let (answer, answers) = unbounded_channel();
        let queued = Arc::new(Mutex::new(queued));
        for _ in 0..THREADS {
            let (queued, answer) = (Arc::clone(&queued), answer.clone());
            let lookup = Arc::clone(&lookup);
            // The thread ends with the sender; one that is blocked in a lookup ends with the program.
            std::thread::Builder::new()
                .name("names".to_owned())
                .spawn(move || work(&queued, &answer, &*lookup))?;
        }
        Ok(Self { cache: HashMap::new(), queue, answers, received: Vec::new(), waiting: 0, round: 0 })
    }

    /// Queues the addresses that have no answer, or an expired one. `now_ns` is the snapshot's time.
    pub(crate) fn queue(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now_ns: u64) {
        self.round += 1;
        for address in addresses {
            let round = self.round;
            if let Some(entry) = self.cache.get_mut(&address) {
                entry.round = round;
                if entry.expires_ns.is_none_or(|expires| now_ns < expires) {
                    continue;
                }
            } else if self.cache.len() >= CACHE_SIZE && !self.evict() {
                return;
            }
            if self.queue.try_send(address).is_err() {
                return;
            }
            self.cache.insert(address, CacheEntry { expires_ns: None, round });
            self.waiting += 1;
        }
    }

    /// The names that were resolved since the last call. `now_ns` is the snapshot's time.
    pub(crate) fn resolved(&mut self, now_ns: u64) -> Vec<(IpAddr, String)> {
        while let Ok(answer) = self.answers.try_recv() {
            self.received.push(answer);
        }
        let mut names = Vec::new();
        for (address, answer) in std::mem::take(&mut self.received) {
            self.waiting = self.waiting.saturating_sub(1);
            if let Some(entry) = self.cache.get_mut(&address) {
                entry.expires_ns = Some(now_ns.saturating_add(lifetime_ns(&answer)));
            }
            if let Answer::Name(name) = answer {
                names.push((address, name));
            }
        }
        names
    }

    /// Whether an address has no answer yet.
    #[must_use]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Returns once there are answers.
    pub(crate) async fn wait(&mut self) {
        if self.received.is_empty() {
            let answer = self.answers.recv().await;
            self.received.extend(answer);
        }
        tokio::time::sleep(BATCH).await;
    }

    /// Returns once every queued address has its answer, or after the timeout.
    pub(crate) async fn wait_for_all(&mut self, timeout: Duration) {
        let all = async {
            while self.received.len() < self.waiting {
                match self.answers.recv().await {
                    Some(answer) => self.received.push(answer),
                    None => return,
                }
            }
        };
        // An address without an answer is shown as a number.
        let _elapsed = tokio::time::timeout(timeout, all).await;
    }

    /// Removes addresses that neither this round nor the one before queued. Returns whether there is room now.
    fn evict(&mut self) -> bool {
        let round = self.round;
        self.cache.retain(|_, entry| entry.expires_ns.is_none() || entry.round + 1 >= round);
        self.cache.len() < CACHE_SIZE
    }
}

/// How long an answer is used. Names rarely change; a name server that failed may be back soon.
fn lifetime_ns(answer: &Answer) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    match answer {
        Answer::Name(_) => 3600 * SECOND,
        Answer::NoName => 300 * SECOND,
        Answer::Failed => 30 * SECOND,
    }
}

fn work(queue: &Mutex<Receiver<IpAddr>>, answers: &UnboundedSender<(IpAddr, Answer)>, lookup: &Lookup) {
    loop {
        let next = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(address)) = next else { return };
        if answers.send((address, lookup(address))).is_err() {
            return;
        }
    }
}

fn lookup_by_system(address: IpAddr) -> Answer {
    match lookup_addr(&address) {
        Ok(name) => Answer::Name(name),
        Err(error) => match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Answer::NoName,
            _ => Answer::Failed,
        },
    }
}

#[cfg(test)]
mod tests;
