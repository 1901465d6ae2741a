//! Reports that no monitor made, through the callbacks that a monitor calls.

use std::ptr::null_mut;

use super::*;

/// A callback and what comes of it.
pub(in crate::capture) struct Reporter {
    context: Box<Context>,
}

impl Reporter {
    pub(in crate::capture) fn new(most: usize) -> (Self, Packets) {
        let (context, packets) = Context::new(most);
        (Self { context: Box::new(context) }, packets)
    }

    /// Calls back with these octets: the description, then the packet. `beyond` lies outside.
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
        // SAFETY: both live, and the octets are as many as said.
        unsafe { on_packet(context.cast(), &raw const descriptor) };
    }

    /// Tells of something else: a kind, and what comes with it.
    pub(in crate::capture) fn tell(&mut self, kind: u32, sign: u8, reason: u32) {
        let event = StreamEvent { sign, reason };
        let context: *mut Context = &raw mut *self.context;
        // SAFETY: both live.
        unsafe { on_event(context.cast(), &raw const event, kind) };
    }
}

#[test]
fn what_does_not_fit_is_counted_and_nothing_is_no_packet() {
    let (mut reporter, packets) = Reporter::new(2);
    reporter.report(&[], 0, 0);
    reporter.report(&[0; 39], 0, 3);
    reporter.report(&[0; 60], 1, 0);
    for _ in 0..5 {
        reporter.report(&[0; 60], 0, 0);
    }
    let count = |what: &AtomicU64| what.load(Ordering::Relaxed);
    let Packets { queue, losses } = packets;
    assert_eq!(queue.try_iter().filter(|seen| seen.octets.len() == 20).count(), 2);
    assert_eq!((losses.monitor(), count(&losses.unreadable), count(&losses.queue_full)), (3, 2, 3));
    // SAFETY: a callback without a packet, and one without anybody to tell.
    unsafe {
        on_packet((&raw mut *reporter.context).cast(), std::ptr::null());
        on_packet(null_mut(), std::ptr::null());
        on_event(null_mut(), std::ptr::null(), FATAL_ERROR);
    }
}

#[test]
fn a_packet_that_the_monitor_refuses_is_lost_once_however_often_it_is_told() {
    /// `ERROR_INSUFFICIENT_BUFFER`.
    const TOO_LARGE: u32 = 122;
    let (mut reporter, packets) = Reporter::new(9);
    for sign in [1, 1, 0] {
        reporter.tell(PROCESS_INFO, sign, TOO_LARGE);
    }
    assert_eq!(packets.losses.monitor(), 3);
    // It began.
    reporter.tell(0, 0, 0);
    assert_eq!(packets.losses.ended(), None);
    packets.losses.not_read.hear(2);
    assert_eq!(packets.losses.monitor(), 3, "two of the three");
    packets.losses.not_read.hear(5);
    packets.losses.not_written.hear(1);
    assert_eq!(packets.losses.monitor(), 6);
}

#[test]
fn an_end_that_nobody_here_wanted_has_its_cause() {
    /// `ERROR_INVALID_DATA`.
    const DAMAGED: u32 = 13;
    let ended = |kind, sign| {
        let (mut reporter, packets) = Reporter::new(9);
        reporter.tell(kind, sign, DAMAGED);
        // The first cause holds.
        reporter.tell(STOPPED, 0, 0);
        packets.losses.ended().unwrap().to_owned()
    };
    let cause = error(DAMAGED).to_string();
    for (kind, sign) in [(FATAL_ERROR, 1), (FATAL_ERROR, 0), (STOPPED, 1)] {
        assert_eq!(ended(kind, sign), format!("the packet monitor broke off: {cause}"));
    }
    assert_eq!(ended(STOPPED, 0), "the packet monitor's stream was stopped from outside");
}
