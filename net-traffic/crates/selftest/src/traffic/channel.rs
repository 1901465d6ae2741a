//! Whole messages, and descriptors, between two processes over a Unix socket: not traffic that anybody counts.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Attempt, TrafficError};

/// A message is its length in four bytes and its JSON. Nothing is read ahead, so descriptors may come between messages.
pub(super) struct Channel(UnixStream);

impl Channel {
    pub(super) fn pair() -> Result<(Self, Self), TrafficError> {
        let (one, other) = UnixStream::pair().attempt("make a pair of Unix sockets")?;
        Ok((Self(one), Self(other)))
    }

    pub(super) fn another(&self) -> Result<Self, TrafficError> {
        Ok(Self(self.0.try_clone().attempt("duplicate a Unix socket")?))
    }

    /// From now on a message that does not come in time is an error.
    pub(super) fn limit(&self, patience: Duration) -> Result<(), TrafficError> {
        self.0.set_read_timeout(Some(patience)).attempt("set a Unix socket's time-out")
    }

    pub(super) fn tell<T: Serialize>(&mut self, message: &T) -> Result<(), TrafficError> {
        let json = serde_json::to_vec(message)
            .map_err(|error| TrafficError::Broken(format!("a message does not serialise: {error}")))?;
        let length = u32::try_from(json.len())
            .map_err(|_too_long| TrafficError::Broken(format!("a message of {} bytes", json.len())))?;
        self.0.write_all(&length.to_ne_bytes()).attempt("write to the other process")?;
        self.0.write_all(&json).attempt("write to the other process")
    }

    pub(super) fn hear<T: DeserializeOwned>(&mut self) -> Result<T, TrafficError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let mut json = vec![0; u32::from_ne_bytes(length) as usize];
        self.fill(&mut json)?;
        serde_json::from_slice(&json)
            .map_err(|error| TrafficError::Broken(format!("a message does not parse: {error}")))
    }

    pub(super) fn pass(&self, descriptor: BorrowedFd<'_>) -> Result<(), TrafficError> {
        let descriptors = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(b"d")], &rights, MsgFlags::empty(), None)
            .attempt("pass a descriptor")?;
        Ok(())
    }

    pub(super) fn take(&self) -> Result<OwnedFd, TrafficError> {
        let mut byte = [0];
        let mut space = nix::cmsg_space!(RawFd);
        let mut slices = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut space), flags)
            .attempt("take a descriptor")?;
        for control in message.cmsgs().attempt("read a control message")? {
            if let ControlMessageOwned::ScmRights(descriptors) = control
                && let Some(descriptor) = descriptors.first()
            {
                // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
                return Ok(unsafe { OwnedFd::from_raw_fd(*descriptor) });
            }
        }
        Err(TrafficError::Hangup)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), TrafficError> {
        match self.0.read_exact(buffer) {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                Err(TrafficError::Hangup)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(TrafficError::Broken("the other process did not answer in time".to_owned()))
            }
            Err(cause) => Err(TrafficError::Call { attempt: "read from the other process", cause }),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Channel {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0.into()
    }
}
