//! The programs that net-traffic runs in the kernel.
#![no_std]
#![no_main]
#![expect(internal_features, reason = "atomics with a result exist for this target only as intrinsics")]
#![feature(core_intrinsics)]
#![expect(
    clippy::inline_always,
    reason = "a call costs registers and a frame, and a verifier state for each caller"
)]
#![expect(clippy::needless_pass_by_value, reason = "the attribute macros pass the context by value")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the kernel's own widths: a checked conversion is a branch that the verifier has to walk"
)]

mod account;
mod capture;
mod hooks;
mod kernel;
mod maps;
mod packet;
mod skb;
mod socket_lookup;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The compiler proves that no call remains; otherwise the linker refuses the object.
    loop {}
}
