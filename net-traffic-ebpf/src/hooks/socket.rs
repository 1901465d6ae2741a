//! A socket that is not TCP is made and released.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_get_socket_cookie,
    macros::{cgroup_sock, fentry},
    programs::{FEntryContext, SockContext},
};
use net_traffic_common::{FAMILY_INET, FAMILY_INET6, KERNEL_COUNTS, UNOWNED};

use crate::{
    account::{process, record, socket, storage},
    kernel::{Memory, Typed, Untyped, offset},
};

/// Runs when a socket of a cgroup is released by its last descriptor, since Linux 5.9. The context is the socket; the
/// verifier knows it by another type, which lacks most members.
#[cgroup_sock(sock_release)]
fn release_cgroup(ctx: SockContext) -> i32 {
    // SAFETY: the socket of the context.
    unsafe { released::<Typed, Untyped>(ctx.sock.cast()) };
    1
}

/// `int inet_release(struct socket *sock)`, since Linux 2.6.
#[fentry(function = "inet_release")]
fn release_fe(ctx: FEntryContext) -> i32 {
    let socket: *const c_void = ctx.arg(0);
    // SAFETY: the function's prototype.
    unsafe {
        let sk = Typed::read::<u64>(socket, offset!(socket_sk)) as *const c_void;
        if !sk.is_null() && matches!(Typed::read(sk, offset!(skc_family)), FAMILY_INET | FAMILY_INET6) {
            released::<Typed, Typed>(sk);
        }
    }
    0
}

/// Runs when a socket is made, since Linux 4.10. Makes the cookie, which a kprobe can read but not make.
#[cgroup_sock(sock_create)]
fn create_cgroup(ctx: SockContext) -> i32 {
    // SAFETY: the socket of the context.
    unsafe { bpf_get_socket_cookie(ctx.sock.cast()) };
    1
}

/// The final counters of a socket, unless it is TCP, whose end comes later. It may have been bound or connected since
/// they were last looked at.
///
/// # Safety
/// `sk` is a socket of the internet families whose storage `M` reaches, and whose members `T` can read.
#[inline(always)]
pub(crate) unsafe fn released<M: Memory, T: Memory>(sk: *const c_void) {
    if let Some(counters) = storage::of_tier::<M>(sk) {
        // SAFETY: as the caller promises.
        unsafe {
            if (*counters).owner == UNOWNED {
                // It moved its bytes by calls that no hook sees, if any; whoever lets it go had it.
                socket::adopt(counters, process::current());
            }
            if (*counters).flags & KERNEL_COUNTS == 0 {
                record::read_tuple::<T>(sk, &mut *counters);
                record::send_closed::<M>(core::ptr::null(), counters);
                storage::remove::<M>(sk);
            }
        }
    }
}
