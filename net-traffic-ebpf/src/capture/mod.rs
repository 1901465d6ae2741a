//! Capture: the owners of packets, the process filter, and the ring to user space.

mod conntrack;
pub(crate) mod flow;
pub(crate) mod owner;
pub(crate) mod process_filter;
pub(crate) mod record;
pub(crate) mod ring;

use core::{ffi::c_void, ptr::read_volatile};

use net_traffic_common::packet::CaptureSettings;

/// Set by the loader; the verifier treats each member as a constant.
#[unsafe(no_mangle)]
static CAPTURE: CaptureSettings = CaptureSettings {
    snaplen: 0,
    process_filter: 0,
    name: [0; 16],
    wake_bytes: 0,
    owners: 0,
    uid: 0,
    reserved: 0,
};

/// The settings of this capture.
#[inline(always)]
pub(crate) fn settings() -> *const CaptureSettings {
    &raw const CAPTURE
}

/// One member, which the compiler does not fold.
macro_rules! setting {
    ($member:ident) => {
        // SAFETY: a static is readable.
        unsafe { core::ptr::read_volatile(&raw const (*$crate::capture::settings()).$member) }
    };
}

/// The process name that the filter selects, as two words.
#[inline(always)]
pub(crate) fn wanted_name() -> [u64; 2] {
    // SAFETY: sixteen octets of a static, aligned to eight.
    unsafe { read_volatile((&raw const (*settings()).name).cast::<c_void>().cast::<[u64; 2]>()) }
}

pub(crate) use setting;
