//! Reports that no monitor made, through the callback that a monitor calls.

use super::*;

/// A callback and what comes of it.
pub(in crate::source::windows::capture) struct Reporter {
    context: Box<Context>,
}

impl Reporter {
    pub(in crate::source::windows::capture) fn new(most: usize) -> (Self, Packets) {
        let (context, packets) = Context::new(most);
        (Self { context: Box::new(context) }, packets)
    }

    /// Calls back with these octets: the description, then the packet. `beyond` lies outside.
    pub(in crate::source::windows::capture) fn report(&mut self, octets: &[u8], beyond: u32, missed: u32) {
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
        unsafe { take(context.cast(), &raw const descriptor) };
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
        take((&raw mut *reporter.context).cast(), std::ptr::null());
        take(null_mut(), std::ptr::null());
    }
}
