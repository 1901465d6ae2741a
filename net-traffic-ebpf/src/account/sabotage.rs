//! Loses events on purpose, for the test of the self-test alone.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use crate::{kernel::constant, maps::EVENTS};

/// One event in so many is lost; set by the loader. The 0 that it is otherwise has the verifier remove all of this.
#[unsafe(no_mangle)]
static LOSE_ONE_IN: u32 = 0;

/// Whether the event at hand is to be lost.
#[inline(always)]
pub(crate) fn takes_it() -> bool {
    let one_in = u64::from(constant(&LOSE_ONE_IN));
    if one_in == 0 {
        return false;
    }
    let Some(events) = EVENTS.get_ptr_mut(0) else { return false };
    // SAFETY: a map value, which stays allocated while the program runs.
    let before = unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(events, 1) };
    before % one_in == one_in - 1
}
