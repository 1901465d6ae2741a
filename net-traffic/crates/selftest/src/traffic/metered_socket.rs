//! A socket that sums the return values of its own calls.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SetSockOpt, Shutdown, SockaddrStorage, recv, recvmmsg, recvmsg,
    send, sendmmsg, sendmsg, sendto, setsockopt, shutdown,
};
use nix::sys::uio::{readv, writev};

use super::error::{Attempt, TrafficError};
use super::ground_truth::Tally;

/// The bytes that senders send. Only the length matters.
pub(super) static PAYLOAD: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Drop closes the descriptor of this process. The tally stays with the worker.
pub(super) struct MeteredSocket {
    descriptor: OwnedFd,
    tally: Arc<Tally>,
}

impl MeteredSocket {
    /// The worker holds the other reference to the tally.
    pub(super) fn new(descriptor: OwnedFd, tally: Arc<Tally>) -> Self {
        Self { descriptor, tally }
    }

    /// Calls `send` once, which may send fewer bytes.
    pub(super) fn send(&self, bytes: &[u8], flags: MsgFlags) -> Result<usize, TrafficError> {
        self.sent(send(self.raw(), bytes, flags)).attempt("send")
    }

    /// Calls `send` once without blocking. `None` if the call would block.
    pub(super) fn try_send(&self, bytes: &[u8]) -> Result<Option<usize>, TrafficError> {
        match self.sent(send(self.raw(), bytes, MsgFlags::MSG_DONTWAIT)) {
            Err(Errno::EAGAIN) => Ok(None),
            sent => Ok(Some(sent.attempt("send without waiting")?)),
        }
    }

    /// Calls `send` until all bytes are sent.
    pub(super) fn send_all(&self, mut bytes: &[u8]) -> Result<(), TrafficError> {
        while !bytes.is_empty() {
            bytes = &bytes[self.send(bytes, MsgFlags::empty())?..];
        }
        Ok(())
    }

    pub(super) fn send_to(
        &self,
        peer: SocketAddr,
        bytes: &[u8],
        flags: MsgFlags,
    ) -> Result<usize, TrafficError> {
        self.sent(sendto(self.raw(), bytes, &SockaddrStorage::from(peer), flags)).attempt("sendto")
    }

    pub(super) fn send_vectored(&self, slices: &[IoSlice<'_>]) -> Result<usize, TrafficError> {
        self.sent(writev(&self.descriptor, slices)).attempt("writev")
    }

    /// Calls `sendmsg` once; the kernel splits the bytes into datagrams of `segment` bytes.
    pub(super) fn send_segmented(&self, bytes: &[u8], segment: u16) -> Result<usize, TrafficError> {
        let control = [ControlMessage::UdpGsoSegments(&segment)];
        self.sent(sendmsg::<()>(self.raw(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), None))
            .attempt("sendmsg with UDP_SEGMENT")
    }

    /// Calls `sendmmsg` once with all messages.
    pub(super) fn send_many(&self, messages: &[&[u8]]) -> Result<usize, TrafficError> {
        let slices: Vec<[IoSlice<'_>; 1]> = messages.iter().map(|bytes| [IoSlice::new(bytes)]).collect();
        let nowhere = vec![None; messages.len()];
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(messages.len(), None);
        let sent = sendmmsg(self.raw(), &mut headers, &slices, nowhere, [], MsgFlags::empty())
            .attempt("sendmmsg")?
            .map(|message| message.bytes)
            .sum();
        self.sent(Ok::<_, Errno>(sent)).attempt("sendmmsg")
    }

    pub(super) fn send_file(&self, file: impl AsFd, bytes: usize) -> Result<usize, TrafficError> {
        self.sent(sendfile(&self.descriptor, file, None, bytes)).attempt("sendfile")
    }

    pub(super) fn splice_from(&self, pipe: impl AsFd, bytes: usize) -> Result<usize, TrafficError> {
        self.sent(splice(pipe, None, &self.descriptor, None, bytes, SpliceFFlags::empty()))
            .attempt("splice from a pipe to the socket")
    }

    /// Calls `recv` once, which may receive fewer bytes. Peeked bytes do not count.
    pub(super) fn recv(&self, buffer: &mut [u8], flags: MsgFlags) -> Result<usize, TrafficError> {
        let received = recv(self.raw(), buffer, flags);
        if flags.contains(MsgFlags::MSG_PEEK) {
            return received.attempt("peek");
        }
        self.received(received).attempt("recv")
    }

    /// Calls `recv` until `bytes` bytes are received, at most `chunk` by each call.
    pub(super) fn recv_total(&self, bytes: usize, chunk: usize) -> Result<(), TrafficError> {
        let mut buffer = vec![0; chunk];
        let mut missing = bytes;
        while missing > 0 {
            let room = missing.min(chunk);
            let received = self.recv(&mut buffer[..room], MsgFlags::empty())?;
            if received == 0 {
                return Err(TrafficError::Unexpected(format!("the stream ended {missing} bytes early")));
            }
            missing -= received;
        }
        Ok(())
    }

    /// Receives until the end of the stream.
    pub(super) fn recv_to_end(&self) -> Result<(), TrafficError> {
        let mut buffer = vec![0; PAYLOAD.len()];
        while self.recv(&mut buffer, MsgFlags::empty())? > 0 {}
        Ok(())
    }

    pub(super) fn recv_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> Result<usize, TrafficError> {
        self.received(readv(&self.descriptor, slices)).attempt("readv")
    }

    /// Calls `recvmmsg` once for up to `messages` messages of at most `size` bytes.
    pub(super) fn recv_many(&self, messages: usize, size: usize) -> Result<usize, TrafficError> {
        let mut buffers = vec![vec![0; size]; messages];
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(messages, None);
        let received = recvmmsg(self.raw(), &mut headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)
            .attempt("recvmmsg")?
            .map(|message| message.bytes)
            .sum();
        self.received(Ok::<_, Errno>(received)).attempt("recvmmsg")
    }

    pub(super) fn splice_to(&self, pipe: impl AsFd, bytes: usize) -> Result<usize, TrafficError> {
        self.received(splice(&self.descriptor, None, pipe, None, bytes, SpliceFFlags::empty()))
            .attempt("splice from the socket to a pipe")
    }

    /// Reads one message of the error queue: a returned datagram or a notification. Its bytes do not count.
    pub(super) fn recv_error(&self) -> Result<usize, TrafficError> {
        self.wait_for(PollFlags::empty())?;
        let mut buffer = vec![0; PAYLOAD.len()];
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<()>(self.raw(), &mut slices, None, MsgFlags::MSG_ERRQUEUE)
            .attempt("read the error queue")?;
        Ok(message.bytes)
    }

    /// Waits for one of the events, or for an error or hang-up, which `poll` always reports.
    pub(super) fn wait_for(&self, events: PollFlags) -> Result<(), TrafficError> {
        poll(&mut [PollFd::new(self.descriptor.as_fd(), events)], PollTimeout::NONE).attempt("poll")?;
        Ok(())
    }

    pub(super) fn end_sending(&self) -> Result<(), TrafficError> {
        shutdown(self.raw(), Shutdown::Write).attempt("shut down the sending direction")
    }

    pub(super) fn set<O: SetSockOpt>(&self, option: O, value: &O::Val) -> Result<(), TrafficError> {
        setsockopt(&self.descriptor, option, value).attempt("set a socket option")
    }

    /// Counts the result of a call for which this type has no method.
    pub(super) fn sent<E>(&self, call: Result<usize, E>) -> Result<usize, E> {
        call.inspect(|bytes| self.tally.moved.sent(*bytes as u64))
    }

    /// As `sent`, for a call that receives.
    pub(super) fn received<E>(&self, call: Result<usize, E>) -> Result<usize, E> {
        call.inspect(|bytes| self.tally.moved.received(*bytes as u64))
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn raw(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }
}

impl AsFd for MeteredSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for MeteredSocket {
    fn drop(&mut self) {
        self.tally.close();
    }
}
