//! The accounting that all hooks share: which process moved how many bytes, and what could not be counted.

pub(crate) mod cgroup;
pub(crate) mod counters;
pub(crate) mod descendants;
pub(crate) mod fault_injection;
pub(crate) mod interface;
pub(crate) mod loss;
pub(crate) mod process;
pub(crate) mod record;
pub(crate) mod socket;
pub(crate) mod storage;
pub(crate) mod stream;
pub(crate) mod tcp;

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

use net_traffic_common::{loss as causes, retry};

/// Adds without reading back: one instruction.
#[inline(always)]
pub(crate) fn add(counter: *mut u64, amount: u64) {
    if amount != 0 {
        // SAFETY: callers pass a member of a map value, which stays allocated while the program runs.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, amount) };
    }
}

/// Updates a word of a map value as [`retry::update`] does; the loss ledger counts a `None`.
#[inline(always)]
pub(crate) fn update<T>(cell: *mut u64, next: impl FnMut(u64) -> (Option<u64>, T)) -> Option<T> {
    let result = retry::update(&Word(cell), next);
    if result.is_none() {
        loss::count(causes::MAP_BUSY);
    }
    result
}

/// A word of a map value.
struct Word(*mut u64);

impl retry::Cell for Word {
    #[inline(always)]
    fn load(&self) -> u64 {
        // SAFETY: as for `add`.
        unsafe { self.0.read_volatile() }
    }

    #[inline(always)]
    fn compare_exchange(&self, old: u64, new: u64) -> bool {
        replace(self.0, old, new)
    }
}

/// Replaces `old` by `new`; false if another CPU changed the word first.
#[inline(always)]
pub(crate) fn replace(cell: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: as for `add`.
    unsafe { atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(cell, old, new).1 }
}
