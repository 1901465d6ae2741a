//! A netlink socket: sends a request, reads the messages of the answer, and passes their payloads to the caller.
//!
//! The meaning of a payload is the caller's: this module decodes message headers only.

mod bytes;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use linux_raw_sys::netlink::NETLINK_GET_STRICT_CHK;
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

pub(super) use self::bytes::{
    Attributes, Malformed, encode_attribute, read_address, read_u16, read_u32, read_u64,
};
use self::bytes::{Message, Messages, low_bits, request};

/// A netlink socket. The socket stays in the network namespace of the thread that opened it.
pub(super) struct Netlink {
    fd: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

/// Dumps per request: a dump during which the kernel's table changed is repeated.
const ATTEMPTS: usize = 4;
const REQUEST: u16 = low_bits(libc::NLM_F_REQUEST);
const REQUEST_DUMP: u16 = low_bits(libc::NLM_F_REQUEST | libc::NLM_F_DUMP);
const REQUEST_ACK: u16 = low_bits(libc::NLM_F_REQUEST | libc::NLM_F_ACK);
/// The kernel writes at most 32 KiB of a dump into one datagram
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/netlink/af_netlink.c#L1945>); a larger one grows the buffer.
const BUFFER: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 1 << 20;
/// A request without an answer ends with an error instead of a hang.
const TIMEOUT_SECONDS: i64 = 5;

impl Netlink {
    pub(super) fn open(protocol: SockProtocol) -> io::Result<Self> {
        let fd = socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        socket::setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        socket::setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(TIMEOUT_SECONDS))?;
        Ok(Self { fd, buffer: vec![0; BUFFER], sequence: 0 })
    }

    /// Makes the kernel check dump requests strictly (`NETLINK_GET_STRICT_CHK`). Without the check a dump ignores
    /// its attributes, `IFA_TARGET_NETNSID` among them
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/devinet.c#L1893>).
    ///
    /// # Errors
    /// Before Linux 4.20.
    pub(super) fn set_strict_check(&self) -> io::Result<()> {
        let yes: libc::c_int = 1;
        let length = libc::socklen_t::try_from(size_of_val(&yes)).map_err(io::Error::other)?;
        // SAFETY: the value has the length that is passed, and outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                NETLINK_GET_STRICT_CHK.cast_signed(),
                (&raw const yes).cast(),
                length,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Subscribes to multicast groups: one bit for each of the first 32.
    ///
    /// # Errors
    /// The kernel's refusal with its errno.
    pub(super) fn join(&self, groups: u32) -> io::Result<()> {
        Ok(socket::bind(self.fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?)
    }

    /// Passes every queued message to `consume`, with its type; false if the receive buffer overflowed.
    ///
    /// The kernel reports an overflow as `ENOBUFS`
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/net/netlink/af_netlink.c#L350>).
    ///
    /// # Errors
    /// The kernel's refusal with its errno, or `InvalidData` for a message that cannot be decoded.
    pub(super) fn drain_events(&mut self, mut consume: impl FnMut(u16, &[u8])) -> io::Result<bool> {
        loop {
            match socket::recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                        let message = message?;
                        consume(message.kind, message.payload);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(true),
                Err(Errno::ENOBUFS) => return Ok(false),
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// Decodes every answer of a dump, and appends the results to `into`; a `None` is left out.
    ///
    /// # Errors
    /// The kernel's refusal with its errno, or `InvalidData` for an answer that cannot be decoded.
    /// `into` is then as it was before.
    pub(super) fn dump<T>(
        &mut self,
        kind: u16,
        body: &[u8],
        into: &mut Vec<T>,
        decode: impl Fn(&[u8]) -> Result<Option<T>, Malformed>,
    ) -> io::Result<()> {
        let start = into.len();
        for _ in 0..ATTEMPTS {
            let complete = self.send(kind, REQUEST_DUMP, body).and_then(|()| self.read_dump(into, &decode));
            if let Ok(true) = complete {
                return Ok(());
            }
            into.truncate(start);
            complete?;
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "the kernel's table kept changing during the dump"))
    }

    /// Sends a request that has one answer, and decodes the answer.
    ///
    /// # Errors
    /// As for `dump`.
    pub(super) fn request_one<T>(
        &mut self,
        kind: u16,
        body: &[u8],
        decode: impl Fn(&[u8]) -> Result<Option<T>, Malformed>,
    ) -> io::Result<Option<T>> {
        self.send(kind, REQUEST, body)?;
        self.first_answer(|message| match i32::from(message.kind) {
            libc::NLMSG_ERROR => Some(message.status().map(|()| None)),
            _ => Some(decode(message.payload).map_err(io::Error::from)),
        })
    }

    /// Sends a request that changes something, and waits for the acknowledgement (`NLM_F_ACK`).
    ///
    /// # Errors
    /// The kernel's refusal with its errno.
    pub(super) fn request_ack(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.send(kind, REQUEST_ACK | flags, body)?;
        self.first_answer(|message| (i32::from(message.kind) == libc::NLMSG_ERROR).then(|| message.status()))
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.discard_unread();
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(kind, flags, self.sequence, body);
        loop {
            match socket::send(self.fd.as_raw_fd(), &request, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// The kernel refuses a second dump while an abandoned one has unread answers
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/net/netlink/af_netlink.c#L2410>), so those are read first.
    fn discard_unread(&mut self) {
        loop {
            match socket::recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }

    /// Reads messages until `accept` takes one that answers the last request.
    fn first_answer<T>(&mut self, accept: impl Fn(&Message<'_>) -> Option<io::Result<T>>) -> io::Result<T> {
        loop {
            let length = self.receive()?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                let message = message?;
                let answers = message.sequence == self.sequence;
                if let Some(result) = answers.then(|| accept(&message)).flatten() {
                    return result;
                }
            }
        }
    }

    /// Reads a dump to its end: true if the dump is complete and consistent.
    fn read_dump<T>(
        &mut self,
        into: &mut Vec<T>,
        decode: &impl Fn(&[u8]) -> Result<Option<T>, Malformed>,
    ) -> io::Result<bool> {
        let mut consistent = true;
        loop {
            let length = self.receive()?;
            let Some(datagram) = self.buffer.get(..length) else {
                self.buffer.resize(length, 0);
                return Ok(false);
            };
            for message in Messages(datagram) {
                let message = message?;
                if message.sequence != self.sequence {
                    continue;
                }
                consistent &= !message.is_interrupted();
                match i32::from(message.kind) {
                    libc::NLMSG_NOOP => {}
                    libc::NLMSG_DONE => return message.status().map(|()| consistent),
                    libc::NLMSG_ERROR => message.status()?,
                    libc::NLMSG_OVERRUN => return Ok(false),
                    _ => into.extend(decode(message.payload)?),
                }
            }
        }
    }

    /// Receives a datagram; returns its full length (`MSG_TRUNC`), which exceeds the buffer if the datagram was cut.
    fn receive(&mut self) -> io::Result<usize> {
        loop {
            match socket::recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => return Ok(length),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
