//! The counters of a socket where the programs keep them: a map value that several CPUs use at once.

use core::ptr::NonNull;

use net_traffic_common::{KERNEL_COUNTS, ProcessKey, SocketCounters, TX_FINAL, UNOWNED};

use super::{add, process, replace, tcp, update};
use crate::kernel::{Task, TcpSk, Typed, current_pid};

/// A socket's counters: a map value, which stays allocated while the program runs. The kernel frees socket storage
/// [after an RCU grace period][rcu], and never the entries of a preallocated hash.
///
/// Programs on several CPUs use the counters of one socket at once. The owner, the sums and the posted parts change by
/// atomic operations. All other members change under the socket's lock, or to the same values on each CPU.
///
/// [rcu]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/bpf_local_storage.c#L199-L207
#[derive(Clone, Copy)]
pub(crate) struct Counters(NonNull<SocketCounters>);

impl Counters {
    /// # Safety
    /// `value` is a live value of one of the maps of socket counters.
    #[inline(always)]
    pub(crate) unsafe fn new(value: NonNull<SocketCounters>) -> Self {
        Self(value)
    }

    #[inline(always)]
    pub(crate) fn members(&mut self) -> &mut SocketCounters {
        // SAFETY: the type's invariant.
        unsafe { self.0.as_mut() }
    }

    #[inline(always)]
    pub(crate) fn owner(self) -> ProcessKey {
        // SAFETY: the type's invariant.
        unsafe { (*self.0.as_ptr()).owner }
    }

    #[inline(always)]
    pub(crate) fn flags(self) -> u32 {
        // SAFETY: the type's invariant.
        unsafe { (*self.0.as_ptr()).flags }
    }

    /// Whether the current process owns the socket (the common case).
    ///
    /// Only the PID is compared: a socket does not outlive its owner long enough for a process with the same PID to
    /// get that very socket.
    #[inline(always)]
    pub(crate) fn is_of_current(self) -> bool {
        self.owner().pid() == current_pid()
    }

    /// Whether the TCP stack counts the socket's bytes, so that a call of the owner needs no update.
    #[inline(always)]
    pub(crate) fn is_counted_by_kernel(self) -> bool {
        self.flags() & KERNEL_COUNTS != 0
    }

    /// Counts bytes that the current process received and sent by a call.
    #[inline(always)]
    pub(crate) fn count(self, rx: u64, tx: u64) {
        if !self.is_counted_by_kernel() {
            self.add(rx, tx);
        }
        if !self.has_current_as_owner() {
            self.post_to_caller(rx, tx);
        }
    }

    /// Adds to the sums of a socket whose bytes the stack does not count.
    #[inline(always)]
    pub(crate) fn add(self, rx: u64, tx: u64) {
        let value = self.0.as_ptr();
        // SAFETY: the type's invariant.
        let (rx_bytes, tx_bytes) = unsafe { (&raw mut (*value).rx_bytes, &raw mut (*value).tx_bytes) };
        add(rx_bytes, rx);
        add(tx_bytes, tx);
    }

    /// Whether the current process owns the socket; it becomes the owner of a socket without one.
    #[inline(always)]
    pub(crate) fn has_current_as_owner(self) -> bool {
        self.is_of_current() || self.set_owner_to_current()
    }

    /// A function of its own, so that the code of each call fits into a few cache lines.
    #[inline(never)]
    fn set_owner_to_current(self) -> bool {
        self.owner() == UNOWNED && self.set_owner(process::current())
    }

    /// Makes `process` the owner of a socket that has none; false if another CPU set one first.
    #[inline(always)]
    pub(crate) fn set_owner(self, process: ProcessKey) -> bool {
        // SAFETY: the type's invariant; the key is one u64.
        let owner: *mut u64 = unsafe { (&raw mut (*self.0.as_ptr()).owner).cast() };
        replace(owner, UNOWNED.0, process.0)
    }

    /// Posts bytes to the row of the current process, which is not the owner, and subtracts them from the owner's
    /// part.
    #[inline(never)]
    pub(crate) fn post_to_caller(self, rx: u64, tx: u64) {
        // Kernel threads read ahead for the owner. TLS, for one, reads records in a worker:
        // <https://github.com/gregkh/linux/blob/v6.12.117/net/tls/tls_strp.c#L580>.
        if Task::current().is_kernel_thread() && self.owner() != UNOWNED {
            return;
        }
        let (rx_posted, tx_posted) = self.posted();
        add(rx_posted, rx);
        add(tx_posted, tx);
        process::post(process::current(), rx, tx);
    }

    /// Posts the owner's bytes that are in no row yet. While the owner is unknown, this waits until the socket is
    /// destroyed (`is_last`): a walk over descriptors may still find an owner. `rx` and `tx` are the socket's totals.
    #[inline(always)]
    pub(crate) fn flush_owner_bytes(self, rx: u64, tx: u64, is_last: bool) {
        if self.owner() == UNOWNED && !is_last {
            return;
        }
        let (rx_posted, tx_posted) = self.posted();
        let rx = take_unposted(rx_posted, rx);
        let tx = take_unposted(tx_posted, tx);
        process::post(self.owner(), rx, tx);
    }

    #[inline(always)]
    fn posted(self) -> (*mut u64, *mut u64) {
        let value = self.0.as_ptr();
        // SAFETY: the type's invariant.
        unsafe { (&raw mut (*value).rx_posted, &raw mut (*value).tx_posted) }
    }

    /// Fixes the sent bytes of a connection whose application side is closed.
    #[inline(always)]
    pub(crate) fn finish_tx(&mut self, tp: TcpSk<Typed>) {
        let counters = self.members();
        if counters.flags & TX_FINAL == 0 {
            counters.tx_bytes = tcp::totals(tp, counters).1;
            counters.flags |= TX_FINAL;
        }
    }
}

/// Atomically raises `posted` to `total` and returns the bytes that this CPU must post: 0 if another CPU raised it
/// first, if `posted` is ahead of TCP's counters because another process's bytes were posted, or if the loss was
/// counted.
#[inline(always)]
fn take_unposted(posted: *mut u64, total: u64) -> u64 {
    update(posted, |old| if old < total { (Some(total), total - old) } else { (None, 0) }).unwrap_or(0)
}
