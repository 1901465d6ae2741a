//! What of a TCP segment passes for the first time: payload once, and retransmissions as overhead.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::generated::{bpf_sk_storage_get, bpf_tcp_sock},
};
use net_traffic_common::{WIRE_TX, loss as causes};

use super::{loss, replace, update};
use crate::{
    maps::{PATHS, STREAMS, Stream, Streams},
    packet::{Packet, SYN},
};

/// The bytes of the segment that had not passed this interface in this direction.
///
/// Counted are the bytes up to the highest sequence number seen, less those that were left out on the way there; what
/// comes later for a sequence number below it fills the gaps, as long as there are some. So the sum is right once
/// all gaps are filled, whatever was lost before or behind the interface.
///
/// # Safety
/// `sk` is a socket that the verifier knows.
#[inline(always)]
pub(crate) unsafe fn first_time(sk: *mut c_void, packet: &Packet, ifindex: u32, direction: u16) -> u32 {
    let is_syn = packet.tcp_flags & SYN != 0;
    if packet.payload == 0 && !is_syn {
        return 0;
    }
    let begin = packet.sequence.wrapping_add(u32::from(is_syn));
    // SAFETY: as the caller promises.
    let Some(streams) = (unsafe { streams_of(sk) }) else { return packet.payload };
    // SAFETY: a live map value.
    let paths = unsafe { if direction == WIRE_TX { &raw mut (*streams).tx } else { &raw mut (*streams).rx } };
    // SAFETY: as above.
    let position = unsafe { place(paths.cast(), u64::from(ifindex), is_syn) };
    // SAFETY: as above.
    unsafe {
        // What came first may have been lost before us: what the socket has received is where its stream stands.
        let is_first = direction != WIRE_TX && !is_syn && ptr::read_volatile(position) == 0;
        let start = if is_first { received(sk).unwrap_or(begin) } else { begin };
        pass(position, start, begin, packet.payload)
    }
}

/// The sequence number that the socket waits for.
///
/// # Safety
/// `sk` is a socket that the verifier knows.
#[inline(always)]
unsafe fn received(sk: *mut c_void) -> Option<u32> {
    // SAFETY: as the caller promises; the helper gives what can be read of a TCP socket, or null.
    unsafe {
        let tp = bpf_tcp_sock(sk.cast());
        if tp.is_null() { None } else { Some((*tp).rcv_nxt) }
    }
}

/// Where the position on this interface is kept.
///
/// # Safety
/// `paths` is a live `[Stream; PATHS]` of a map's value.
#[inline(always)]
unsafe fn place(paths: *mut Stream, ifindex: u64, is_new: bool) -> *mut u64 {
    // SAFETY: as the caller promises.
    unsafe {
        for index in 0..PATHS {
            let stream = paths.add(index);
            if is_for(&raw mut (*stream).ifindex, ifindex) {
                if is_new {
                    (*stream).position = 0;
                }
                return &raw mut (*stream).position;
            }
        }
        // None is free: the last is given up.
        let stream = paths.add(PATHS - 1);
        *stream = Stream { ifindex, position: 0 };
        &raw mut (*stream).position
    }
}

/// Whether the place is the interface's, or free, which makes it so.
///
/// # Safety
/// `cell` is in a live map value.
#[inline(always)]
unsafe fn is_for(cell: *mut u64, ifindex: u64) -> bool {
    // SAFETY: as the caller promises. Another CPU may take the place meanwhile, for the same interface or for another.
    unsafe {
        match ptr::read_volatile(cell) {
            0 => replace(cell, 0, ifindex) || ptr::read_volatile(cell) == ifindex,
            taken_by => taken_by == ifindex,
        }
    }
}

/// Moves the position past a segment. Received segments of one stream are handled by several CPUs at once when their
/// sender moved from one to another. `start`: where the stream stands if nothing of it has passed.
#[inline(always)]
fn pass(cell: *mut u64, start: u32, begin: u32, length: u32) -> u32 {
    let advance = |before: u64| {
        let mut position = if before == 0 { Position { next: start, missing: 0 } } else { before.into() };
        let new = position.advance(begin, length);
        (Some(position.into()), new)
    };
    update(cell, advance).unwrap_or(length)
}

/// How far a stream has come, in one word, so that it changes in one step.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    /// The sequence number after the last byte.
    next: u32,
    /// Bytes before `next` that have not passed.
    missing: u32,
}

impl Position {
    /// The bytes of the segment that had not passed.
    #[inline(always)]
    fn advance(&mut self, begin: u32, length: u32) -> u32 {
        let ahead = begin.wrapping_sub(self.next).cast_signed();
        let end = begin.wrapping_add(length);
        let beyond = end.wrapping_sub(self.next).cast_signed();
        if ahead >= 0 {
            self.missing = self.missing.wrapping_add(ahead.cast_unsigned());
            self.next = end;
            return length;
        }
        // What lies below fills gaps; what lies above is new.
        let new = if beyond > 0 { beyond.cast_unsigned() } else { 0 };
        let below = length.wrapping_sub(new);
        let filled = if below < self.missing { below } else { self.missing };
        self.missing -= filled;
        if beyond > 0 {
            self.next = end;
        }
        new + filled
    }
}

impl From<u64> for Position {
    #[inline(always)]
    fn from(word: u64) -> Self {
        Self { next: word as u32, missing: (word >> 32) as u32 }
    }
}

impl From<Position> for u64 {
    #[inline(always)]
    fn from(position: Position) -> Self {
        Self::from(position.next) | Self::from(position.missing) << 32
    }
}

/// # Safety
/// `sk` is a socket that the verifier knows.
#[inline(always)]
unsafe fn streams_of(sk: *mut c_void) -> Option<*mut Streams> {
    // SAFETY: the helper checks the socket.
    let streams = unsafe {
        bpf_sk_storage_get(
            ptr::from_ref(&STREAMS).cast_mut().cast(),
            sk,
            ptr::null_mut(),
            u64::from(BPF_SK_STORAGE_GET_F_CREATE),
        )
    };
    if streams.is_null() {
        loss::count(causes::STORAGE_FAILED);
        return None;
    }
    Some(streams.cast())
}
