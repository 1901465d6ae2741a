//! A new network namespace for the calling thread, with loopback only.

use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::error::{Attempt, TrafficError};

/// A guard: the thread that made it is in the new namespace, and so is each process that the thread starts. Drop moves
/// the thread back. The namespace ends with its last process.
pub struct NetNs {
    before: File,
    /// A network namespace is per thread, so the guard is not `Send`.
    _this_thread: PhantomData<*const ()>,
}

impl NetNs {
    /// Needs `CAP_SYS_ADMIN`.
    ///
    /// # Errors
    /// When the kernel refuses the namespace or loopback cannot be brought up.
    pub fn enter_new() -> Result<Self, TrafficError> {
        let before =
            File::open("/proc/thread-self/ns/net").attempt("open this thread's network namespace")?;
        unshare(CloneFlags::CLONE_NEWNET).attempt("make a network namespace")?;
        let entered = Self { before, _this_thread: PhantomData };
        bring_up_loopback()?;
        Ok(entered)
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        // The thread has CAP_SYS_ADMIN, which unshare required, so setns succeeds. A thread that stayed in the
        // namespace would have a loopback without peers.
        let _ = setns(&self.before, CloneFlags::CLONE_NEWNET);
    }
}

nix::ioctl_write_ptr_bad!(set_interface_flags, libc::SIOCSIFFLAGS, libc::ifreq);

fn bring_up_loopback() -> Result<(), TrafficError> {
    let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .attempt("open a socket to configure loopback")?;
    // SAFETY: ifreq consists of integers and unions of integers, so all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    #[expect(clippy::cast_possible_truncation, reason = "the flags are bits 0 and 6 of 16")]
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: SIOCSIFFLAGS reads the name and the flags of the request, and both are set.
    unsafe { set_interface_flags(any.as_raw_fd(), &raw const request) }.attempt("bring loopback up")?;
    Ok(())
}
