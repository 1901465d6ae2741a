//! A thread that reads the ring buffer of closed sockets, so that a long interval between two snapshots loses none.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use aya::maps::{MapData, RingBuf};
use net_traffic_common::SocketRecord;
use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{pipe2, write},
};

use super::records;

/// The most records that wait for the next snapshot: 10 MB.
const QUEUE: usize = 65_536;

/// The closed sockets since the last snapshot.
pub(super) struct ClosedSockets {
    queue: Arc<Queue>,
    /// A byte makes the thread read the ring now. Closing the pipe stops the thread.
    wake: Option<OwnedFd>,
    /// One message for each such read.
    emptied: Receiver<()>,
    reader: Option<JoinHandle<()>>,
}

impl ClosedSockets {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the kernel refuses the pipe or the thread.
    pub(super) fn start(ring: RingBuf<MapData>) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (done, emptied) = sync_channel(1);
        // Not for child processes: the thread ends when the last descriptor is closed.
        let (wait, wake) = pipe2(OFlag::O_CLOEXEC)?;
        let mut reader = Reader { ring, wait, queue: Arc::clone(&queue), done };
        let reader = std::thread::Builder::new()
            .name("closed-sockets".into())
            .spawn(move || while reader.turn().is_some() {})?;
        Ok(Self { queue, wake: Some(wake), emptied, reader: Some(reader) })
    }

    /// The records of all sockets that were destroyed before this call.
    pub(super) fn take(&self) -> Vec<SocketRecord> {
        if let Some(wake) = &self.wake
            && write(wake, b"!").is_ok()
        {
            // The thread is gone only while the process ends.
            let _emptied = self.emptied.recv();
        }
        std::mem::take(&mut *self.queue.lock())
    }

    /// The number of records that found the queue full.
    pub(super) fn refused(&self) -> u64 {
        self.queue.refused.load(Ordering::Relaxed)
    }
}

impl Drop for ClosedSockets {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(reader) = self.reader.take() {
            let _ended = reader.join();
        }
    }
}

/// The records between the thread and the collector.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<SocketRecord>>,
    refused: AtomicU64,
}

impl Queue {
    /// A thread that panics with the lock leaves whole records.
    fn lock(&self) -> MutexGuard<'_, Vec<SocketRecord>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reader {
    ring: RingBuf<MapData>,
    wait: OwnedFd,
    queue: Arc<Queue>,
    done: SyncSender<()>,
}

impl Reader {
    /// Waits for records or a request, and reads the ring. `None`: the collector is gone.
    fn turn(&mut self) -> Option<()> {
        // SAFETY: the ring lives as long as `self`, and its descriptor with it.
        let ring = unsafe { std::os::fd::BorrowedFd::borrow_raw(self.ring.as_raw_fd()) };
        let mut ready =
            [PollFd::new(ring, PollFlags::POLLIN), PollFd::new(self.wait.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return None,
        }
        let asked = ready[1].revents().is_some_and(|events| !events.is_empty());
        self.empty();
        if asked {
            let mut request = [0];
            if nix::unistd::read(&self.wait, &mut request).ok()? == 0 {
                return None;
            }
            self.done.send(()).ok()?;
        }
        Some(())
    }

    fn empty(&mut self) {
        while let Some(item) = self.ring.next() {
            let Some(record) = records::read_record(&item) else { continue };
            let mut waiting = self.queue.lock();
            if waiting.len() < QUEUE {
                waiting.push(record);
            } else {
                self.queue.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
