//! A session of the packet monitor: what passes the network adapters comes through a queue with an end.

#[cfg(test)]
pub(super) mod by_hand;

use std::ffi::c_void;
use std::io;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::api::{ADAPTERS, Api, DataSource, Descriptor, Object, Outcome, StreamConfiguration, VERSION};
use crate::source::etw::pktmon::{MOST, Metadata, Missed, Parts, decode};
use crate::source::windows::{narrow, wide};

/// Packets that may wait for the writer.
const QUEUE: usize = 1 << 14;
/// The monitor's own buffer, in units of 256 KiB; it takes no more than ten.
const BUFFERS: u16 = 10;

/// A packet that passed, and what was said of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) metadata: Metadata,
    pub(super) octets: Vec<u8>,
}

/// Packets that were lost before anybody could look at them.
#[derive(Debug, Default)]
pub(super) struct Losses {
    not_written: Missed,
    not_read: Missed,
    pub(super) queue_full: AtomicU64,
    pub(super) unreadable: AtomicU64,
}

impl Losses {
    /// What the monitor itself lost.
    pub(super) fn monitor(&self) -> u64 {
        self.not_written.count().saturating_add(self.not_read.count())
    }
}

/// A network adapter that the monitor knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Adapter {
    /// What packets name as their component: one of these.
    pub(super) components: Vec<u16>,
    pub(super) description: String,
    pub(super) hardware: [u8; 6],
    pub(super) place: usize,
}

/// The monitor, before anything is captured.
pub(super) struct Monitor {
    api: Api,
    handle: Object,
    /// The list as the system filled it in; the session wants its entries where they are.
    list: Vec<u64>,
}

/// A running session. What it has is closed in the order in which it depends on each other.
pub(super) struct Session {
    monitor: Monitor,
    object: Object,
    stream: Object,
    /// What the callback is given: it lives until the stream is closed.
    context: *mut Context,
}

/// What comes of a session.
#[derive(Debug)]
pub(super) struct Packets {
    pub(super) queue: Receiver<Seen>,
    pub(super) losses: Arc<Losses>,
}

struct Context {
    queue: SyncSender<Seen>,
    losses: Arc<Losses>,
}

impl Context {
    fn new(most: usize) -> (Self, Packets) {
        let (sender, queue) = sync_channel(most);
        let losses = Arc::new(Losses::default());
        (Self { queue: sender, losses: Arc::clone(&losses) }, Packets { queue, losses })
    }
}

impl Monitor {
    /// Finds the library and the adapters.
    pub(super) fn open() -> io::Result<Self> {
        let api = Api::load()?;
        let mut handle = null_mut();
        // SAFETY: the handle is writable.
        done("start the monitor", unsafe { (api.initialize)(VERSION, null_mut(), &raw mut handle) })?;
        let mut monitor = Self { api, handle, list: Vec::new() };
        monitor.list = monitor.enumerate()?;
        Ok(monitor)
    }

    /// The network adapters that can be listened to.
    pub(super) fn adapters(&self) -> Vec<Adapter> {
        let adapter = |(place, source): (usize, DataSource)| Adapter {
            components: [source.id, source.secondary_id]
                .into_iter()
                .filter(|id| *id != 0)
                .filter_map(|id| u16::try_from(id).ok())
                .collect(),
            description: narrow(&source.description),
            hardware: *source.detail.first_chunk().unwrap_or(&[0; 6]),
            place,
        };
        self.sources().into_iter().map(adapter).collect()
    }

    /// Begins to hand over what passes these adapters.
    pub(super) fn start(self, adapters: &[Adapter]) -> io::Result<(Session, Packets)> {
        let (context, packets) = Context::new(QUEUE);
        let context = Box::into_raw(Box::new(context));
        let mut it = Session { monitor: self, object: null_mut(), stream: null_mut(), context };
        let name = wide("net-traffic");
        let api = &it.monitor.api;
        // SAFETY: the name has an end; the session is writable.
        let made = unsafe { (api.create_session)(it.monitor.handle, name.as_ptr(), &raw mut it.object) };
        done("make a session", made)?;
        let places = it.monitor.pointers();
        for source in adapters.iter().filter_map(|adapter| places.get(adapter.place)) {
            // SAFETY: the session is open; the source lies in the list, which lives as long.
            done("listen to an adapter", unsafe { (api.add_source)(it.object, *source) })?;
        }
        let configuration = StreamConfiguration {
            context: context.cast(),
            on_event: None,
            on_packet: Some(take),
            buffer_multiplier: BUFFERS,
            truncation: u16::try_from(MOST).unwrap_or(u16::MAX),
        };
        // SAFETY: the configuration is read only; the stream is writable.
        let made =
            unsafe { (api.create_stream)(it.monitor.handle, &raw const configuration, &raw mut it.stream) };
        done("make a stream", made)?;
        // SAFETY: both are open.
        done("attach the stream", unsafe { (api.attach)(it.object, it.stream) })?;
        // SAFETY: the session is open.
        done("start the session", unsafe { (api.set_active)(it.object, 1) })?;
        Ok((it, packets))
    }

    /// Asks with a buffer that grows until the list fits.
    fn enumerate(&self) -> io::Result<Vec<u64>> {
        const TRIALS: u32 = 8;
        let mut list: Vec<u64> = Vec::new();
        for _ in 0..TRIALS {
            let mut needed = 0;
            let size = size_of_val(list.as_slice());
            // SAFETY: the buffer has so many octets; what it takes is writable.
            let outcome = unsafe {
                (self.api.enumerate)(
                    self.handle,
                    ADAPTERS,
                    0,
                    size,
                    &raw mut needed,
                    list.as_mut_ptr().cast(),
                )
            };
            if outcome >= 0 && needed <= size {
                return Ok(list);
            }
            if needed <= size {
                done("list the adapters", outcome)?;
            }
            list = vec![0; needed.div_ceil(size_of::<u64>())];
        }
        Err(io::Error::other("the list of adapters grows"))
    }

    /// The list's entries where they are: their number, then a pointer to each.
    fn pointers(&self) -> Vec<*const DataSource> {
        let count = self.list.first().copied().unwrap_or(0) & u64::from(u32::MAX);
        let begin = self.list.as_ptr().addr();
        let end = begin + size_of_val(self.list.as_slice());
        let listed = self.list.iter().skip(1).take(usize::try_from(count).unwrap_or(0));
        let inside = |at: usize| at >= begin && at.saturating_add(size_of::<DataSource>()) <= end;
        let places = listed.filter_map(|at| usize::try_from(*at).ok()).filter(|at| inside(*at));
        places.map(|at| self.list.as_ptr().with_addr(at).cast()).collect()
    }

    fn sources(&self) -> Vec<(usize, DataSource)> {
        let places = self.pointers();
        // SAFETY: it lies within the list as a whole, and any octets are one.
        let read = |source: *const DataSource| unsafe { source.read_unaligned() };
        places.into_iter().map(read).enumerate().collect()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // SAFETY: it was initialized, and what depended on it is closed.
        unsafe { (self.api.uninitialize)(self.handle) };
    }
}

impl Session {
    /// No more packets come.
    pub(super) fn stop(&mut self) {
        let api = &self.monitor.api;
        if !self.object.is_null() {
            // SAFETY: the session is open. If it cannot be stopped, it is when it is closed.
            unsafe { (api.set_active)(self.object, 0) };
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
        let api = &self.monitor.api;
        if !self.stream.is_null() {
            // SAFETY: it is open; afterwards the callback is not called any more.
            unsafe { (api.close_stream)(self.stream) };
        }
        if !self.object.is_null() {
            // SAFETY: it is open.
            unsafe { (api.close_session)(self.object) };
        }
        // SAFETY: it was made by a box, and nobody uses it any more.
        drop(unsafe { Box::from_raw(self.context) });
    }
}

/// On a thread of the monitor. Neither waits nor panics.
unsafe extern "system" fn take(context: *mut c_void, packet: *const Descriptor) {
    // SAFETY: the context lives until the stream is closed, and nobody changes it.
    let Some(context) = (unsafe { context.cast::<Context>().as_ref() }) else { return };
    // SAFETY: the monitor keeps it while it calls.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return };
    let count = |what: &AtomicU64| what.fetch_add(1, Ordering::Relaxed);
    context.losses.not_written.hear(packet.missed_writes);
    context.losses.not_read.hear(packet.missed_reads);
    if packet.data.is_null() {
        return;
    }
    // SAFETY: the monitor says how many octets there are, and keeps them while it calls.
    let data = unsafe { std::slice::from_raw_parts(packet.data, packet.data_size as usize) };
    let parts = Parts {
        data,
        metadata_offset: packet.metadata_offset as usize,
        packet_offset: packet.packet_offset as usize,
        packet_length: packet.packet_length as usize,
    };
    let Some((metadata, octets)) = decode(&parts) else {
        count(&context.losses.unreadable);
        return;
    };
    let seen = Seen { metadata, octets: octets.to_vec() };
    if let Err(TrySendError::Full(_)) = context.queue.try_send(seen) {
        count(&context.losses.queue_full);
    }
}

fn done(attempt: &str, outcome: Outcome) -> io::Result<()> {
    if outcome >= 0 {
        return Ok(());
    }
    let cause = io::Error::from_raw_os_error(outcome);
    Err(io::Error::new(cause.kind(), format!("failed to {attempt}: {cause}")))
}
