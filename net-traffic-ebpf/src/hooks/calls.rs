//! Calls between their entry probe and their return probe.
//!
//! A return probe does not get the arguments: the entry probe stores them in the map `CALLS`. The kernel skips return
//! probes while more calls of one function are in progress than [it has instances for][maxactive] (ten on small
//! machines), and [counts a miss][missed] that programs cannot read. Receivers of datagrams block within the call, so
//! their datagrams are counted when they leave the queue. For all other calls, the next call of the thread, or its
//! exit, finds the entry of the missed return and counts it in the loss ledger.
//!
//! [maxactive]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/kprobes.c#L2247-L2248
//! [missed]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/kprobes.c#L2146-L2150

use core::ffi::c_void;

use aya_ebpf::{bindings::BPF_ANY, helpers::bpf_get_current_pid_tgid, programs::ProbeContext};
use net_traffic_common::loss as causes;

use super::transfer::{received, sent};
use crate::{
    account::{loss, socket},
    kernel::{Sk, Untyped},
    maps::{CALLS, Call},
};

/// The function that was called: with the thread, the key of `CALLS`. A call of one kind may be made inside a call of
/// another. [`thread_exits`] lists all kinds.
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

/// The socket that is a probed function's first argument.
#[inline(always)]
pub(super) fn first_argument(ctx: &ProbeContext) -> Option<Sk<Untyped>> {
    // SAFETY: the functions that are probed with it have a socket as their first argument.
    ctx.arg::<*const c_void>(0).map(|sk| unsafe { Sk::new(sk) })
}

/// Stores a call whose first argument is a socket.
#[inline(always)]
pub(super) fn enter_probe(kind: Kind, ctx: &ProbeContext, flags: u32) -> u32 {
    if let Some(sk) = first_argument(ctx) {
        enter(kind, sk, flags);
    }
    0
}

/// The same for a stream, whose bytes the stack counts: only a call of a process that is not the owner needs the
/// result.
#[inline(always)]
pub(super) fn enter_stream(kind: Kind, ctx: &ProbeContext) -> u32 {
    let Some(sk) = first_argument(ctx) else { return 0 };
    match socket::counters_of(sk) {
        Some(counters) if !counters.has_current_as_owner() => enter(kind, sk, 0),
        _ => clear(kind),
    }
    0
}

#[inline(always)]
pub(super) fn enter(kind: Kind, sk: Sk<Untyped>, flags: u32) {
    clear(kind);
    let call = Call { sk: sk.address() as u64, flags: u64::from(flags) };
    if CALLS.insert(key(kind), call, u64::from(BPF_ANY)).is_err() {
        count_missed(kind);
    }
}

/// The thread makes a call whose return is not needed, or exits. The return of an earlier call whose entry is left was
/// missed, and the next return must not use that entry.
#[inline(always)]
pub(super) fn clear(kind: Kind) {
    if leave(kind).is_some() {
        count_missed(kind);
    }
}

/// The return of a call, with the bytes it moved, was missed.
#[inline(always)]
fn count_missed(kind: Kind) {
    if CALLS.get_ptr(no_return(kind)).is_none() {
        loss::count(causes::MISSED_RETURN);
    }
}

/// The current thread exits.
#[inline(always)]
pub(super) fn thread_exits() {
    clear(Kind::TcpSend);
    clear(Kind::UdpSend);
    clear(Kind::Udp6Send);
    clear(Kind::UdpRecv);
    clear(Kind::Udp6Recv);
    clear(Kind::MptcpSend);
    clear(Kind::MptcpRecv);
    clear(Kind::TcpPage);
    clear(Kind::UdpPage);
}

/// Calls of this kind are counted before they return: a missed return is no loss.
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
        // The next call of this thread replaces the entry.
    }
    call
}

#[inline(always)]
pub(super) fn leave_send(kind: Kind, ret: i32) -> u32 {
    if let Some(call) = leave(kind) {
        sent(socket_of(&call), ret);
    }
    0
}

#[inline(always)]
pub(super) fn leave_recv(kind: Kind, ret: i32) -> u32 {
    if let Some(call) = leave(kind) {
        received(socket_of(&call), ret, call.flags as u32);
    }
    0
}

/// The socket that the entry probe stored.
#[inline(always)]
pub(super) fn socket_of(call: &Call) -> Sk<Untyped> {
    // SAFETY: the call has not returned, so that its socket lives.
    unsafe { Sk::new(call.sk as *const c_void) }
}

/// The key of a mark for all threads: thread 0 makes no calls.
#[inline(always)]
fn no_return(kind: Kind) -> u64 {
    (kind as u64) << 32
}

#[inline(always)]
fn key(kind: Kind) -> u64 {
    (kind as u64) << 32 | bpf_get_current_pid_tgid() & 0xffff_ffff
}
