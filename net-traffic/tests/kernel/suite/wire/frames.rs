//! Processes that send frames by packet sockets.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use net_traffic_model::Direction;

use super::pair;
use super::sheet::Tool;
use crate::suite::skips::Reason;

/// An Ethernet type for experiments.
const EXPERIMENT: u16 = 0x88b5;

/// With and without a link header: each written byte is payload of the process. At the receiving end no socket wants the
/// frames, so they belong to the kernel.
pub(super) fn frames() -> Result<(), Reason> {
    const WHOLE: (usize, usize) = (600, 100);
    const HEADLESS: (usize, usize) = (300, 50);
    let (one, other) = pair()?;
    let (mut here, mut there) = (Tool::watch(&one), Tool::watch(&other));
    let before = here.sent_by_us();
    one.run(|| {
        let ifindex = nix::net::if_::if_nametoindex("a").unwrap();
        let mut frame = vec![b'f'; WHOLE.0];
        frame[..12].copy_from_slice(&[0x02; 12]);
        frame[12..14].copy_from_slice(&EXPERIMENT.to_be_bytes());
        write(libc::SOCK_RAW, ifindex, &frame, WHOLE.1).unwrap();
        write(libc::SOCK_DGRAM, ifindex, &[b'd'; HEADLESS.0], HEADLESS.1).unwrap();
    });
    let written = (WHOLE.0 * WHOLE.1 + HEADLESS.0 * HEADLESS.1) as u64;
    let sheet = here.read();
    let line = sheet.line("a", Direction::Tx);
    assert_eq!((line.payload, line.overhead, line.forwarded), (written, 14 * HEADLESS.1 as u64, 0));
    assert_eq!(here.sent_by_us() - before, written);
    let sheet = there.read();
    let line = sheet.line("b", Direction::Rx);
    assert_eq!(line.payload + line.overhead, 0);
    assert!(line.kernel + line.forwarded >= written);
    Ok(())
}

fn write(kind: libc::c_int, ifindex: u32, bytes: &[u8], times: usize) -> io::Result<()> {
    // SAFETY: the call takes integers only.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just created this descriptor, and no other code owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the struct consists of integers, so all zeroes is a valid value.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    to.sll_protocol = EXPERIMENT.to_be();
    to.sll_ifindex = i32::try_from(ifindex).map_err(io::Error::other)?;
    to.sll_halen = 6;
    to.sll_addr = [0x02; 8];
    let size = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    for _ in 0..times {
        // SAFETY: the buffer and the address live during the call and have the given sizes.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const to).cast(),
                size,
            )
        };
        if usize::try_from(sent) != Ok(bytes.len()) {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
