//! Puts a packet into the ring of the CPU that runs.
//!
//! One ring per CPU: nobody waits for another, and what lies in it is still in that CPU's cache. The room for a record
//! has to be a constant for the verifier, so that there are classes of sizes.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve,
        bpf_ringbuf_submit,
    },
};
use net_traffic_common::packet::{LostPackets, PacketRecord, captured};

use super::{frame::Frame, setting};
use crate::{
    account,
    maps::{CAPTURED, LOST, RINGS},
};

const HEAD: usize = size_of::<PacketRecord>();

/// Counts the packet as received, and as lost if it is.
#[inline(always)]
pub(crate) fn keep(frame: impl Frame, record: PacketRecord) {
    count(captured::RECEIVED);
    let snaplen = setting!(snaplen);
    let record =
        PacketRecord { captured: if record.length > snaplen { snaplen } else { record.length }, ..record };
    // SAFETY: no requirement.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(ring) = RINGS.get(cpu) else { return lose(record.ifindex, captured::RING_FULL) };
    let ring: *mut c_void = core::ptr::from_ref(ring).cast_mut().cast();
    // Each class begins where the one before ends and is a power of two wide.
    let written = match record.captured {
        0..=64 => write::<0, 64>(ring, frame, &record),
        65..=128 => write::<64, 64>(ring, frame, &record),
        129..=256 => write::<128, 128>(ring, frame, &record),
        257..=512 => write::<256, 256>(ring, frame, &record),
        513..=1024 => write::<512, 512>(ring, frame, &record),
        1025..=1536 => write::<1024, 512>(ring, frame, &record),
        1537..=3584 => write::<1536, 2048>(ring, frame, &record),
        3585..=11_776 => write::<3584, 8192>(ring, frame, &record),
        11_777..=28_160 => write::<11_776, 16_384>(ring, frame, &record),
        28_161..=60_928 => write::<28_160, 32_768>(ring, frame, &record),
        60_929..=126_464 => write::<60_928, 65_536>(ring, frame, &record),
        _ => write::<126_464, 262_144>(ring, frame, &record),
    };
    if let Err(cause) = written {
        lose(record.ifindex, cause);
    }
}

#[inline(always)]
fn write<const BEGIN: u32, const WIDTH: u32>(
    ring: *mut c_void,
    frame: impl Frame,
    record: &PacketRecord,
) -> Result<(), u32> {
    const AVAILABLE: u64 = 0;
    let wake = u64::from(setting!(wake_bytes));
    // SAFETY: a ring; the room is a constant; what is reserved is submitted or discarded once.
    unsafe {
        let before = bpf_ringbuf_query(ring, AVAILABLE);
        let size = HEAD as u64 + u64::from(BEGIN + WIDTH);
        let place: *mut c_void = bpf_ringbuf_reserve(ring, size, 0);
        if place.is_null() {
            return Err(captured::RING_FULL);
        }
        place.cast::<PacketRecord>().write(*record);
        let length = bounded::<BEGIN, WIDTH>(&record.captured);
        if !frame.copy(place.byte_add(HEAD), length) {
            bpf_ringbuf_discard(place, u64::from(BPF_RB_NO_WAKEUP));
            return Err(captured::COPY_FAILED);
        }
        // The reader comes round by itself; it is woken once when much has gathered, and not for each packet.
        let is_time = before < wake && before + size >= wake;
        let flag = if is_time { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
        bpf_ringbuf_submit(place, u64::from(flag));
    }
    Ok(())
}

/// The length, where the verifier can see that it is within the class: it follows masks, and comparisons only in the
/// form that the compiler does not keep.
#[inline(always)]
fn bounded<const BEGIN: u32, const WIDTH: u32>(length: &u32) -> u32 {
    // SAFETY: a reference is readable. The compiler must not remember what it knows of the value: it would leave the
    // mask out. An empty packet becomes one that is too long, and cannot be read.
    let length = unsafe { core::ptr::read_volatile(length) };
    (length.wrapping_sub(BEGIN + 1) & (WIDTH - 1)) + BEGIN + 1
}

/// Counts a loss, in all and of the interface.
#[inline(always)]
fn lose(ifindex: u32, cause: u32) {
    count(cause);
    let none = LostPackets::default();
    let lost = LOST.get_ptr_mut(ifindex).or_else(|| {
        // Without room for it the loss is known for all interfaces together only.
        let _made = LOST.insert(ifindex, none, u64::from(BPF_NOEXIST));
        LOST.get_ptr_mut(ifindex)
    });
    if let Some(lost) = lost {
        // SAFETY: a live map value.
        let counter = unsafe {
            if cause == captured::RING_FULL {
                &raw mut (*lost).ring_full
            } else {
                &raw mut (*lost).copy_failed
            }
        };
        account::add(counter, 1);
    }
}

#[inline(always)]
fn count(cause: u32) {
    if let Some(slot) = CAPTURED.get_ptr_mut(cause) {
        account::add(slot, 1);
    }
}
