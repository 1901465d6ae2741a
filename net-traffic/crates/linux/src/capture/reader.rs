//! Empties the rings as they fill, and hands batches of packets to the writer, in the order of time.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::time::{ClockId, clock_gettime};

use super::record::{self, Head};
use super::ring::Ring;

/// How many batches may wait for the writer, and how large one is: 64 MiB. One fits into a processor's cache.
const QUEUE: usize = 256;
const BATCH: usize = 256 << 10;
/// How many empty batches are kept.
const SPARE: usize = 8;
/// How long a packet may lie in a ring where few come.
const PAUSE_MS: u16 = 20;

/// Packets with their octets, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) heads: Vec<Head>,
    pub(super) octets: Vec<u8>,
    /// What has to be added to the monotonic clock to have the time since 1970.
    pub(super) offset_ns: u64,
}

impl Batch {
    /// Empty, with its memory.
    fn cleared(mut self) -> Self {
        self.heads.clear();
        self.octets.clear();
        self
    }
}

/// The thread that reads.
pub(super) struct Reader {
    batches: Receiver<Batch>,
    /// Batches that were read, whose memory serves again.
    spare: SyncSender<Batch>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The rings get no more packets: empty them and end.
    last: AtomicBool,
    queue_full: AtomicU64,
    unreadable: AtomicU64,
    /// What `queue_full` has of each interface.
    lost: Mutex<HashMap<u32, u64>>,
}

impl Reader {
    pub(super) fn start(rings: Vec<Ring>) -> io::Result<Self> {
        let (send, batches) = sync_channel(QUEUE);
        let (spare, spares) = sync_channel(SPARE);
        let shared = Arc::new(Shared::default());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for ring in &rings {
            // Edge-triggered: what lies in a ring is no reason to wake up, only the kernel's word that it is much.
            epoll.add(ring.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))?;
        }
        let mut work = Work { rings, epoll, send, spares, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("packets".into()).spawn(move || work.run())?;
        Ok(Self { batches, spare, shared, thread: Some(thread) })
    }

    /// The next batch, if one comes in time.
    pub(super) fn next(&self, timeout: Duration) -> Option<Batch> {
        self.batches.recv_timeout(timeout).ok()
    }

    /// From now on no packets come: the batches end with those that are in the rings.
    pub(super) fn finish(&mut self) {
        self.shared.last.store(true, Ordering::Release);
    }

    /// The next of the last batches.
    pub(super) fn last(&self) -> Option<Batch> {
        self.batches.recv().ok()
    }

    /// A batch that nobody needs any more.
    pub(super) fn give_back(&self, batch: Batch) {
        // If there are enough of them its memory is freed.
        drop(self.spare.try_send(batch));
    }

    /// What the queue lost of each interface.
    pub(super) fn lost(&self) -> HashMap<u32, u64> {
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn queue_full(&self) -> u64 {
        self.shared.queue_full.load(Ordering::Acquire)
    }

    pub(super) fn unreadable(&self) -> u64 {
        self.shared.unreadable.load(Ordering::Acquire)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.finish();
        while self.batches.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// What one look at the rings brought.
#[derive(Clone, Copy)]
struct Round {
    records: usize,
    octets: usize,
}

struct Work {
    rings: Vec<Ring>,
    epoll: Epoll,
    send: SyncSender<Batch>,
    spares: Receiver<Batch>,
    shared: Arc<Shared>,
}

impl Work {
    fn run(&mut self) {
        loop {
            let is_last = self.shared.last.load(Ordering::Acquire);
            let round = self.round(is_last);
            if is_last && round.records == 0 {
                return;
            }
            if round.octets < BATCH && !is_last {
                let mut events = [EpollEvent::empty()];
                // An error would only mean that we look sooner.
                let _woken = self.epoll.wait(&mut events, EpollTimeout::from(PAUSE_MS));
            }
        }
    }

    /// Takes from all rings what was there when it began, up to a batch.
    fn round(&mut self, is_last: bool) -> Round {
        let (now, offset_ns) = clocks();
        let limit = if is_last { u64::MAX } else { now };
        let spare = match self.spares.try_recv() {
            Ok(spare) => spare.cleared(),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Batch::default(),
        };
        let mut batch = Batch { offset_ns, ..spare };
        let mut records = 0;
        let Self { rings, shared, .. } = self;
        for ring in rings.iter_mut() {
            // Each ring has its part of the batch, so that one cannot keep the others waiting.
            let room = batch.octets.len() + BATCH;
            ring.read(|bytes| {
                if record::time_of(bytes) > limit || batch.octets.len() >= room {
                    return false;
                }
                records += 1;
                match record::read(bytes, &mut batch.octets) {
                    Some(head) => batch.heads.push(head),
                    None => drop(shared.unreadable.fetch_add(1, Ordering::Release)),
                }
                true
            });
        }
        if rings.len() > 1 {
            batch.heads.sort_by_key(|head| head.monotonic_ns);
        }
        let octets = batch.octets.len();
        if !batch.heads.is_empty() {
            self.send(batch, is_last);
        }
        Round { records, octets }
    }

    fn send(&self, batch: Batch, is_last: bool) {
        if is_last {
            // Nothing more comes, so that there is time to wait; and if nobody takes it, nobody wants it.
            let _sent = self.send.send(batch);
            return;
        }
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = self.send.try_send(batch)
        {
            self.shared.queue_full.fetch_add(batch.heads.len() as u64, Ordering::Release);
            let mut lost = self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner);
            for head in &batch.heads {
                *lost.entry(head.ifindex).or_default() += 1;
            }
        }
    }
}

/// The monotonic clock, and how far it is behind the time since 1970. The latter is asked anew each time, because it
/// is set by others.
fn clocks() -> (u64, u64) {
    // These clocks exist wherever the programs do.
    let read = |clock| clock_gettime(clock).map_or(Duration::ZERO, Duration::from).as_nanos();
    let (monotonic, wall) = (read(ClockId::CLOCK_MONOTONIC), read(ClockId::CLOCK_REALTIME));
    let whole = |ns: u128| u64::try_from(ns).unwrap_or(u64::MAX);
    (whole(monotonic), whole(wall.saturating_sub(monotonic)))
}
