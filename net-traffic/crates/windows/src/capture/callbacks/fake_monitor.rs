//! Calls the callbacks with hand-made reports.

use std::ptr::null_mut;

use super::*;

/// A fake monitor.
pub(in crate::capture) struct FakeMonitor {
    context: Box<Context>,
}

impl FakeMonitor {
    pub(in crate::capture) fn new(capacity: usize) -> (Self, PacketQueue) {
        let (context, packets) = Context::new(capacity);
        (Self { context: Box::new(context) }, packets)
    }

    /// Reports a packet: the metadata, then the packet, whose length exceeds the data by `beyond`.
    pub(in crate::capture) fn report(&mut self, octets: &[u8], beyond: u32, missed: u32) {
        const METADATA: u32 = 40;
        let size = u32::try_from(octets.len()).unwrap();
        let descriptor = Descriptor {
            data: if octets.is_empty() { std::ptr::null() } else { octets.as_ptr() },
            data_size: size,
            metadata_offset: 0,
            packet_offset: METADATA,
            packet_length: size.saturating_sub(METADATA) + beyond,
            missed_writes: missed,
            missed_reads: 0,
        };
        let context: *mut Context = &raw mut *self.context;
        // SAFETY: both pointers are valid, and `data` has `data_size` octets.
        unsafe { on_packet(context.cast(), &raw const descriptor) };
    }

    /// Emits a stream event.
    pub(in crate::capture) fn emit(&mut self, kind: u32, flag: u8, reason: u32) {
        let event = StreamEvent { flag, reason };
        let context: *mut Context = &raw mut *self.context;
        // SAFETY: both pointers are valid.
        unsafe { on_event(context.cast(), &raw const event, kind) };
    }
}

#[test]
fn unreadable_and_excess_packets_are_counted() {
    let (mut monitor, packets) = FakeMonitor::new(2);
    monitor.report(&[], 0, 0);
    monitor.report(&[0; 39], 0, 3);
    monitor.report(&[0; 60], 1, 0);
    for _ in 0..5 {
        monitor.report(&[0; 60], 0, 0);
    }
    let count = |what: &AtomicU64| what.load(Ordering::Relaxed);
    let PacketQueue { queue, losses } = packets;
    assert_eq!(queue.try_iter().filter(|packet| packet.octets.len() == 20).count(), 2);
    assert_eq!((losses.monitor(), count(&losses.unreadable), count(&losses.queue_full)), (3, 2, 3));
    // SAFETY: both callbacks accept null pointers.
    unsafe {
        on_packet((&raw mut *monitor.context).cast(), std::ptr::null());
        on_packet(null_mut(), std::ptr::null());
        on_event(null_mut(), std::ptr::null(), FATAL_ERROR);
    }
}

#[test]
fn rejected_packet_is_not_counted_twice() {
    /// `ERROR_INSUFFICIENT_BUFFER`.
    const TOO_LARGE: u32 = 122;
    let (mut monitor, packets) = FakeMonitor::new(9);
    for flag in [1, 1, 0] {
        monitor.emit(PROCESS_INFO, flag, TOO_LARGE);
    }
    assert_eq!(packets.losses.monitor(), 3);
    // Kind 0: the stream has started.
    monitor.emit(0, 0, 0);
    assert_eq!(packets.losses.ended(), None);
    packets.losses.not_read.update(2);
    assert_eq!(packets.losses.monitor(), 3, "not read: two of the three");
    packets.losses.not_read.update(5);
    packets.losses.not_written.update(1);
    assert_eq!(packets.losses.monitor(), 6);
}

#[test]
fn unexpected_end_has_a_cause() {
    /// `ERROR_INVALID_DATA`.
    const DAMAGED: u32 = 13;
    let ended = |kind, flag| {
        let (mut monitor, packets) = FakeMonitor::new(9);
        monitor.emit(kind, flag, DAMAGED);
        // A later event does not change the cause.
        monitor.emit(STOPPED, 0, 0);
        packets.losses.ended().unwrap().to_owned()
    };
    let cause = error(DAMAGED).to_string();
    for (kind, flag) in [(FATAL_ERROR, 1), (FATAL_ERROR, 0), (STOPPED, 1)] {
        assert_eq!(ended(kind, flag), format!("the packet monitor broke off: {cause}"));
    }
    assert_eq!(ended(STOPPED, 0), "the packet monitor's stream was stopped from outside");
}
