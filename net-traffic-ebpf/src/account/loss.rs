//! The loss ledger: what could not be counted is counted here.

use net_traffic_common::loss;

use crate::maps::LOSS;

pub(crate) const EEXIST: i32 = -17;
const E2BIG: i32 = -7;
const EBUSY: i32 = -16;

#[inline(always)]
pub(crate) fn count(cause: u32) {
    if let Some(slot) = LOSS.get_ptr_mut(cause) {
        super::add(slot, 1);
    }
}

/// Counts a refused insertion under the cause that the helper gave.
#[inline(always)]
pub(crate) fn count_insert(error: i32) {
    match error {
        E2BIG => count(loss::MAP_FULL),
        EBUSY => count(loss::MAP_BUSY),
        _ => count(loss::STORAGE_FAILED),
    }
}
