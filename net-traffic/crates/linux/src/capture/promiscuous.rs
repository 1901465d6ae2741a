//! Asks an interface for packets to other hosts, for as long as this lives; the kernel forgets it with the socket.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SIZE: libc::socklen_t = 16;
const _: () = assert!(size_of::<libc::packet_mreq>() == 16);

pub(super) struct Promiscuous {
    _socket: OwnedFd,
}

impl Promiscuous {
    pub(super) fn on(ifindex: u32) -> io::Result<Self> {
        // Protocol 0: the socket itself gets no packets.
        // SAFETY: no memory is handed over.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let request = libc::packet_mreq {
            mr_ifindex: ifindex.cast_signed(),
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or(1),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: the request is of the size that is given and outlives the call.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                SIZE,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { _socket: socket }) }
    }
}
