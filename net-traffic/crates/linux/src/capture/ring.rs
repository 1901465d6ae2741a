//! A BPF ring buffer: made, mapped, and read without copying.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

const MAP_CREATE: libc::c_long = 0;
const RINGBUF: u32 = 27;
/// In a record's first word: it is being written; it was discarded.
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
const HEADER: usize = 8;
/// The writer looks at how far the reader is for every record: to tell it each time would take that memory from its
/// CPU each time. A part of the ring, so that a small one does not seem full.
const TOLD: usize = 64;

/// The reading end. The kernel's programs write.
pub(super) struct Ring {
    map: OwnedFd,
    /// One page with the place that was read up to.
    consumer: Mapping,
    /// One page with the place that was written up to, and the data twice in a row, so that no record is in two pieces.
    producer: Mapping,
    size: usize,
    page: usize,
}

struct Mapping {
    address: NonNull<libc::c_void>,
    length: usize,
}

// SAFETY: the memory belongs to the ring alone, and what the kernel writes is read with atomic operations.
unsafe impl Send for Mapping {}

impl Ring {
    /// `size` is a power of two and a multiple of the page size.
    pub(super) fn new(size: u32) -> io::Result<Self> {
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
            Attributes { kind: RINGBUF, key_size: 0, value_size: 0, max_entries: size, flags: 0 };
        // SAFETY: the attributes are as large as is said and outlive the call.
        let fd = unsafe {
            libc::syscall(libc::SYS_bpf, MAP_CREATE, std::ptr::from_ref(&attributes), size_of::<Attributes>())
        };
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let map = unsafe { OwnedFd::from_raw_fd(fd) };
        let page = page_size()?;
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let consumer = Mapping::new(&map, page, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, 0)?;
        let offset = i64::try_from(page).map_err(io::Error::other)?;
        let producer = Mapping::new(&map, page + 2 * size, ProtFlags::PROT_READ, offset)?;
        Ok(Self { map, consumer, producer, size, page })
    }

    /// Hands over the records that are complete, in order, until `take` refuses one, which stays.
    pub(super) fn read(&mut self, mut take: impl FnMut(&[u8]) -> bool) {
        // SAFETY: both pages begin with a position, and live as long as the ring.
        let (consumed, produced) = unsafe {
            (
                self.consumer.address.cast::<AtomicU64>().as_ref(),
                self.producer.address.cast::<AtomicU64>().as_ref(),
            )
        };
        let mut at = consumed.load(Ordering::Relaxed);
        let mut told = at;
        let mut known = produced.load(Ordering::Acquire);
        loop {
            if at >= known {
                known = produced.load(Ordering::Acquire);
                if at >= known {
                    break;
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "the remainder is smaller than the ring")]
            let place = self.page + (at & (self.size as u64 - 1)) as usize;
            // SAFETY: a record's header, aligned to eight octets, within the mapping.
            let header = unsafe { self.producer.address.byte_add(place).cast::<AtomicU32>().as_ref() };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let length = (header & !(BUSY | DISCARD)) as usize;
            if header & DISCARD == 0 && length <= self.size {
                let data = self.producer.address.cast::<u8>();
                // SAFETY: the record is complete, and is not written again before the position moves on; the data is
                // mapped twice in a row.
                let record = unsafe { std::slice::from_raw_parts(data.add(place + HEADER).as_ptr(), length) };
                if !take(record) {
                    break;
                }
            }
            at += (length + HEADER).next_multiple_of(8) as u64;
            if at - told >= (self.size / TOLD) as u64 {
                told = at;
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
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let address = unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, map.as_fd(), offset) }?;
        Ok(Self { address, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by us at this address with this length, and used by nobody any more. Unmapping what is
        // mapped does not fail.
        let _unmapped = unsafe { munmap(self.address, self.length) };
    }
}

fn page_size() -> io::Result<usize> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?.unwrap_or(4096);
    usize::try_from(size).map_err(io::Error::other)
}

/// Puts the ring into an array of maps.
pub(super) fn put(array: BorrowedFd<'_>, place: u32, ring: &Ring) -> io::Result<()> {
    const MAP_UPDATE_ELEM: libc::c_long = 2;
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
        key: (&raw const place) as u64,
        value: (&raw const value) as u64,
        flags: 0,
    };
    // SAFETY: the attributes are as large as is said; key and value outlive the call and have the map's sizes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            MAP_UPDATE_ELEM,
            std::ptr::from_ref(&attributes),
            size_of::<Attributes>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
