//! The bpf(2) calls that aya 0.14 does not make: iterators over one map, program statistics, lookup-and-delete.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya::Pod;

const MAP_LOOKUP_AND_DELETE_ELEM: libc::c_long = 21;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const LINK_CREATE: libc::c_long = 28;
const ITER_CREATE: libc::c_long = 33;
const TRACE_ITER: u32 = 28;

/// An iterator program that is attached, over one map if the target asks for it.
#[derive(Debug)]
pub struct IterLink(OwnedFd);

impl IterLink {
    /// Attaches `program`; `map` is what it walks over.
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
        // `union bpf_iter_link_info`: the map's descriptor, or a thread and a process to stay with (here: all).
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

    /// Walks once, for what the program does and not for what it writes.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn run(&self) -> io::Result<()> {
        io::copy(&mut self.walk()?, &mut io::sink()).map(drop)
    }

    /// Starts one walk; reading the file drives it.
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

/// A program that sees the packets of one interface; it is detached when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct TcxLink {
    _fd: OwnedFd,
}

impl TcxLink {
    /// Attaches `program` before all others to an interface of the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel's refusal: `EINVAL` where it has no such links.
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

/// Where a program for frames that arrive runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before the kernel has a buffer for the frame.
    Driver,
    /// Behind it.
    Generic,
}

/// A program that sees the frames that arrive at one interface; it is detached when this is dropped, or when the
/// process ends.
#[derive(Debug)]
pub struct XdpLink {
    _fd: OwnedFd,
}

impl XdpLink {
    /// Attaches `program` to an interface of the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel's refusal, `EBUSY` where another such program is attached.
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

/// What the kernel knows of a loaded program: the end of `struct bpf_prog_info`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgramStats {
    /// Counted only while [`measures_run_time`].
    pub run_time_ns: u64,
    /// Events that were skipped because the program was running already on that CPU.
    pub recursion_misses: u64,
}

/// Asks for a program's statistics.
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
    // `struct bpf_prog_info` as of Linux 5.16, in words of eight bytes; older kernels fill in less.
    let mut info = [0_u64; 29];
    let attr = GetInfo { fd: program.as_raw_fd(), length: 232, info: (&raw mut info) as u64 };
    // SAFETY: `attr` and `info` live until the call returns; the length is that of `info`.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &attr) }?;
    Ok(ProgramStats { run_time_ns: info[24], recursion_misses: info[26] })
}

/// Whether the kernel takes the time of eBPF programs (`kernel.bpf_stats_enabled`), which costs some itself.
#[must_use]
pub fn measures_run_time() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|value| value.trim() == "1")
}

/// The memory of all maps that this process holds, as the kernel accounts for it.
///
/// # Errors
/// When /proc is not there.
pub fn map_bytes() -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc/self/fdinfo")? {
        // The descriptor of this very listing is gone by now.
        let Ok(info) = std::fs::read_to_string(entry?.path()) else { continue };
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        if field("map_type:").is_some() {
            sum += field("memlock:").and_then(|bytes| bytes.trim().parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Removes an entry of a hash and gives what it held, in one step.
///
/// # Errors
/// The kernel's refusal; `NotFound` if there is no such entry.
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
