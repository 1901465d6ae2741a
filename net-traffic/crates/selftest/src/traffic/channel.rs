//! Messages and file descriptors between two processes over a Unix socket, which no tier counts.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Attempt, TrafficError};

/// A message is its length in four bytes and its JSON. No call reads ahead, so a descriptor may follow a message.
pub(super) struct Channel(UnixStream);

impl Channel {
    pub(super) fn pair() -> Result<(Self, Self), TrafficError> {
        let (one, other) = UnixStream::pair().attempt("make a pair of Unix sockets")?;
        Ok((Self(one), Self(other)))
    }

    pub(super) fn try_clone(&self) -> Result<Self, TrafficError> {
        Ok(Self(self.0.try_clone().attempt("duplicate a Unix socket")?))
    }

    /// A message that does not arrive in this time is an error from now on.
    pub(super) fn set_timeout(&self, timeout: Duration) -> Result<(), TrafficError> {
        self.0.set_read_timeout(Some(timeout)).attempt("set a Unix socket's time-out")
    }

    pub(super) fn send<T: Serialize>(&mut self, message: &T) -> Result<(), TrafficError> {
        let json = serde_json::to_vec(message)
            .map_err(|error| TrafficError::Unexpected(format!("a message does not serialise: {error}")))?;
        let length = u32::try_from(json.len())
            .map_err(|_too_long| TrafficError::Unexpected(format!("a message of {} bytes", json.len())))?;
        self.0.write_all(&length.to_ne_bytes()).attempt("write to the other process")?;
        self.0.write_all(&json).attempt("write to the other process")
    }

    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T, TrafficError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let mut json = vec![0; u32::from_ne_bytes(length) as usize];
        self.fill(&mut json)?;
        serde_json::from_slice(&json)
            .map_err(|error| TrafficError::Unexpected(format!("a message does not parse: {error}")))
    }

    pub(super) fn send_descriptor(&self, descriptor: BorrowedFd<'_>) -> Result<(), TrafficError> {
        let descriptors = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(b"d")], &rights, MsgFlags::empty(), None)
            .attempt("send a descriptor")?;
        Ok(())
    }

    pub(super) fn receive_descriptor(&self) -> Result<OwnedFd, TrafficError> {
        let mut byte = [0];
        let mut space = nix::cmsg_space!(RawFd);
        let mut slices = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut space), flags)
            .attempt("receive a descriptor")?;
        for control in message.cmsgs().attempt("read a control message")? {
            if let ControlMessageOwned::ScmRights(descriptors) = control
                && let Some(descriptor) = descriptors.first()
            {
                // SAFETY: recvmsg has just created this descriptor, and no other code owns it.
                return Ok(unsafe { OwnedFd::from_raw_fd(*descriptor) });
            }
        }
        Err(TrafficError::PeerExited)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), TrafficError> {
        match self.0.read_exact(buffer) {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                Err(TrafficError::PeerExited)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(TrafficError::Unexpected("the other process did not answer in time".to_owned()))
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
