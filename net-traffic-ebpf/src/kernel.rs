//! Reading the kernel's structs: members at the offsets that the loader finds in the running kernel's BTF.

mod structs;

use core::{ffi::c_void, ptr::read_volatile};

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_get_socket_cookie, bpf_probe_read_kernel as probe_read_kernel, bpf_skc_to_tcp_sock},
};
use net_traffic_common::{Ancestor, Hierarchy, Offsets, PROTOCOL_TCP};

pub(crate) use self::structs::{Cgroup, Sk, Socket, Task, TcpSk};

/// Set by the loader; the verifier treats each member as a constant.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::UNKNOWN;

/// The process whose descendants are traced; set by the loader.
#[unsafe(no_mangle)]
pub(crate) static ANCESTOR: Ancestor =
    Ancestor { namespace_device: 0, namespace_inode: 0, pid: 0, reserved: 0 };

/// The hierarchy whose cgroup is reported of a process; set by the loader.
#[unsafe(no_mangle)]
pub(crate) static HIERARCHY: Hierarchy = Hierarchy { id: 0, subsystem: 0 };

/// 1 if counters are kept by the socket's address instead of in its storage; set by the loader.
#[unsafe(no_mangle)]
static BY_ADDRESS: u32 = 0;

/// The offset of one member, as a constant for the verifier that the compiler does not fold.
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

/// How a program reads kernel memory, which follows from the type that the verifier has for the pointer.
pub(crate) trait Memory: Copy {
    /// Whether the helper for socket storage refuses the pointer.
    const BY_ADDRESS: bool;

    /// Reads the `T` that lies `offset` bytes into the struct at `base`.
    ///
    /// # Safety
    /// `base` points to a struct of the kernel that has such a member.
    unsafe fn read<T: Copy + Default>(base: *const c_void, offset: u32) -> T;

    /// The socket as a TCP socket; null for other protocols.
    ///
    /// # Safety
    /// `sk` points to a `struct sock`.
    unsafe fn tcp(sk: *const c_void) -> *const c_void;

    /// The socket's cookie; 0 if it has none and the program cannot make one.
    ///
    /// # Safety
    /// `sk` points to a `struct sock`.
    unsafe fn cookie(sk: *const c_void) -> u64;
}

/// A pointer with a BTF type: every read is a load, and the kernel's exception table makes a faulting one
/// read zero ([`BPF_PROBE_MEM`]).
///
/// [`BPF_PROBE_MEM`]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/filter.h#L71
#[derive(Clone, Copy)]
pub(crate) struct Typed;
/// An untyped pointer: every read is a `bpf_probe_read_kernel`.
#[derive(Clone, Copy)]
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
        // SAFETY: the helper checks the kind of socket.
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
        // SAFETY: the helper fills the destination with zeros when the address cannot be read. There is no branch on
        // the result, because each would double the paths that the verifier walks.
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
unsafe fn read_octets<const N: usize>(base: *const c_void, offset: u32) -> [u8; N] {
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

pub(crate) use offset;
