//! Capturing packets: whose they are, whether they are chosen, and how they get to user space.

pub(crate) mod choose;
mod conntrack;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod keep;
pub(crate) mod owner;

use core::{ffi::c_void, ptr::read_volatile};

use net_traffic_common::packet::CaptureSettings;

/// Set by the loader; the verifier takes each member as a constant.
#[unsafe(no_mangle)]
static CAPTURE: CaptureSettings =
    CaptureSettings { snaplen: 0, choose: 0, name: [0; 16], wake_bytes: 0, owners: 0, uid: 0, reserved: 0 };

/// What the user asked for.
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

/// The name that is wanted, as two words.
#[inline(always)]
pub(crate) fn wanted_name() -> [u64; 2] {
    // SAFETY: sixteen octets of a static, at a place that is a multiple of eight.
    unsafe { read_volatile((&raw const (*settings()).name).cast::<c_void>().cast::<[u64; 2]>()) }
}

pub(crate) use setting;
