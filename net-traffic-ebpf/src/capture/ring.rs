//! Writes a packet to the ring of the current CPU.
//!
//! One ring per CPU: no CPU waits for another, and the ring's pages are in that CPU's cache. The verifier demands a
//! constant record size, so that there are classes of sizes.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve,
        bpf_ringbuf_submit,
    },
};
use net_traffic_common::packet::{LostPackets, PacketRecord, captured};

use super::{record::Octets, setting};
use crate::{
    account,
    maps::{CAPTURED, LOST_PACKETS, RINGS},
};

const HEAD: usize = size_of::<PacketRecord>();

/// Counts the packet as received, and as lost if it does not reach the ring.
#[inline(always)]
pub(crate) fn output(octets: impl Octets, record: PacketRecord) {
    count(captured::RECEIVED);
    let snaplen = setting!(snaplen);
    let record =
        PacketRecord { captured: if record.length > snaplen { snaplen } else { record.length }, ..record };
    // SAFETY: the helper has no requirement.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(ring) = RINGS.get(cpu) else { return lose(record.ifindex, captured::RING_FULL) };
    let ring: *mut c_void = core::ptr::from_ref(ring).cast_mut().cast();
    // Each class begins where the one before ends and is a power of two wide.
    let written = match record.captured {
        0..=64 => write::<0, 64>(ring, octets, &record),
        65..=128 => write::<64, 64>(ring, octets, &record),
        129..=256 => write::<128, 128>(ring, octets, &record),
        257..=512 => write::<256, 256>(ring, octets, &record),
        513..=1024 => write::<512, 512>(ring, octets, &record),
        1025..=1536 => write::<1024, 512>(ring, octets, &record),
        1537..=3584 => write::<1536, 2048>(ring, octets, &record),
        3585..=11_776 => write::<3584, 8192>(ring, octets, &record),
        11_777..=28_160 => write::<11_776, 16_384>(ring, octets, &record),
        28_161..=60_928 => write::<28_160, 32_768>(ring, octets, &record),
        60_929..=126_464 => write::<60_928, 65_536>(ring, octets, &record),
        _ => write::<126_464, 262_144>(ring, octets, &record),
    };
    if let Err(cause) = written {
        lose(record.ifindex, cause);
    }
}

#[inline(always)]
fn write<const BEGIN: u32, const WIDTH: u32>(
    ring: *mut c_void,
    octets: impl Octets,
    record: &PacketRecord,
) -> Result<(), u32> {
    const AVAILABLE: u64 = 0;
    let wake = u64::from(setting!(wake_bytes));
    // SAFETY: a ring; the record's size is a constant; a reserved record is submitted or discarded once.
    unsafe {
        let before = bpf_ringbuf_query(ring, AVAILABLE);
        let size = HEAD as u64 + u64::from(BEGIN + WIDTH);
        let place: *mut c_void = bpf_ringbuf_reserve(ring, size, 0);
        if place.is_null() {
            return Err(captured::RING_FULL);
        }
        place.cast::<PacketRecord>().write(*record);
        let length = bounded::<BEGIN, WIDTH>(&record.captured);
        if !octets.copy(place.byte_add(HEAD), length) {
            bpf_ringbuf_discard(place, u64::from(BPF_RB_NO_WAKEUP));
            return Err(captured::COPY_FAILED);
        }
        // The reader polls. It is woken once when `wake_bytes` are in the ring, and not for each packet.
        let crosses = before < wake && before + size >= wake;
        let flag = if crosses { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
        bpf_ringbuf_submit(place, u64::from(flag));
    }
    Ok(())
}

/// The length, computed so that the verifier can prove that it is within the class: the verifier tracks masks, and
/// comparisons only in a form that the compiler does not keep.
#[inline(always)]
fn bounded<const BEGIN: u32, const WIDTH: u32>(length: &u32) -> u32 {
    // SAFETY: a reference is readable. The read is volatile because the compiler would omit the mask if it knew the
    // value's range. An empty packet gets a length of 64, and the copy fails.
    let length = unsafe { core::ptr::read_volatile(length) };
    (length.wrapping_sub(BEGIN + 1) & (WIDTH - 1)) + BEGIN + 1
}

/// Counts a loss, in total and of the interface.
#[inline(always)]
fn lose(ifindex: u32, cause: u32) {
    count(cause);
    let none = LostPackets::default();
    let lost = LOST_PACKETS.get_ptr_mut(ifindex).or_else(|| {
        // A loss that finds this map full is in the total only.
        let _inserted = LOST_PACKETS.insert(ifindex, none, u64::from(BPF_NOEXIST));
        LOST_PACKETS.get_ptr_mut(ifindex)
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
