//! The bpf(2) calls that aya 0.14 does not make, or not in the way that is needed here.
//!
//! aya has no iterator over one map, no statistics of skipped runs and no public lookup-and-delete. Its tcx and XDP
//! links need the program by `&mut` and the interface by name, in the network namespace of the calling thread. Here
//! another collector owns the programs, and a thread in another namespace attaches a duplicate of their descriptor to an
//! interface index.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya::Pod;
use aya_obj::generated::bpf_prog_info;

const MAP_LOOKUP_AND_DELETE_ELEM: libc::c_long = 21;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const LINK_CREATE: libc::c_long = 28;
const ITER_CREATE: libc::c_long = 33;
const TRACE_ITER: u32 = 28;

/// An attached iterator program.
#[derive(Debug)]
pub struct IterLink(OwnedFd);

impl IterLink {
    /// Attaches `program`. An iterator over the elements of a map needs the `map`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn attach(program: BorrowedFd<'_>, map: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        #[repr(C)]
        struct LinkCreate {
            program: i32,
            target: u32,
            attach_type: u32,
            flags: u32,
            iter_info: u64,
            iter_info_len: u32,
            _pad: u32,
        }
        // `union bpf_iter_link_info`: the map's descriptor, or the thread and the process to walk over; 0 is all
        // (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L121>).
        let info: [u32; 4] = [map.map_or(0, |map| map.as_raw_fd().cast_unsigned()), 0, 0, 0];
        let attr = LinkCreate {
            program: program.as_raw_fd(),
            target: 0,
            attach_type: TRACE_ITER,
            flags: 0,
            iter_info: if map.is_some() { (&raw const info) as u64 } else { 0 },
            iter_info_len: if map.is_some() { 16 } else { 0 },
            _pad: 0,
        };
        // SAFETY: `attr` and what it points to live until the call returns.
        unsafe { bpf_fd(LINK_CREATE, &attr) }.map(Self)
    }

    /// Walks once and drops the output of the program.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn run(&self) -> io::Result<()> {
        io::copy(&mut self.walk()?, &mut io::sink()).map(drop)
    }

    /// Starts one walk. Each read of the file continues it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn walk(&self) -> io::Result<File> {
        #[repr(C)]
        struct IterCreate {
            link: i32,
            flags: u32,
        }
        let attr = IterCreate { link: self.0.as_raw_fd(), flags: 0 };
        // SAFETY: `attr` lives until the call returns.
        unsafe { bpf_fd(ITER_CREATE, &attr) }.map(File::from)
    }
}

/// A program on one interface, by tcx. The kernel detaches it when this is dropped or the process ends.
#[derive(Debug)]
pub struct TcxLink {
    _fd: OwnedFd,
}

impl TcxLink {
    /// Attaches `program` before all others to an interface of the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel's refusal: `EINVAL` before Linux 6.6, which has no tcx.
    pub fn attach(program: BorrowedFd<'_>, ifindex: u32, ingress: bool) -> io::Result<Self> {
        const BPF_TCX_INGRESS: u32 = 46;
        const BPF_TCX_EGRESS: u32 = 47;
        const BPF_F_BEFORE: u32 = 1 << 3;
        #[repr(C)]
        struct LinkCreate {
            program: i32,
            ifindex: u32,
            attach_type: u32,
            flags: u32,
            relative: u32,
            _pad: u32,
            expected_revision: u64,
        }
        let attr = LinkCreate {
            program: program.as_raw_fd(),
            ifindex,
            attach_type: if ingress { BPF_TCX_INGRESS } else { BPF_TCX_EGRESS },
            flags: BPF_F_BEFORE,
            relative: 0,
            _pad: 0,
            expected_revision: 0,
        };
        // SAFETY: `attr` lives until the call returns.
        unsafe { bpf_fd(LINK_CREATE, &attr) }.map(|fd| Self { _fd: fd })
    }
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before the kernel allocates an `skb` for the frame.
    Driver,
    /// In the network stack, on the `skb`.
    Generic,
}

/// An XDP program on one interface. The kernel detaches it when this is dropped or the process ends.
#[derive(Debug)]
pub struct XdpLink {
    _fd: OwnedFd,
}

impl XdpLink {
    /// Attaches `program` to an interface of the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel's refusal: `EBUSY` where another XDP program is attached.
    pub fn attach(program: BorrowedFd<'_>, ifindex: u32, mode: XdpMode) -> io::Result<Self> {
        const BPF_XDP: u32 = 37;
        #[repr(C)]
        struct LinkCreate {
            program: i32,
            ifindex: u32,
            attach_type: u32,
            flags: u32,
        }
        let flags = match mode {
            XdpMode::Generic => 1 << 1,
            XdpMode::Driver => 1 << 2,
        };
        let attr = LinkCreate { program: program.as_raw_fd(), ifindex, attach_type: BPF_XDP, flags };
        // SAFETY: `attr` lives until the call returns.
        unsafe { bpf_fd(LINK_CREATE, &attr) }.map(|fd| Self { _fd: fd })
    }
}

/// The statistics of a loaded program.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgramStats {
    /// Counted only while [`measures_run_time`].
    pub run_time_ns: u64,
    /// Events that the kernel skipped because the program was running already on that CPU
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/trampoline.c#L908>).
    pub recursion_misses: u64,
}

/// Reads a program's statistics from `struct bpf_prog_info`.
///
/// # Errors
/// The kernel's refusal.
pub fn program_stats(program: BorrowedFd<'_>) -> io::Result<ProgramStats> {
    #[repr(C)]
    struct GetInfo {
        fd: i32,
        length: u32,
        info: u64,
    }
    // SAFETY: zero is a value of each of its members: they are numbers.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let length = u32::try_from(size_of::<bpf_prog_info>()).unwrap_or(u32::MAX);
    // An older kernel has a shorter struct and leaves the rest as it is.
    let attr = GetInfo { fd: program.as_raw_fd(), length, info: (&raw mut info) as u64 };
    // SAFETY: `attr` and `info` live until the call returns; the length is that of `info`.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &attr) }?;
    Ok(ProgramStats { run_time_ns: info.run_time_ns, recursion_misses: info.recursion_misses })
}

/// Whether the kernel measures the run time of eBPF programs: the sysctl `kernel.bpf_stats_enabled`
/// (<https://docs.kernel.org/admin-guide/sysctl/kernel.html#bpf-stats-enabled>).
#[must_use]
pub fn measures_run_time() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|value| value.trim() == "1")
}

/// The memory of all maps that this process has open: the sum of `memlock` in `/proc/self/fdinfo`.
///
/// # Errors
/// Without /proc.
pub fn map_bytes() -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc/self/fdinfo")? {
        // The descriptor of the directory itself is closed by then.
        let Ok(info) = std::fs::read_to_string(entry?.path()) else { continue };
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        if field("map_type:").is_some() {
            sum += field("memlock:").and_then(|bytes| bytes.trim().parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Removes an entry of a hash map and returns its value, in one step.
///
/// # Errors
/// The kernel's refusal: `NotFound` without such an entry.
pub fn lookup_and_delete<K: Pod, V: Pod>(map: BorrowedFd<'_>, key: &K, mut value: V) -> io::Result<V> {
    #[repr(C)]
    struct Element {
        map: i32,
        _pad: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let attr = Element {
        map: map.as_raw_fd(),
        _pad: 0,
        key: std::ptr::from_ref(key) as u64,
        value: (&raw mut value) as u64,
        flags: 0,
    };
    // SAFETY: key and value are plain bytes of the map's sizes and live until the call returns.
    unsafe { bpf(MAP_LOOKUP_AND_DELETE_ELEM, &attr) }?;
    Ok(value)
}

/// # Safety
/// `attr` is the kernel's `union bpf_attr` for `command`, and what it points to is valid.
unsafe fn bpf<T>(command: libc::c_long, attr: &T) -> io::Result<libc::c_long> {
    // SAFETY: as the caller promises.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// # Safety
/// As for [`bpf`], for a command that returns a new descriptor.
unsafe fn bpf_fd<T>(command: libc::c_long, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: as the caller promises.
    let fd = unsafe { bpf(command, attr) }?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
