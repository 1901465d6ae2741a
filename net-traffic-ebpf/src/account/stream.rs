//! What of a TCP segment passes for the first time: payload once, and retransmissions as overhead.

use core::{ffi::c_void, ptr};

use aya_ebpf::{bindings::BPF_SK_STORAGE_GET_F_CREATE, helpers::generated::bpf_sk_storage_get};
use net_traffic_common::{WIRE_TX, loss as causes};

use super::loss;
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
    // SAFETY: a live map value. One stack at a time handles the segments of a socket in one direction.
    let (paths, known) = unsafe {
        let paths = if direction == WIRE_TX { &mut (*streams).tx } else { &mut (*streams).rx };
        let known = paths.iter().position(|stream| stream.ifindex == ifindex);
        (paths, known)
    };
    let stream = &mut paths[known.unwrap_or(oldest(paths)) & (PATHS - 1)];
    if known.is_none() || is_syn {
        *stream = Stream { ifindex, next: begin, missing: 0 };
    }
    pass(stream, begin, packet.payload)
}

#[inline(always)]
fn pass(stream: &mut Stream, begin: u32, length: u32) -> u32 {
    let ahead = begin.wrapping_sub(stream.next).cast_signed();
    let end = begin.wrapping_add(length);
    let beyond = end.wrapping_sub(stream.next).cast_signed();
    if ahead >= 0 {
        stream.missing = stream.missing.wrapping_add(ahead.cast_unsigned());
        stream.next = end;
        return length;
    }
    // What lies below fills gaps; what lies above is new.
    let new = if beyond > 0 { beyond.cast_unsigned() } else { 0 };
    let below = length.wrapping_sub(new);
    let filled = if below < stream.missing { below } else { stream.missing };
    stream.missing -= filled;
    if beyond > 0 {
        stream.next = end;
    }
    new + filled
}

/// A free place, or one that is given up.
#[inline(always)]
fn oldest(paths: &[Stream; PATHS]) -> usize {
    paths.iter().position(|stream| stream.ifindex == 0).unwrap_or(PATHS - 1)
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
