//! Where a socket's counters are: in the socket, or, where kprobes count, in a hash by its address.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_SK_STORAGE_GET_F_CREATE},
    helpers::generated::bpf_sk_storage_get,
};
use net_traffic_common::{SocketCounters, loss};

use super::loss::{self as ledger, EEXIST};
use crate::{
    kernel::{Memory, by_address},
    maps::{SOCKETS, SOCKETS_BY_ADDR},
};

/// The counters of `sk`, if it has any.
#[inline(always)]
pub(crate) fn get<M: Memory>(sk: *const c_void) -> Option<*mut SocketCounters> {
    if by_address() { SOCKETS_BY_ADDR.get_ptr_mut(sk as u64) } else { of_tier::<M>(sk) }
}

/// The same for programs that run in one tier only: where the counters are follows from how they read, and is not
/// looked up on each call.
#[inline(always)]
pub(crate) fn of_tier<M: Memory>(sk: *const c_void) -> Option<*mut SocketCounters> {
    if M::BY_ADDRESS { SOCKETS_BY_ADDR.get_ptr_mut(sk as u64) } else { storage(sk, ptr::null(), 0) }
}

/// The counters of `sk`; `initial` where it has none yet. `None` was counted as a loss.
#[inline(always)]
pub(crate) fn get_or_insert<M: Memory>(
    sk: *const c_void,
    initial: &SocketCounters,
) -> Option<*mut SocketCounters> {
    if M::BY_ADDRESS || by_address() {
        if let Err(error) = SOCKETS_BY_ADDR.insert(sk as u64, initial, u64::from(BPF_NOEXIST))
            && error != EEXIST
        {
            ledger::count(loss::STORAGE_FAILED);
        }
        SOCKETS_BY_ADDR.get_ptr_mut(sk as u64)
    } else {
        let counters = storage(sk, initial, u64::from(BPF_SK_STORAGE_GET_F_CREATE))
            // Another CPU made them meanwhile.
            .or_else(|| storage(sk, ptr::null(), 0));
        if counters.is_none() {
            ledger::count(loss::STORAGE_FAILED);
        }
        counters
    }
}

/// Forgets a destroyed socket. Its own storage goes with it.
#[inline(always)]
pub(crate) fn remove<M: Memory>(sk: *const c_void) {
    if (M::BY_ADDRESS || by_address()) && SOCKETS_BY_ADDR.remove(sk as u64).is_err() {
        // It had no counters.
    }
}

#[inline(always)]
fn storage(sk: *const c_void, initial: *const SocketCounters, flags: u64) -> Option<*mut SocketCounters> {
    // SAFETY: the helper checks the socket; `initial` is null or the caller's.
    let counters = unsafe {
        bpf_sk_storage_get(
            ptr::from_ref(&SOCKETS).cast_mut().cast(),
            sk.cast_mut(),
            initial.cast_mut().cast(),
            flags,
        )
    };
    if counters.is_null() { None } else { Some(counters.cast()) }
}
