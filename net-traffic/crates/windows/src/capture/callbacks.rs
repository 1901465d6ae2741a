//! What the packet monitor calls back with: packets into a queue with an end, and what became of those that are not.

#[cfg(test)]
pub(super) mod by_hand;

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use super::api::{Descriptor, FATAL_ERROR, PROCESS_INFO, STOPPED, StreamEvent};
use crate::events::pktmon::{Metadata, Missed, Parts, decode};
use crate::{error, host};
use pcap_io::Packet;

/// A packet that passed, and what was said of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) metadata: Metadata,
    pub(super) octets: Vec<u8>,
}

impl Seen {
    /// As the rest of the program has it, of this interface.
    pub(super) fn packet(&self, interface: usize) -> Packet<'_> {
        Packet {
            time_ns: u64::try_from(host::unix_ns(self.metadata.time)).unwrap_or_default(),
            interface,
            direction: self.metadata.direction,
            length: self.metadata.length,
            data: &self.octets,
            segments: None,
            checksum: None,
            process: None,
            lost_before: 0,
        }
    }
}

/// Packets that were lost before anybody could look at them.
#[derive(Debug, Default)]
pub(super) struct Losses {
    not_written: Missed,
    not_read: Missed,
    /// Packets that its buffer is too small for, or that it failed to read otherwise.
    refused: AtomicU64,
    pub(super) queue_full: AtomicU64,
    pub(super) unreadable: AtomicU64,
    /// Why it will hand over nothing more.
    ended: OnceLock<String>,
}

impl Losses {
    /// What the monitor itself lost. It is not said whether a packet that it refused is also one that was not read.
    pub(super) fn monitor(&self) -> u64 {
        let refused = self.refused.load(Ordering::Relaxed);
        self.not_written.count().saturating_add(self.not_read.count().max(refused))
    }

    /// What the monitor refused, in words.
    pub(super) fn remark(&self) -> Option<String> {
        let refused = self.refused.load(Ordering::Relaxed);
        let words = "packets were refused by the packet monitor, such as those too long for it (ring_full)";
        (refused > 0).then(|| format!("{refused} {words}"))
    }

    /// Why nothing more will come, if that is so.
    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }
}

/// What comes of a session.
#[derive(Debug)]
pub(super) struct Packets {
    pub(super) queue: Receiver<Seen>,
    pub(super) losses: Arc<Losses>,
}

pub(super) struct Context {
    queue: SyncSender<Seen>,
    losses: Arc<Losses>,
}

impl Context {
    pub(super) fn new(most: usize) -> (Self, Packets) {
        let (sender, queue) = sync_channel(most);
        let losses = Arc::new(Losses::default());
        (Self { queue: sender, losses: Arc::clone(&losses) }, Packets { queue, losses })
    }
}

/// On a thread of the monitor. Neither waits nor panics.
pub(super) unsafe extern "system" fn on_packet(context: *mut c_void, packet: *const Descriptor) {
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

/// On a thread of the monitor. Neither waits nor panics.
pub(super) unsafe extern "system" fn on_event(context: *mut c_void, event: *const StreamEvent, kind: u32) {
    // SAFETY: the context lives until the stream is closed, and nobody changes it.
    let Some(Context { losses, .. }) = (unsafe { context.cast::<Context>().as_ref() }) else { return };
    // SAFETY: the monitor keeps it while it calls; only what comes with these kinds is of this type.
    let said = || unsafe { event.as_ref() };
    match kind {
        PROCESS_INFO => _ = losses.refused.fetch_add(1, Ordering::Relaxed),
        STOPPED if said().is_none_or(|event| event.sign == 0) => {
            losses.ended.get_or_init(|| "the packet monitor's stream was stopped from outside".to_owned());
        }
        STOPPED | FATAL_ERROR => {
            let cause =
                said().map_or_else(|| "no reason given".to_owned(), |event| error(event.reason).to_string());
            losses.ended.get_or_init(|| format!("the packet monitor broke off: {cause}"));
        }
        _ => {}
    }
}
