//! Drops events on purpose: a test of the self-test needs a tracer that counts wrong.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use crate::{kernel::constant, maps::FAULT_EVENTS};

/// Of so many events, one is dropped; set by the loader. The verifier removes the code of this file while it is 0.
#[unsafe(no_mangle)]
static DROP_ONE_IN: u32 = 0;

/// Whether the current event is dropped.
#[inline(always)]
pub(crate) fn should_drop() -> bool {
    let one_in = u64::from(constant(&DROP_ONE_IN));
    if one_in == 0 {
        return false;
    }
    let Some(events) = FAULT_EVENTS.get_ptr_mut(0) else { return false };
    // SAFETY: a map value stays allocated while the program runs.
    let before = unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(events, 1) };
    before % one_in == one_in - 1
}
