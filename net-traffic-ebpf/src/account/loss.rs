//! The loss ledger: how often something could not be counted, by cause.

use aya_log_ebpf::warn;
use net_traffic_common::loss;
pub(crate) use net_traffic_common::loss::STORAGE_FAILED;

use crate::maps::LOSS;

pub(crate) const EEXIST: i32 = -17;

#[inline(always)]
pub(crate) fn count(cause: u32) {
    if let Some(slot) = LOSS.get_ptr_mut(cause) {
        super::add(slot, 1);
    }
}

/// Counts a failed insertion by the cause that its error names, and logs the error itself. An entry that another CPU
/// has inserted meanwhile is no failure.
#[inline(always)]
pub(crate) fn count_failed(inserted: Result<(), i32>) {
    if let Err(error) = inserted
        && error != EEXIST
    {
        log(error);
        count(loss::of_insert_error(error));
    }
}

/// A function of its own, so that the formatted message takes no part of a hook's stack.
#[inline(never)]
fn log(error: i32) {
    warn!((), "a map refused an entry: error {}", error);
}
