//! Frames that a process sends through packet sockets: [packet(7)].
//!
//! [packet(7)]: https://man7.org/linux/man-pages/man7/packet.7.html

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use net_traffic_model::Direction;

use super::pair;
use super::sheet::Tool;
use crate::suite::skips::Reason;

/// An `EtherType` for local experiments, which no protocol handler of the kernel receives.
const ETH_P_802_EX1: u16 = 0x88b5;

/// Every byte that the process writes is its payload. A `SOCK_RAW` socket writes the link header too; for `SOCK_DGRAM`
/// the kernel adds the header, which is overhead. The receiving namespace has no socket for the frames, so their bytes
/// count as kernel or forwarded bytes.
pub(super) fn frames() -> Result<(), Reason> {
    const RAW_LEN: usize = 600;
    const RAW_COUNT: usize = 100;
    const DGRAM_LEN: usize = 300;
    const DGRAM_COUNT: usize = 50;
    let (one, other) = pair()?;
    let (mut sender, mut receiver) = (Tool::watch(&one), Tool::watch(&other));
    let before = sender.sent_by_us();
    one.run(|| {
        let ifindex = nix::net::if_::if_nametoindex("a").unwrap();
        let mut frame = vec![b'f'; RAW_LEN];
        frame[..12].copy_from_slice(&[0x02; 12]);
        frame[12..14].copy_from_slice(&ETH_P_802_EX1.to_be_bytes());
        send_frames(libc::SOCK_RAW, ifindex, &frame, RAW_COUNT).unwrap();
        send_frames(libc::SOCK_DGRAM, ifindex, &[b'd'; DGRAM_LEN], DGRAM_COUNT).unwrap();
    });
    let written = (RAW_LEN * RAW_COUNT + DGRAM_LEN * DGRAM_COUNT) as u64;
    let sheet = sender.read();
    let line = sheet.line("a", Direction::Tx);
    assert_eq!((line.payload, line.overhead, line.forwarded), (written, 14 * DGRAM_COUNT as u64, 0));
    assert_eq!(sender.sent_by_us() - before, written);
    let sheet = receiver.read();
    let line = sheet.line("b", Direction::Rx);
    assert_eq!(line.payload + line.overhead, 0);
    assert!(line.kernel + line.forwarded >= written);
    Ok(())
}

fn send_frames(socket_type: libc::c_int, ifindex: u32, frame: &[u8], count: usize) -> io::Result<()> {
    // SAFETY: the call takes integers only.
    let fd = unsafe { libc::socket(libc::AF_PACKET, socket_type, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just created this descriptor, and no other code owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the struct consists of integers, so all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = ETH_P_802_EX1.to_be();
    address.sll_ifindex = i32::try_from(ifindex).map_err(io::Error::other)?;
    address.sll_halen = 6;
    address.sll_addr = [0x02; 8];
    let size = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    for _ in 0..count {
        // SAFETY: the buffer and the address live during the call and have the given sizes.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                size,
            )
        };
        if usize::try_from(sent) != Ok(frame.len()) {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
