//! The loss ledger of a capture.

use pcap_io::{Interface, Missed};

/// Counts of the packets that the filter accepted. `received` equals `captured` plus all losses plus `left_over`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Packets that the filter accepted in the kernel.
    pub received: u64,
    /// Packets that the consumer got.
    pub captured: u64,
    /// Lost: the ring between kernel and user space was full.
    pub ring_full: u64,
    /// Lost: the eBPF program could not read the packet's bytes.
    pub copy_failed: u64,
    /// Lost: the queue to the writer was full, because the disk or the terminal is too slow.
    pub queue_full: u64,
    /// Lost: the writer returned an error.
    pub write_failed: u64,
    /// Not lost: packets in flight when the capture ended.
    pub left_over: u64,
    /// Not packets, and part of no sum: addresses of peer namespaces that found the kernel's map full. Packets to or from
    /// such an address may lack their process.
    pub map_full: u64,
}

impl Ledger {
    /// The number of lost packets, of all causes.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.causes().iter().map(|(_, count)| count).sum()
    }

    /// Each cause of loss with its number of packets.
    #[must_use]
    pub fn causes(&self) -> [(&'static str, u64); 4] {
        [
            ("ring_full", self.ring_full),
            ("copy_failed", self.copy_failed),
            ("queue_full", self.queue_full),
            ("write_failed", self.write_failed),
        ]
    }

    /// Each cause with its number of packets, a line each. Empty if nothing was lost.
    #[must_use]
    pub fn loss_comment(&self) -> String {
        if self.dropped() == 0 {
            return String::new();
        }
        self.causes().map(|(cause, count)| format!("{cause}: {count}")).join("\n")
    }

    /// The losses that no interface has in its own count.
    #[must_use]
    pub fn without_interface(&self, interfaces: &[Interface]) -> Missed {
        let sum =
            |of: fn(Missed) -> u64| interfaces.iter().map(|interface| of(interface.missed)).sum::<u64>();
        Missed {
            lost: self.dropped().saturating_sub(sum(|missed| missed.lost)),
            left_over: self.left_over.saturating_sub(sum(|missed| missed.left_over)),
        }
    }
}
