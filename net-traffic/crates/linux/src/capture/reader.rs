//! Reads the rings in a thread of its own, and sends batches of packets in the order of time to the consumer.

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

/// The length of the queue in batches, and the size of a batch: 64 MiB in all. A batch fits into a CPU's cache.
const QUEUE: usize = 256;
const BATCH: usize = 256 << 10;
/// The number of empty batches that are kept.
const SPARE: usize = 8;
/// The longest time of a packet in a ring with little traffic.
const PAUSE_MS: u16 = 20;

/// Packets with their bytes, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) heads: Vec<Head>,
    pub(super) octets: Vec<u8>,
    /// The difference between the real-time and the monotonic clock.
    pub(super) offset_ns: u64,
}

impl Batch {
    /// Empties the batch and keeps its memory.
    fn cleared(mut self) -> Self {
        self.heads.clear();
        self.octets.clear();
        self
    }
}

/// The reading thread.
pub(super) struct Reader {
    batches: Receiver<Batch>,
    /// Consumed batches, whose memory is used again.
    spare: SyncSender<Batch>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// No program writes any more: the thread reads the rest and ends.
    last: AtomicBool,
    queue_full: AtomicU64,
    unreadable: AtomicU64,
    /// `queue_full` by interface.
    lost: Mutex<HashMap<u32, u64>>,
}

impl Reader {
    pub(super) fn start(rings: Vec<Ring>) -> io::Result<Self> {
        let (send, batches) = sync_channel(QUEUE);
        let (spare, spares) = sync_channel(SPARE);
        let shared = Arc::new(Shared::default());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for ring in &rings {
            // Edge-triggered: unread packets do not wake the thread, only a wake-up by the program. The program wakes the
            // thread when the ring has enough data.
            epoll.add(ring.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))?;
        }
        let mut rings = RingReader { rings, epoll, send, spares, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("packets".into()).spawn(move || rings.run())?;
        Ok(Self { batches, spare, shared, thread: Some(thread) })
    }

    /// The next batch; `None` after the timeout.
    pub(super) fn next(&self, timeout: Duration) -> Option<Batch> {
        self.batches.recv_timeout(timeout).ok()
    }

    /// Lets the thread end after the packets that are in the rings.
    pub(super) fn finish(&mut self) {
        self.shared.last.store(true, Ordering::Release);
    }

    /// After [`Self::finish`]: the next remaining batch; `None` after the last one.
    pub(super) fn next_remaining(&self) -> Option<Batch> {
        self.batches.recv().ok()
    }

    /// Returns the memory of a consumed batch to the thread.
    pub(super) fn recycle(&self, batch: Batch) {
        // A full channel frees the memory.
        drop(self.spare.try_send(batch));
    }

    /// The packets that found the queue full, by interface.
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

/// The result of one pass over the rings.
#[derive(Clone, Copy)]
struct Drained {
    records: usize,
    octets: usize,
}

struct RingReader {
    rings: Vec<Ring>,
    epoll: Epoll,
    send: SyncSender<Batch>,
    spares: Receiver<Batch>,
    shared: Arc<Shared>,
}

impl RingReader {
    fn run(&mut self) {
        loop {
            let is_last = self.shared.last.load(Ordering::Acquire);
            let drained = self.drain(is_last);
            if is_last && drained.records == 0 {
                return;
            }
            if drained.octets < BATCH && !is_last {
                let mut events = [EpollEvent::empty()];
                // An error only shortens the wait.
                let _woken = self.epoll.wait(&mut events, EpollTimeout::from(PAUSE_MS));
            }
        }
    }

    /// Reads the records of all rings that are older than the start of the pass, up to a batch per ring.
    fn drain(&mut self, is_last: bool) -> Drained {
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
            // Each ring has a limit of its own, so that a busy ring does not delay the others.
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
        Drained { records, octets }
    }

    fn send(&self, batch: Batch, is_last: bool) {
        if is_last {
            // No more packets arrive, so that a full queue may block. An error means that the receiver is dropped.
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

/// The monotonic clock and its difference to the real-time clock. The difference changes when the time is set.
fn clocks() -> (u64, u64) {
    // The clocks exist on every Linux, so that the calls cannot fail.
    let read = |clock| clock_gettime(clock).map_or(Duration::ZERO, Duration::from).as_nanos();
    let (monotonic, wall) = (read(ClockId::CLOCK_MONOTONIC), read(ClockId::CLOCK_REALTIME));
    let whole = |ns: u128| u64::try_from(ns).unwrap_or(u64::MAX);
    (whole(monotonic), whole(wall.saturating_sub(monotonic)))
}
