//! Creates and maps a BPF ring buffer, and reads the records without a copy
//! (<https://github.com/gregkh/linux/blob/v6.12.117/Documentation/bpf/ringbuf.rst>).

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aya_obj::generated::{
    BPF_RINGBUF_BUSY_BIT as BUSY, BPF_RINGBUF_DISCARD_BIT as DISCARD, BPF_RINGBUF_HDR_SZ, bpf_cmd,
    bpf_map_type,
};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

const HEADER: usize = BPF_RINGBUF_HDR_SZ as usize;
/// The consumer position is stored once per this part of the ring. The programs read the position for every record, and
/// each store moves the cache line from their CPU. A part of the ring, so that a small ring does not fill up meanwhile.
const STORES_PER_RING: usize = 64;

/// The reading side. eBPF programs write.
pub(super) struct Ring {
    map: OwnedFd,
    /// One page with the consumer position.
    consumer: Mapping,
    /// One page with the producer position, and the data mapped twice in a row, so that every record is contiguous
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/ringbuf.c#L105>).
    producer: Mapping,
    size: usize,
    page: usize,
}

struct Mapping {
    address: NonNull<libc::c_void>,
    length: usize,
}

// SAFETY: the ring is the only owner of the memory, and reads positions and headers by atomic operations.
unsafe impl Send for Mapping {}

impl Ring {
    /// `size` is a power of two and a multiple of the page size.
    pub(super) fn new(size: u32) -> io::Result<Self> {
        const MAP_TYPE: u32 = bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
        /// The first members of `union bpf_attr` for `BPF_MAP_CREATE`.
        #[repr(C)]
        struct Attributes {
            kind: u32,
            key_size: u32,
            value_size: u32,
            max_entries: u32,
            flags: u32,
        }
        let attributes =
            Attributes { kind: MAP_TYPE, key_size: 0, value_size: 0, max_entries: size, flags: 0 };
        let command = bpf_cmd::BPF_MAP_CREATE as libc::c_long;
        // SAFETY: the size is that of the attributes, which outlive the call.
        let fd = unsafe {
            libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(&attributes), size_of::<Attributes>())
        };
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and this function has the only copy.
        let map = unsafe { OwnedFd::from_raw_fd(fd) };
        let page = page_size()?;
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let consumer = Mapping::new(&map, page, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, 0)?;
        let offset = i64::try_from(page).map_err(io::Error::other)?;
        let producer = Mapping::new(&map, page + 2 * size, ProtFlags::PROT_READ, offset)?;
        Ok(Self { map, consumer, producer, size, page })
    }

    /// Passes complete records to `consume` in order, until `consume` returns false. A refused record stays in the ring.
    pub(super) fn read(&mut self, mut consume: impl FnMut(&[u8]) -> bool) {
        // SAFETY: both pages begin with a position, and stay mapped as long as the ring exists.
        let (consumed, produced) = unsafe {
            (
                self.consumer.address.cast::<AtomicU64>().as_ref(),
                self.producer.address.cast::<AtomicU64>().as_ref(),
            )
        };
        let mut at = consumed.load(Ordering::Relaxed);
        let mut stored = at;
        let mut end = produced.load(Ordering::Acquire);
        loop {
            if at >= end {
                end = produced.load(Ordering::Acquire);
                if at >= end {
                    break;
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "the remainder is smaller than the ring")]
            let place = self.page + (at & (self.size as u64 - 1)) as usize;
            // SAFETY: the header of a record, aligned to eight bytes, within the mapping.
            let header = unsafe { self.producer.address.byte_add(place).cast::<AtomicU32>().as_ref() };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let length = (header & !(BUSY | DISCARD)) as usize;
            if header & DISCARD == 0 && length <= self.size {
                let data = self.producer.address.cast::<u8>();
                // SAFETY: the record is complete and contiguous, and programs do not overwrite it before the consumer
                // position has passed.
                let record = unsafe { std::slice::from_raw_parts(data.add(place + HEADER).as_ptr(), length) };
                if !consume(record) {
                    break;
                }
            }
            at += (length + HEADER).next_multiple_of(8) as u64;
            if at - stored >= (self.size / STORES_PER_RING) as u64 {
                stored = at;
                consumed.store(at, Ordering::Release);
            }
        }
        consumed.store(at, Ordering::Release);
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl Mapping {
    fn new(map: &OwnedFd, length: usize, protection: ProtFlags, offset: i64) -> io::Result<Self> {
        let size = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel chooses the address of the new mapping.
        let address = unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, map.as_fd(), offset) }?;
        Ok(Self { address, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the address and the length are those of the mapping, and no reference to the memory remains. The call
        // does not fail for an existing mapping.
        let _unmapped = unsafe { munmap(self.address, self.length) };
    }
}

fn page_size() -> io::Result<usize> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?.unwrap_or(4096);
    usize::try_from(size).map_err(io::Error::other)
}

/// Stores the ring in an array of maps.
pub(super) fn put(array: BorrowedFd<'_>, index: u32, ring: &Ring) -> io::Result<()> {
    /// The members of `union bpf_attr` for `BPF_MAP_UPDATE_ELEM`.
    #[repr(C)]
    struct Attributes {
        map: u32,
        _pad: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let value = ring.map.as_raw_fd();
    let attributes = Attributes {
        map: array.as_raw_fd().cast_unsigned(),
        _pad: 0,
        key: (&raw const index) as u64,
        value: (&raw const value) as u64,
        flags: 0,
    };
    let command = bpf_cmd::BPF_MAP_UPDATE_ELEM as libc::c_long;
    // SAFETY: the size is that of the attributes; key and value outlive the call and have the map's sizes.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(&attributes), size_of::<Attributes>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
