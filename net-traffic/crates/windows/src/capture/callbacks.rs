//! The callbacks of the packet monitor: queue packets in a bounded queue, and count losses.

#[cfg(test)]
pub(super) mod fake_monitor;

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use super::api::{Descriptor, FATAL_ERROR, PROCESS_INFO, STOPPED, StreamEvent};
use crate::error;
use crate::events::pktmon::{Metadata, MissedCounter, RawReport, decode};
use crate::platform::host;
use pcap_io::Packet;

/// A reported packet with its metadata.
#[derive(Debug)]
pub(super) struct ReportedPacket {
    pub(super) metadata: Metadata,
    pub(super) octets: Vec<u8>,
}

impl ReportedPacket {
    /// The packet for the capture's consumer.
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

/// Packets that were lost before the filter.
#[derive(Debug, Default)]
pub(super) struct Losses {
    not_written: MissedCounter,
    not_read: MissedCounter,
    /// Packets that exceed the monitor's buffer, or that it failed to read.
    rejected: AtomicU64,
    pub(super) queue_full: AtomicU64,
    pub(super) unreadable: AtomicU64,
    /// Why the stream has ended.
    ended: OnceLock<String>,
}

impl Losses {
    /// The packets that the monitor lost. The documentation leaves open whether a rejected packet also counts as not read,
    /// so that the larger number is used.
    pub(super) fn monitor(&self) -> u64 {
        let rejected = self.rejected.load(Ordering::Relaxed);
        self.not_written.count().saturating_add(self.not_read.count().max(rejected))
    }

    /// A remark about rejected packets.
    pub(super) fn remark(&self) -> Option<String> {
        let rejected = self.rejected.load(Ordering::Relaxed);
        let words = "packets were refused by the packet monitor, such as those too long for it (ring_full)";
        (rejected > 0).then(|| format!("{rejected} {words}"))
    }

    /// Why the stream has ended; `None` while it runs.
    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }
}

/// The output of a session.
#[derive(Debug)]
pub(super) struct PacketQueue {
    pub(super) queue: Receiver<ReportedPacket>,
    pub(super) losses: Arc<Losses>,
}

pub(super) struct Context {
    queue: SyncSender<ReportedPacket>,
    losses: Arc<Losses>,
}

impl Context {
    pub(super) fn new(capacity: usize) -> (Self, PacketQueue) {
        let (sender, queue) = sync_channel(capacity);
        let losses = Arc::new(Losses::default());
        (Self { queue: sender, losses: Arc::clone(&losses) }, PacketQueue { queue, losses })
    }
}

/// Runs on a thread of the monitor. Must not block or panic.
pub(super) unsafe extern "system" fn on_packet(context: *mut c_void, packet: *const Descriptor) {
    // SAFETY: the context lives until the stream is closed, and is never borrowed mutably.
    let Some(context) = (unsafe { context.cast::<Context>().as_ref() }) else { return };
    // SAFETY: the descriptor is valid during the callback.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return };
    let count = |what: &AtomicU64| what.fetch_add(1, Ordering::Relaxed);
    context.losses.not_written.update(packet.missed_writes);
    context.losses.not_read.update(packet.missed_reads);
    if packet.data.is_null() {
        return;
    }
    // SAFETY: `data` has `data_size` octets, which stay valid during the callback.
    let data = unsafe { std::slice::from_raw_parts(packet.data, packet.data_size as usize) };
    let report = RawReport {
        data,
        metadata_offset: packet.metadata_offset as usize,
        packet_offset: packet.packet_offset as usize,
        packet_length: packet.packet_length as usize,
    };
    let Some((metadata, octets)) = decode(&report) else {
        count(&context.losses.unreadable);
        return;
    };
    let packet = ReportedPacket { metadata, octets: octets.to_vec() };
    if let Err(TrySendError::Full(_)) = context.queue.try_send(packet) {
        count(&context.losses.queue_full);
    }
}

/// Runs on a thread of the monitor. Must not block or panic.
pub(super) unsafe extern "system" fn on_event(context: *mut c_void, event: *const StreamEvent, kind: u32) {
    // SAFETY: the context lives until the stream is closed, and is never borrowed mutably.
    let Some(Context { losses, .. }) = (unsafe { context.cast::<Context>().as_ref() }) else { return };
    // SAFETY: the event is valid during the callback; it is read only for kinds that have this type.
    let data = || unsafe { event.as_ref() };
    match kind {
        PROCESS_INFO => _ = losses.rejected.fetch_add(1, Ordering::Relaxed),
        STOPPED if data().is_none_or(|event| event.flag == 0) => {
            losses.ended.get_or_init(|| "the packet monitor's stream was stopped from outside".to_owned());
        }
        STOPPED | FATAL_ERROR => {
            let cause =
                data().map_or_else(|| "no reason given".to_owned(), |event| error(event.reason).to_string());
            losses.ended.get_or_init(|| format!("the packet monitor broke off: {cause}"));
        }
        _ => {}
    }
}
