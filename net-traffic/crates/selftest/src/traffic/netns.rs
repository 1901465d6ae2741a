//! A network namespace of the calling thread's own, with nothing in it but loopback.

use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::error::{Attempt, TrafficError};

/// While it lives, the thread that made it is in the new namespace, and so is every process which that thread starts.
/// Dropping it takes the thread back; the namespace ends with its last process.
pub struct NetNs {
    before: File,
    /// The namespace belongs to one thread, so the guard must stay there.
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
        // Going back to a namespace that the thread came from, with the right that it used to leave, does not fail;
        // and a thread that stays behind would only see a loopback without peers.
        let _ = setns(&self.before, CloneFlags::CLONE_NEWNET);
    }
}

nix::ioctl_write_ptr_bad!(set_interface_flags, libc::SIOCSIFFLAGS, libc::ifreq);

fn bring_up_loopback() -> Result<(), TrafficError> {
    let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .attempt("open a socket to configure loopback")?;
    // SAFETY: ifreq is plain integers and unions of them, for which zeroes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    #[expect(clippy::cast_possible_truncation, reason = "the flags are bits 0 and 6 of 16")]
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: the request names an interface and has its flags set, which is what SIOCSIFFLAGS reads.
    unsafe { set_interface_flags(any.as_raw_fd(), &raw const request) }.attempt("bring loopback up")?;
    Ok(())
}
