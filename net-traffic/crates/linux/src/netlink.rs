//! Netlink dumps: sends one request and takes the kernel's many answers apart. Knows nothing of what they mean.

mod bytes;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

pub(super) use self::bytes::{Attributes, Malformed, encode_attribute, read_u16, read_u32, read_u64};
use self::bytes::{Messages, request};

/// A netlink socket. It stays in the network namespace of the thread that opened it.
pub(super) struct Netlink {
    fd: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

/// How often a dump is begun anew when the kernel's table changed while it was read.
const ATTEMPTS: usize = 4;
/// `NLM_F_REQUEST` alone, with `NLM_F_DUMP`, and with `NLM_F_ACK`, which libc declares too wide.
const ONE: u16 = 0x1;
const DUMP: u16 = 0x301;
const ORDER: u16 = 0x5;
/// The kernel fills at most 32 KiB at a time; larger messages make the buffer grow.
const BUFFER: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 1 << 20;
/// A kernel that does not answer is an error, not a hang.
const TIMEOUT_SECONDS: i64 = 5;

impl Netlink {
    pub(super) fn open(protocol: SockProtocol) -> io::Result<Self> {
        let fd = socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        socket::setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        socket::setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(TIMEOUT_SECONDS))?;
        Ok(Self { fd, buffer: vec![0; BUFFER], sequence: 0 })
    }

    /// Has the kernel obey all of a request, or refuse it: else it passes over what it does not expect.
    ///
    /// # Errors
    /// Before Linux 4.20.
    pub(super) fn be_strict(&self) -> io::Result<()> {
        const NETLINK_GET_STRICT_CHK: libc::c_int = 12;
        let yes: libc::c_int = 1;
        let length = libc::socklen_t::try_from(size_of_val(&yes)).map_err(io::Error::other)?;
        // SAFETY: the value is as long as is said, and outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                NETLINK_GET_STRICT_CHK,
                (&raw const yes).cast(),
                length,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Has the kernel tell these groups' news: a bit for each of the first 32.
    ///
    /// # Errors
    /// The kernel's refusal with its errno.
    pub(super) fn join(&self, groups: u32) -> io::Result<()> {
        Ok(socket::bind(self.fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?)
    }

    /// Hands over what the kernel has told by now, with its kind; false if it had no room for all of it.
    ///
    /// # Errors
    /// The kernel's refusal with its errno, or `InvalidData` for a message that cannot be decoded.
    pub(super) fn hear(&mut self, mut take: impl FnMut(u16, &[u8])) -> io::Result<bool> {
        loop {
            match socket::recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                        let message = message?;
                        take(message.kind, message.payload);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(true),
                Err(Errno::ENOBUFS) => return Ok(false),
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// Adds what `decode` makes of every answer to `into`; answers that decode to `None` are left out.
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
            let complete = self.ask(kind, DUMP, body).and_then(|()| self.answers(into, &decode));
            if let Ok(true) = complete {
                return Ok(());
            }
            into.truncate(start);
            complete?;
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "the kernel's table kept changing during the dump"))
    }

    /// What `decode` makes of the one answer to a request.
    ///
    /// # Errors
    /// As for `dump`.
    pub(super) fn one<T>(
        &mut self,
        kind: u16,
        body: &[u8],
        decode: impl Fn(&[u8]) -> Result<Option<T>, Malformed>,
    ) -> io::Result<Option<T>> {
        self.ask(kind, ONE, body)?;
        loop {
            let length = self.receive()?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                let message = message?;
                if message.sequence == self.sequence {
                    return match i32::from(message.kind) {
                        libc::NLMSG_ERROR => message.status().map(|()| None),
                        _ => Ok(decode(message.payload)?),
                    };
                }
            }
        }
    }

    /// Gives an order and waits for the kernel's word on it.
    ///
    /// # Errors
    /// The kernel's refusal with its errno.
    pub(super) fn order(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.ask(kind, ORDER | flags, body)?;
        loop {
            let length = self.receive()?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                let message = message?;
                if message.sequence == self.sequence && i32::from(message.kind) == libc::NLMSG_ERROR {
                    return message.status();
                }
            }
        }
    }

    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.drop_leftovers();
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

    /// The kernel refuses a second dump while an abandoned one still has answers, so those are read first.
    fn drop_leftovers(&mut self) {
        loop {
            match socket::recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }

    /// Whether the dump is complete and consistent; `false` asks for another.
    fn answers<T>(
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

    /// The length of the datagram, which is longer than the buffer if it was cut.
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
