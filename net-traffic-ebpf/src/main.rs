//! The programs that net-traffic runs in the kernel.
#![no_std]
#![no_main]
#![expect(internal_features, reason = "atomics with a result exist for this target only as intrinsics")]
#![feature(core_intrinsics)]

mod account;
mod hooks;
mod kernel;
mod maps;
mod packet;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The compiler proves every call of this away, or the linker refuses the object.
    loop {}
}
