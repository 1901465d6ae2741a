//! The bytes of a TCP segment that pass an interface for the first time: payload counts once, retransmissions are
//! overhead.

use core::ptr::{self, NonNull};

use net_traffic_common::{DIRECTION_TX, loss as causes};

use super::{loss, replace, update};
use crate::{
    maps::{PATHS, STREAMS, SocketStorage, Stream, Streams},
    packet::{Packet, SYN},
    socket_lookup::FullSk,
};

/// The bytes of the segment that had not passed this interface in this direction.
///
/// Counted are the bytes up to the highest sequence number seen, without the gaps below it. A segment below that
/// number fills gaps, as long as some are left. So the sum is exact once all gaps are filled, wherever segments were
/// lost.
#[inline(always)]
pub(crate) fn first_time(sk: FullSk, packet: &Packet, ifindex: u32, direction: u16) -> u32 {
    let is_syn = packet.tcp_flags & SYN != 0;
    if packet.payload == 0 && !is_syn {
        return 0;
    }
    let begin = packet.sequence.wrapping_add(u32::from(is_syn));
    let Some(streams) = streams_of(sk) else { return packet.payload };
    let streams = streams.as_ptr();
    // SAFETY: a live map value.
    let paths =
        unsafe { if direction == DIRECTION_TX { &raw mut (*streams).tx } else { &raw mut (*streams).rx } };
    // SAFETY: as above.
    let position = unsafe { position_on(paths.cast(), u64::from(ifindex), is_syn) };
    // Segments that passed before the program was attached are not counted: what the socket has received is where its
    // stream begins.
    // SAFETY: as above.
    let is_first = direction != DIRECTION_TX && !is_syn && unsafe { ptr::read_volatile(position) } == 0;
    let start = if is_first { sk.rcv_nxt().unwrap_or(begin) } else { begin };
    pass(position, start, begin, packet.payload)
}

/// The stream's position on one interface.
///
/// # Safety
/// `paths` is a live `[Stream; PATHS]` of a map value.
#[inline(always)]
unsafe fn position_on(paths: *mut Stream, ifindex: u64, is_new: bool) -> *mut u64 {
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
        // None is free: the last is overwritten.
        let stream = paths.add(PATHS - 1);
        *stream = Stream { ifindex, position: 0 };
        &raw mut (*stream).position
    }
}

/// Whether the place is the interface's; a free place becomes so.
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

/// Moves the position past a segment and returns the bytes that had not passed. Several CPUs receive segments of one
/// stream at once while its sender moves between CPUs. `start` is where the stream begins if no segment has passed.
#[inline(always)]
fn pass(cell: *mut u64, start: u32, begin: u32, length: u32) -> u32 {
    let advance = |before: u64| {
        let mut position = if before == 0 { Position { next: start, missing: 0 } } else { before.into() };
        let new = position.advance(begin, length);
        (Some(position.into()), new)
    };
    update(cell, advance).unwrap_or(length)
}

/// How far a stream has come, in one word, which one compare-and-swap updates.
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
        // The part below `next` fills gaps; the part above is new.
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

/// The socket's streams, created if it has none; `None` was counted as a loss.
#[inline(always)]
fn streams_of(sk: FullSk) -> Option<NonNull<Streams>> {
    // SAFETY: a socket in full, with a type that the verifier tracks; null creates zeros.
    let streams = unsafe { STREAMS.get_or_create(sk.address(), ptr::null()) };
    if streams.is_none() {
        loss::count(causes::STORAGE_FAILED);
    }
    streams
}
