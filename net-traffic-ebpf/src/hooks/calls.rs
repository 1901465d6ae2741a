//! The calls that kprobes have seen begin: what of them is told when they return.
//!
//! A return probe does not see the arguments: the entry leaves them in the map `CALLS`. The kernel tells of the returns
//! of a few calls of one function at a time only (ten, on small machines). Whoever waits for datagrams waits within the
//! call, so that these are counted where they are taken from the queue; for all others, a return that was missed is
//! noticed at the next call or the end of that thread, and is in the ledger.

use core::ffi::c_void;

use aya_ebpf::{bindings::BPF_ANY, helpers::bpf_get_current_pid_tgid};
use net_traffic_common::loss as causes;

use super::transfer::{received, sent};
use crate::{
    account::{loss, socket},
    kernel::Untyped,
    maps::{CALLS, Call},
};

/// What a call does: with the thread, the key of `CALLS`. A call of one kind may be made inside another.
/// [`thread_ended`] names them all.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    TcpSend = 1,
    UdpSend,
    Udp6Send,
    UdpRecv,
    Udp6Recv,
    MptcpSend,
    MptcpRecv,
    TcpPage,
    UdpPage,
}

#[inline(always)]
pub(super) fn enter_first(kind: Kind, sk: Option<*const c_void>, flags: u32) -> u32 {
    if let Some(sk) = sk {
        enter(kind, sk, flags);
    }
    0
}

/// The same where the stack counts what the owner moves: only a guest's call needs its result.
///
/// # Safety
/// `sk` points to a `struct sock`.
#[inline(always)]
pub(super) unsafe fn enter_stream(kind: Kind, sk: Option<*const c_void>) -> u32 {
    let Some(sk) = sk else { return 0 };
    // SAFETY: as the caller promises; the counters are a live map value.
    unsafe {
        match socket::met::<Untyped>(sk) {
            Some(counters) if !socket::is_owner(counters) => enter(kind, sk, 0),
            _ => pass(kind),
        }
    }
    0
}

#[inline(always)]
pub(super) fn enter(kind: Kind, sk: *const c_void, flags: u32) {
    pass(kind);
    let call = Call { sk: sk as u64, flags: u64::from(flags) };
    if CALLS.insert(key(kind), call, u64::from(BPF_ANY)).is_err() {
        missed(kind);
    }
}

/// The thread makes a call whose return nobody waits for, or no more calls: of what an earlier one left, the kernel has
/// not told the return, and the next must not be taken for it.
#[inline(always)]
pub(super) fn pass(kind: Kind) {
    if leave(kind).is_some() {
        missed(kind);
    }
}

/// What a call moved will not be known by its return.
#[inline(always)]
fn missed(kind: Kind) {
    if CALLS.get_ptr(no_return(kind)).is_none() {
        loss::count(causes::MISSED_RETURN);
    }
}

/// The current thread ends.
#[inline(always)]
pub(super) fn thread_ended() {
    pass(Kind::TcpSend);
    pass(Kind::UdpSend);
    pass(Kind::Udp6Send);
    pass(Kind::UdpRecv);
    pass(Kind::Udp6Recv);
    pass(Kind::MptcpSend);
    pass(Kind::MptcpRecv);
    pass(Kind::TcpPage);
    pass(Kind::UdpPage);
}

/// Calls of this kind are counted before they return.
#[inline(always)]
pub(super) fn expect_no_return(kind: Kind) {
    let mark = Call { sk: 0, flags: 0 };
    if CALLS.get_ptr(no_return(kind)).is_none()
        && CALLS.insert(no_return(kind), mark, u64::from(BPF_ANY)).is_err()
    {
        // The next call tries again.
    }
}

#[inline(always)]
pub(super) fn leave(kind: Kind) -> Option<Call> {
    let key = key(kind);
    // SAFETY: only this thread uses the entry.
    let call = unsafe { CALLS.get(key).copied() };
    if call.is_some() && CALLS.remove(key).is_err() {
        // The next call of this thread replaces it.
    }
    call
}

/// # Safety
/// The entry of the same call left its socket.
#[inline(always)]
pub(super) unsafe fn leave_send(kind: Kind, ret: i32) -> u32 {
    if let Some(call) = leave(kind) {
        // SAFETY: as the caller promises.
        unsafe { sent::<Untyped>(call.sk as *const c_void, ret) };
    }
    0
}

/// # Safety
/// The entry of the same call left its socket.
#[inline(always)]
pub(super) unsafe fn leave_recv(kind: Kind, ret: i32) -> u32 {
    if let Some(call) = leave(kind) {
        // SAFETY: as the caller promises.
        unsafe { received::<Untyped>(call.sk as *const c_void, ret, call.flags as u32) };
    }
    0
}

/// In the place of a thread's, that of thread 0, which makes no calls.
#[inline(always)]
fn no_return(kind: Kind) -> u64 {
    (kind as u64) << 32
}

#[inline(always)]
fn key(kind: Kind) -> u64 {
    (kind as u64) << 32 | bpf_get_current_pid_tgid() & 0xffff_ffff
}
