//! The place of a socket's counters: the socket's storage, or, where kprobes count, a hash by the socket's address.

use core::{
    ffi::c_void,
    mem,
    ptr::{self, NonNull},
};

use aya_ebpf::bindings::BPF_NOEXIST;
use net_traffic_common::{ProcessKey, SocketCounters};

use super::{counters::Counters, loss};
use crate::{
    kernel::{Memory, Sk, Typed, by_address, offset},
    maps::{SOCKETS, SOCKETS_BY_ADDRESS, SocketStorage},
};

/// The counters of `sk`, if it has any.
#[inline(always)]
pub(crate) fn get<M: Memory>(sk: Sk<M>) -> Option<Counters> {
    if by_address() { of_address(sk) } else { of_tier(sk) }
}

/// The same for programs of one tier only: how they read decides where the counters are, and no constant is read on
/// each call.
#[inline(always)]
pub(crate) fn of_tier<M: Memory>(sk: Sk<M>) -> Option<Counters> {
    if M::BY_ADDRESS { of_address(sk) } else { in_socket(sk, ptr::null(), false) }
}

#[inline(always)]
fn of_address<M: Memory>(sk: Sk<M>) -> Option<Counters> {
    let value = SOCKETS_BY_ADDRESS.get_ptr_mut(sk.address() as u64).and_then(NonNull::new);
    // SAFETY: a live map value.
    value.map(|value| unsafe { Counters::new(value) })
}

#[inline(always)]
fn in_socket<M: Memory>(sk: Sk<M>, initial: *const SocketCounters, creates: bool) -> Option<Counters> {
    // SAFETY: the verifier tracks the type of the socket, or refuses the program; `initial` is null or the caller's.
    unsafe {
        let value =
            if creates { SOCKETS.get_or_create(sk.address(), initial) } else { SOCKETS.get(sk.address()) };
        value.map(|value| Counters::new(value))
    }
}

/// The counters of `sk`; `initial` where it has none yet. `None` was counted as a loss.
#[inline(always)]
pub(crate) fn get_or_insert<M: Memory>(sk: Sk<M>, initial: &SocketCounters) -> Option<Counters> {
    if M::BY_ADDRESS || by_address() {
        let key = sk.address() as u64;
        if let Err(error) = SOCKETS_BY_ADDRESS.insert(key, initial, u64::from(BPF_NOEXIST))
            && error != loss::EEXIST
        {
            loss::count(loss::STORAGE_FAILED);
        }
        of_address(sk)
    } else {
        let counters = in_socket(sk, initial, true)
            // Another CPU created them first.
            .or_else(|| in_socket(sk, ptr::null(), false));
        if counters.is_none() {
            loss::count(loss::STORAGE_FAILED);
        }
        counters
    }
}

/// Removes the counters of a destroyed socket. The kernel frees the socket's storage itself.
#[inline(always)]
pub(crate) fn remove<M: Memory>(sk: Sk<M>) {
    if (M::BY_ADDRESS || by_address()) && SOCKETS_BY_ADDRESS.remove(sk.address() as u64).is_err() {
        // The socket had no counters.
    }
}

/// Owner and flags of a socket, read from the storage cache.
pub(crate) struct CachedOwner {
    pub owner: ProcessKey,
    pub flags: u32,
}

/// The owner and the flags in a socket's counters, if the counters are in the storage cache.
#[inline(always)]
pub(crate) fn cached_owner(sk: Sk<Typed>) -> Option<CachedOwner> {
    const OWNER: u32 = mem::offset_of!(SocketCounters, owner) as u32;
    const FLAGS: u32 = mem::offset_of!(SocketCounters, flags) as u32;
    let entry = storage_cache_lookup(sk, &SOCKETS)?;
    // SAFETY: the map's values have these members.
    unsafe { Some(CachedOwner { owner: ProcessKey(entry.read(OWNER)), flags: entry.read(FLAGS) }) }
}

/// A value of a map in a socket's storage, to be read only.
pub(crate) struct Cached(*const c_void);

impl Cached {
    /// # Safety
    /// The map's values have a `T` at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn read<T: Copy + Default>(&self, offset: u32) -> T {
        // SAFETY: as the caller promises; the kernel does not free the value while the program runs.
        unsafe { Typed::read(self.0, offset!(storage_value) + offset) }
    }
}

/// Reads the socket's storage cache ([`bpf_local_storage.cache`][cache]) directly. `None` is a cache miss: the caller
/// then calls `bpf_sk_storage_get`, [which reads the same cache first][lookup].
///
/// The layout is private to the kernel. It is read because the hooks of send and receive run on every call, and a few
/// loads cost less than the helper call that they replace. If this kernel lacks one of the members, the verifier
/// refuses the program, and the loader attaches its sibling that only calls the helper. If the kernel no longer fills
/// the cache, every look-up is a miss.
///
/// [cache]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/bpf_local_storage.h#L85-L86
/// [lookup]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/bpf_local_storage.h#L141-L145
#[inline(always)]
pub(crate) fn storage_cache_lookup(sk: Sk<Typed>, map: &impl SocketStorage) -> Option<Cached> {
    let map = map.address();
    // SAFETY: the verifier refuses the program unless a socket has such a member.
    let storage = unsafe { Typed::read::<u64>(sk.address(), offset!(sk_bpf_storage)) } as *const c_void;
    if storage.is_null() {
        return None;
    }
    // Each map gets one of 16 cache slots at creation, the first of the least used
    // (`bpf_local_storage_cache_idx_get`,
    // <https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/bpf_local_storage.c#L639-L659>). The first 8 are
    // read: a host with more than 8 such maps is rare, and each slot costs a miss two more loads. One by one, because
    // the verifier accepts constant offsets only.
    //
    // SAFETY: the pointer is to a `struct bpf_local_storage`.
    unsafe {
        in_slot(storage, map, 0)
            .or_else(|| in_slot(storage, map, 1))
            .or_else(|| in_slot(storage, map, 2))
            .or_else(|| in_slot(storage, map, 3))
            .or_else(|| in_slot(storage, map, 4))
            .or_else(|| in_slot(storage, map, 5))
            .or_else(|| in_slot(storage, map, 6))
            .or_else(|| in_slot(storage, map, 7))
    }
}

/// # Safety
/// `storage` points to the `struct bpf_local_storage` of a socket.
#[inline(always)]
unsafe fn in_slot(storage: *const c_void, map: *const c_void, slot: u32) -> Option<Cached> {
    const POINTER: u32 = 8;
    // SAFETY: as the caller promises.
    unsafe {
        let entry = Typed::read::<u64>(storage, offset!(storage_cache) + slot * POINTER) as *const c_void;
        let is_of_map = !entry.is_null() && Typed::read::<u64>(entry, offset!(storage_map)) == map as u64;
        is_of_map.then_some(Cached(entry))
    }
}
