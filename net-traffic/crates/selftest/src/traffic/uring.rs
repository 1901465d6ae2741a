//! Sends and receives through `io_uring`, one request at a time.

use io_uring::squeue::Entry;
use io_uring::{IoUring, opcode, types};

use super::error::{Attempt, Feature, TrafficError};
use super::metered_socket::MeteredSocket;

const ENTRIES: u32 = 4;
/// The idle time after which the kernel's submission thread sleeps (`sq_thread_idle`).
const POLLING_MS: u32 = 50;

pub(super) struct Ring(IoUring);

impl Ring {
    pub(super) fn new() -> Result<Self, TrafficError> {
        Ok(Self(IoUring::new(ENTRIES).needs(Feature::IoUring)?))
    }

    /// A kernel thread takes the requests (`IORING_SETUP_SQPOLL`) instead of a system call of this process.
    pub(super) fn with_polling_thread() -> Result<Self, TrafficError> {
        let ring = IoUring::builder().setup_sqpoll(POLLING_MS).build(ENTRIES);
        Ok(Self(ring.needs(Feature::IoUring)?))
    }

    pub(super) fn send(&mut self, sock: &MeteredSocket, bytes: &[u8]) -> Result<usize, TrafficError> {
        let length = length_of(bytes)?;
        let request = opcode::Send::new(types::Fd(sock.raw()), bytes.as_ptr(), length).build();
        // SAFETY: `bytes` and the socket outlive the request, for which `finish` waits.
        unsafe { self.finish(&request) }
    }

    pub(super) fn recv(&mut self, sock: &MeteredSocket, buffer: &mut [u8]) -> Result<usize, TrafficError> {
        let length = length_of(buffer)?;
        let request = opcode::Recv::new(types::Fd(sock.raw()), buffer.as_mut_ptr(), length).build();
        // SAFETY: `buffer`, borrowed mutably, and the socket outlive the request, for which `finish` waits.
        unsafe { self.finish(&request) }
    }

    /// # Safety
    /// The buffer of the request must be valid until the request has completed.
    unsafe fn finish(&mut self, request: &Entry) -> Result<usize, TrafficError> {
        // SAFETY: the caller guarantees the buffer, and the request completes before this function returns.
        let queued = unsafe { self.0.submission().push(request) };
        queued.map_err(|full| TrafficError::Unexpected(format!("io_uring's queue: {full}")))?;
        self.0.submit_and_wait(1).attempt("submit to io_uring")?;
        let done = self.0.completion().next();
        let result =
            done.ok_or_else(|| TrafficError::Unexpected("io_uring completed nothing".to_owned()))?.result();
        usize::try_from(result)
            .map_err(|_negative| std::io::Error::from_raw_os_error(-result))
            .attempt("move bytes through io_uring")
    }
}

fn length_of(bytes: &[u8]) -> Result<u32, TrafficError> {
    u32::try_from(bytes.len())
        .map_err(|_too_long| TrafficError::Unexpected(format!("a buffer of {} bytes", bytes.len())))
}
