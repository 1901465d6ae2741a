//! Where a socket's counters are: in the socket, or, where kprobes count, in a hash by its address.

use core::{ffi::c_void, mem, ptr};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_SK_STORAGE_GET_F_CREATE},
    helpers::generated::bpf_sk_storage_get,
};
use net_traffic_common::{ProcessKey, SocketCounters, loss};

use super::loss::{self as ledger, EEXIST};
use crate::{
    kernel::{Memory, Typed, by_address, offset},
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

/// Whose a socket is and how it is counted, as [`get`] would find them.
pub(crate) struct Peeked {
    pub owner: ProcessKey,
    pub flags: u32,
}

/// Its counters, if they are to be seen without asking a helper.
///
/// # Safety
/// `sk` points to a `struct sock` whose type the verifier knows.
#[inline(always)]
pub(crate) unsafe fn peek(sk: *const c_void) -> Option<Peeked> {
    const OWNER: u32 = mem::offset_of!(SocketCounters, owner) as u32;
    const FLAGS: u32 = mem::offset_of!(SocketCounters, flags) as u32;
    // SAFETY: as the caller promises; the map holds such values.
    unsafe {
        let entry = cached(sk, ptr::from_ref(&SOCKETS).cast())?;
        Some(Peeked { owner: ProcessKey(entry.read(OWNER)), flags: entry.read(FLAGS) })
    }
}

/// What a map has stored in a socket, to be read only.
pub(crate) struct Cached(*const c_void);

impl Cached {
    /// # Safety
    /// The map's values have a `T` at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn read<T: Copy + Default>(&self, offset: u32) -> T {
        // SAFETY: as the caller promises; the kernel frees none of it while the program runs.
        unsafe { Typed::read(self.0, offset!(storage_value) + offset) }
    }
}

/// Looks where the helper looks first, which is a few loads instead of several calls: into the cache that a socket has in
/// front of what maps store in it. `None`: there, it is not to be seen; the helper knows.
///
/// # Safety
/// `sk` points to a `struct sock` whose type the verifier knows; `map` is one that stores in sockets.
#[inline(always)]
pub(crate) unsafe fn cached(sk: *const c_void, map: *const c_void) -> Option<Cached> {
    // SAFETY: as the caller promises.
    unsafe {
        let stored = Typed::read::<u64>(sk, offset!(sk_bpf_storage)) as *const c_void;
        if stored.is_null() {
            return None;
        }
        // A map keeps to one place of sixteen, the first that fewest maps had when it was made. One by one, because the
        // verifier takes constants only.
        cached_at(stored, map, 0)
            .or_else(|| cached_at(stored, map, 1))
            .or_else(|| cached_at(stored, map, 2))
            .or_else(|| cached_at(stored, map, 3))
            .or_else(|| cached_at(stored, map, 4))
            .or_else(|| cached_at(stored, map, 5))
            .or_else(|| cached_at(stored, map, 6))
            .or_else(|| cached_at(stored, map, 7))
    }
}

/// # Safety
/// `stored` points to the `struct bpf_local_storage` of a socket.
#[inline(always)]
unsafe fn cached_at(stored: *const c_void, map: *const c_void, place: u32) -> Option<Cached> {
    const POINTER: u32 = 8;
    // SAFETY: as the caller promises.
    unsafe {
        let entry = Typed::read::<u64>(stored, offset!(storage_cache) + place * POINTER) as *const c_void;
        let is_of_map = !entry.is_null() && Typed::read::<u64>(entry, offset!(storage_map)) == map as u64;
        is_of_map.then_some(Cached(entry))
    }
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
