//! The accounting that all hooks share: whose bytes, how many, and what could not be counted.

pub(crate) mod cgroup;
pub(crate) mod family;
pub(crate) mod loss;
pub(crate) mod process;
pub(crate) mod record;
pub(crate) mod sabotage;
pub(crate) mod socket;
pub(crate) mod storage;
pub(crate) mod stream;
pub(crate) mod tcp;
pub(crate) mod wire;

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

/// Adds without reading back: one instruction.
#[inline(always)]
pub(crate) fn add(counter: *mut u64, amount: u64) {
    if amount != 0 {
        // SAFETY: callers pass a field of a map value, which stays allocated while the program runs.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, amount) };
    }
}

/// Replaces `old` by `new`; false if another CPU was faster.
#[inline(always)]
pub(crate) fn replace(cell: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: as for `add`.
    unsafe { atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(cell, old, new).1 }
}
