//! Reading the kernel's own structs: fields at the offsets that the loader found in the running kernel's BTF.

use core::{ffi::c_void, ptr::read_volatile};

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_task_btf,
    generated::{bpf_get_socket_cookie, bpf_probe_read_kernel as probe_read_kernel, bpf_skc_to_tcp_sock},
};
use net_traffic_common::{Ancestor, Hierarchy, Offsets, PROTOCOL_TCP, ProcessKey};

/// Set by the loader; the verifier takes each member as a constant.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::UNKNOWN;

/// Whose descendants are traced; set by the loader.
#[unsafe(no_mangle)]
pub(crate) static ANCESTOR: Ancestor =
    Ancestor { namespace_device: 0, namespace_inode: 0, pid: 0, reserved: 0 };

/// Which cgroup of a process is reported; set by the loader.
#[unsafe(no_mangle)]
pub(crate) static HIERARCHY: Hierarchy = Hierarchy { id: 0, subsystem: 0 };

/// 1 if sockets are kept by address instead of in their own storage; set by the loader.
#[unsafe(no_mangle)]
static BY_ADDRESS: u32 = 0;

/// The offset of one member, as a constant that the verifier knows and the compiler does not fold.
macro_rules! offset {
    ($member:ident) => {
        $crate::kernel::constant(&$crate::kernel::OFFSETS.$member)
    };
}

#[inline(always)]
pub(crate) fn constant(value: &u32) -> u32 {
    // SAFETY: a reference is readable.
    unsafe { read_volatile(value) }
}

#[inline(always)]
pub(crate) fn constant_u64(value: &u64) -> u64 {
    // SAFETY: a reference is readable.
    unsafe { read_volatile(value) }
}

#[inline(always)]
pub(crate) fn by_address() -> bool {
    constant(&BY_ADDRESS) != 0
}

/// How a program may read kernel memory, and what else the verifier lets it do with a pointer.
pub(crate) trait Memory {
    /// Whether the storage of a socket is out of reach.
    const BY_ADDRESS: bool;

    /// Reads the `T` that lies `offset` bytes into the struct at `base`.
    ///
    /// # Safety
    /// `base` points to a struct of the kernel that has such a member.
    unsafe fn read<T: Copy + Default>(base: *const c_void, offset: u32) -> T;

    /// The socket as a TCP socket, or null if it is none.
    ///
    /// # Safety
    /// `sk` points to a `struct sock`.
    unsafe fn tcp(sk: *const c_void) -> *const c_void;

    /// The socket's cookie; 0 if it has none and this program cannot make one.
    ///
    /// # Safety
    /// `sk` points to a `struct sock`.
    unsafe fn cookie(sk: *const c_void) -> u64;
}

/// The pointer's type is known to the verifier: a load, checked by the kernel's exception table.
pub(crate) struct Typed;
/// The pointer is a number: a helper call for each read.
pub(crate) struct Untyped;

impl Memory for Typed {
    const BY_ADDRESS: bool = false;

    #[inline(always)]
    unsafe fn read<T: Copy + Default>(base: *const c_void, offset: u32) -> T {
        // SAFETY: the verifier refuses the program unless a member of this size lies there.
        unsafe { read_volatile(base.byte_add(offset as usize).cast::<T>()) }
    }

    #[inline(always)]
    unsafe fn tcp(sk: *const c_void) -> *const c_void {
        // SAFETY: the helper checks what kind of socket it is.
        unsafe { bpf_skc_to_tcp_sock(sk.cast_mut()).cast() }
    }

    #[inline(always)]
    unsafe fn cookie(sk: *const c_void) -> u64 {
        // SAFETY: the helper checks the socket.
        unsafe { bpf_get_socket_cookie(sk.cast_mut()) }
    }
}

impl Memory for Untyped {
    const BY_ADDRESS: bool = true;

    #[inline(always)]
    unsafe fn read<T: Copy + Default>(base: *const c_void, offset: u32) -> T {
        let mut value = T::default();
        // SAFETY: the helper fills the destination with zeros when the address cannot be read. Without a branch on
        // its result: each would double the paths that the verifier walks.
        unsafe {
            probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, base.byte_add(offset as usize));
        }
        value
    }

    #[inline(always)]
    unsafe fn tcp(sk: *const c_void) -> *const c_void {
        // SAFETY: as the caller promises.
        let protocol: u16 = unsafe { Self::read(sk, offset!(sk_protocol)) };
        if protocol == PROTOCOL_TCP { sk } else { core::ptr::null() }
    }

    #[inline(always)]
    unsafe fn cookie(sk: *const c_void) -> u64 {
        // SAFETY: as the caller promises.
        unsafe { Self::read(sk, offset!(skc_cookie)) }
    }
}

/// Copies `N` octets from the struct at `base`, wherever the pointer came from.
///
/// # Safety
/// `base` points to a struct of the kernel that has such a member.
#[inline(always)]
pub(crate) unsafe fn read_octets<const N: usize>(base: *const c_void, offset: u32) -> [u8; N] {
    let mut octets = [0; N];
    // SAFETY: the helper refuses an address that cannot be read; the destination has `N` octets.
    unsafe { probe_read_kernel(octets.as_mut_ptr().cast(), N as u32, base.byte_add(offset as usize)) };
    octets
}

/// The PID (thread group) that runs now, in the initial PID namespace.
#[inline(always)]
pub(crate) fn current_pid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Whether a thread of the kernel's own runs now.
#[inline(always)]
pub(crate) fn is_kernel_thread() -> bool {
    const PF_KTHREAD: u32 = 0x0020_0000;
    // SAFETY: the current task.
    let flags: u32 = unsafe { Typed::read(bpf_get_current_task_btf().cast(), offset!(task_flags)) };
    flags & PF_KTHREAD != 0
}

/// The leader of the thread group that runs now.
#[inline(always)]
pub(crate) fn current_leader() -> *const c_void {
    // SAFETY: the current task has a leader.
    unsafe { Typed::read::<u64>(bpf_get_current_task_btf().cast(), offset!(group_leader)) as *const c_void }
}

/// The key of the process whose leader `leader` is.
///
/// # Safety
/// `leader` points to a `struct task_struct`, with a type that the verifier knows or that is probed.
#[inline(always)]
pub(crate) unsafe fn process_key<M: Memory>(leader: *const c_void) -> ProcessKey {
    const TICK_NS: u64 = 10_000_000;
    // SAFETY: as the caller promises.
    let (pid, start_ns): (u32, u64) =
        unsafe { (M::read(leader, offset!(tgid)), M::read(leader, offset!(start_boottime))) };
    ProcessKey::new(pid, (start_ns / TICK_NS) as u32)
}

pub(crate) use offset;
