//! Sets promiscuous mode on an interface. The kernel ends the mode with the packet socket that requested it
//! (<https://github.com/gregkh/linux/blob/v6.12.117/net/packet/af_packet.c#L3877>).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SIZE: libc::socklen_t = 16;
const _: () = assert!(size_of::<libc::packet_mreq>() == 16);

pub(super) struct Promiscuous {
    _socket: OwnedFd,
}

impl Promiscuous {
    pub(super) fn on(ifindex: u32) -> io::Result<Self> {
        // A packet socket with protocol 0 receives nothing (<https://man7.org/linux/man-pages/man7/packet.7.html>).
        // SAFETY: the call takes no pointer.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and this function has the only copy.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let request = libc::packet_mreq {
            mr_ifindex: ifindex.cast_signed(),
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or(1),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: the request has the size that is passed, and outlives the call.
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
