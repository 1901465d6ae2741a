//! The loss ledger: what could not be counted is counted here.

use aya_log_ebpf::warn;
use net_traffic_common::loss;

use crate::maps::LOSS;

pub(crate) const EEXIST: i32 = -17;

#[inline(always)]
pub(crate) fn count(cause: u32) {
    if let Some(slot) = LOSS.get_ptr_mut(cause) {
        super::add(slot, 1);
    }
}

/// Counts a refused insertion under the cause that the helper gave, and logs the error itself.
#[inline(always)]
pub(crate) fn count_insert(error: i32) {
    log(error);
    count(loss::of_insertion(error));
}

/// A function of its own, so that what formats the message takes no part of a hook's stack.
#[inline(never)]
fn log(error: i32) {
    warn!((), "a map refused an entry: error {}", error);
}
