//! A socket's counters: how they begin, who owns them, and how its bytes reach the rows of processes.
//!
//! A process that is not the owner has its bytes posted to its row at once. What the owner moved is the rest,
//! posted when the counters are settled (by the reader, and at the end), so that its calls cost no second map.

use core::{ffi::c_void, ptr};

use net_traffic_common::{
    FAMILY_INET, FAMILY_INET6, KERNEL_COUNTS, PROTOCOL_TCP, ProcessKey, SocketCounters, TX_FINAL, UNOWNED,
};

use super::{add, process, record, replace, storage, tcp, update};
use crate::kernel::{Memory, Typed, current_pid, is_kernel_thread, offset};

/// Whether the accounting is about this socket: of the internet families, and not a path of an MPTCP connection,
/// whose bytes belong to the connection's own socket.
///
/// # Safety
/// `sk` points to a `struct sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn is_ours<M: Memory>(sk: *const c_void) -> bool {
    // SAFETY: as the caller promises.
    unsafe { matches!(M::read(sk, offset!(skc_family)), FAMILY_INET | FAMILY_INET6) }
}

/// The counters of a socket that a hook met; they begin now if it has none.
///
/// A TCP socket that nobody announced has moved all its bytes under our eyes, or none yet: whatever was open
/// when we came has had its counters since.
///
/// `None`: the accounting is not about this socket, or it was counted as a loss.
///
/// # Safety
/// `sk` points to a `struct sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn met<M: Memory>(sk: *const c_void) -> Option<*mut SocketCounters> {
    // SAFETY: as the caller promises.
    storage::of_tier::<M>(sk).or_else(|| unsafe {
        let counters = first_met::<M>(sk);
        if counters.is_null() { None } else { Some(counters) }
    })
}

/// Whether the current process owns the socket. So it is with nearly all calls.
///
/// Only the PID is compared: a socket does not outlive its owner long enough for the PID to come round again
/// and be handed that very socket.
///
/// # Safety
/// `counters` is a live map value.
#[inline(always)]
pub(crate) unsafe fn is_of_current(counters: *const SocketCounters) -> bool {
    // SAFETY: as the caller promises.
    unsafe { (*counters).owner.pid() == current_pid() }
}

/// Whether the stack counts the socket's bytes, so that a call of the owner needs nothing done.
///
/// # Safety
/// `counters` is a live map value.
#[inline(always)]
pub(crate) unsafe fn is_counted_by_kernel(counters: *const SocketCounters) -> bool {
    // SAFETY: as the caller promises.
    unsafe { (*counters).flags & KERNEL_COUNTS != 0 }
}

/// The counters of a socket that has none yet, as [`met`] gives them; null instead of `None`. A function of its own, so
/// that what runs for each call fits into a few lines of the processor's cache.
///
/// # Safety
/// As for [`met`].
#[inline(never)]
pub(crate) unsafe fn first_met<M: Memory>(sk: *const c_void) -> *mut SocketCounters {
    let mut initial = SocketCounters::default();
    // SAFETY: as the caller promises.
    unsafe {
        if !is_ours::<M>(sk) || !begin::<M>(sk, &mut initial) {
            return ptr::null_mut();
        }
        let tp = M::tcp(sk);
        if !tp.is_null() {
            let (rx, tx) = tcp::lifetime::<M>(tp);
            tcp::rebase::<M>(tp, &mut initial, rx, tx);
        }
    }
    storage::get_or_insert::<M>(sk, &initial).unwrap_or(ptr::null_mut())
}

/// Fills in what a socket is; false if it is a path of an MPTCP connection.
///
/// # Safety
/// `sk` points to a `struct sock` of the internet families that `M` can read.
#[inline(always)]
pub(crate) unsafe fn begin<M: Memory>(sk: *const c_void, counters: &mut SocketCounters) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        counters.protocol = M::read(sk, offset!(sk_protocol));
        if counters.protocol == PROTOCOL_TCP {
            let tp = M::tcp(sk);
            if tp.is_null() || is_subflow::<M>(tp) {
                return false;
            }
            counters.flags = KERNEL_COUNTS;
        }
        counters.cookie = M::cookie(sk);
        record::read_tuple::<M>(sk, counters);
    }
    true
}

/// # Safety
/// `tp` points to a `struct tcp_sock` that `M` can read.
#[inline(always)]
unsafe fn is_subflow<M: Memory>(tp: *const c_void) -> bool {
    let member = offset!(is_mptcp);
    // SAFETY: as the caller promises.
    member != u32::MAX && unsafe { M::read::<u8>(tp, member) & 1 != 0 }
}

/// The current process moved bytes on the socket by a call that told how many.
///
/// # Safety
/// `counters` is a live map value.
#[inline(always)]
pub(crate) unsafe fn moved(counters: *mut SocketCounters, rx: u64, tx: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        if !is_counted_by_kernel(counters) {
            moved_by_owner(counters, rx, tx);
        }
        if !is_owner(counters) {
            post_to_guest(counters, rx, tx);
        }
    }
}

/// The same by the socket's owner, where the stack does not count.
///
/// # Safety
/// `counters` is a live map value.
#[inline(always)]
pub(crate) unsafe fn moved_by_owner(counters: *mut SocketCounters, rx: u64, tx: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        add(&raw mut (*counters).rx_bytes, rx);
        add(&raw mut (*counters).tx_bytes, tx);
    }
}

/// Whether the current process owns the socket; it becomes the owner if nobody is.
///
/// # Safety
/// `counters` is a live map value.
#[inline(always)]
pub(crate) unsafe fn is_owner(counters: *mut SocketCounters) -> bool {
    // SAFETY: as the caller promises.
    unsafe { is_of_current(counters) || becomes_owner(counters) }
}

/// A function of its own for the same reason as [`first_met`].
///
/// # Safety
/// `counters` is a live map value.
#[inline(never)]
unsafe fn becomes_owner(counters: *mut SocketCounters) -> bool {
    // SAFETY: as the caller promises.
    unsafe { (*counters).owner == UNOWNED && adopt(counters, process::current()) }
}

/// Makes `process` the owner of a socket that has none; false if another was faster.
///
/// # Safety
/// `counters` is a live map value.
#[inline(always)]
pub(crate) unsafe fn adopt(counters: *mut SocketCounters, process: ProcessKey) -> bool {
    // SAFETY: as the caller promises; the key is one u64.
    unsafe { replace((&raw mut (*counters).owner).cast(), UNOWNED.0, process.0) }
}

/// Posts bytes to the row of the current process, which is not the owner, and takes them off the owner's part.
///
/// # Safety
/// `counters` is a live map value.
#[inline(never)]
pub(crate) unsafe fn post_to_guest(counters: *mut SocketCounters, rx: u64, tx: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        // The kernel's own threads read ahead for the owner: where it decrypts, for one.
        if is_kernel_thread() && (*counters).owner != UNOWNED {
            return;
        }
        add(&raw mut (*counters).rx_posted, rx);
        add(&raw mut (*counters).tx_posted, tx);
    }
    process::post(process::current(), rx, tx);
}

/// Posts what the owner moved and was not posted yet. While the owner is unknown, that waits for as long as the
/// socket lives: somebody may yet be found who holds it.
///
/// # Safety
/// `counters` is a live map value; `rx` and `tx` are the socket's totals.
#[inline(always)]
pub(crate) unsafe fn settle(counters: *mut SocketCounters, rx: u64, tx: u64, is_last: bool) {
    // SAFETY: as the caller promises.
    unsafe {
        if (*counters).owner == UNOWNED && !is_last {
            return;
        }
        let owed_rx = take_unposted(&raw mut (*counters).rx_posted, rx);
        let owed_tx = take_unposted(&raw mut (*counters).tx_posted, tx);
        process::post((*counters).owner, owed_rx, owed_tx);
    }
}

/// Raises `posted` to `total` and returns the bytes that this CPU must post: 0 if another CPU raised it, if `posted` is
/// ahead of TCP's counters because another process's bytes were posted first, or if the loss was counted.
#[inline(always)]
fn take_unposted(posted: *mut u64, total: u64) -> u64 {
    update(posted, |old| if old < total { (Some(total), total - old) } else { (None, 0) }).unwrap_or(0)
}

/// The application's side of a TCP connection is closed: what it sent is final from now on.
///
/// # Safety
/// `tp` points to a `struct tcp_sock` that the verifier knows, `counters` is its live map value.
#[inline(always)]
pub(crate) unsafe fn finish_tx(tp: *const c_void, counters: *mut SocketCounters) {
    // SAFETY: as the caller promises.
    unsafe {
        if (*counters).flags & TX_FINAL == 0 {
            (*counters).tx_bytes = tcp::totals::<Typed>(tp, &*counters).1;
            (*counters).flags |= TX_FINAL;
        }
    }
}
