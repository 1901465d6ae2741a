//! What a case is: two functions, one for each process, and the bytes that they must move.

use super::error::TrafficError;
use super::metered_socket::MeteredSocket;
use super::worker::Worker;

/// One way to move bytes between a client process and a server process.
pub struct Case {
    /// Unique, and usable as a test's name.
    pub name: &'static str,
    /// The property that distinguishes the case, in one line.
    pub about: &'static str,
    pub(super) client: WorkerFn,
    pub(super) server: WorkerFn,
    /// The case opens sockets and moves bytes before the tracer starts, and moves more afterwards.
    pub starts_before_tracer: bool,
    /// The bytes that all processes together send over the lifetime of the sockets.
    pub sent: u64,
    /// The bytes that all processes together receive over the lifetime of the sockets.
    pub received: u64,
}

/// The work of one process. The returned sockets stay open until the run finishes.
pub(super) type WorkerFn = fn(&mut Worker) -> Result<Vec<MeteredSocket>, TrafficError>;

impl Case {
    pub(super) const fn new(
        name: &'static str,
        about: &'static str,
        client: WorkerFn,
        server: WorkerFn,
    ) -> Self {
        Self { name, about, client, server, starts_before_tracer: false, sent: 0, received: 0 }
    }

    /// Every byte that is sent is received.
    pub(super) const fn moves(self, bytes: usize) -> Self {
        self.sends(bytes).receives(bytes)
    }

    pub(super) const fn sends(self, bytes: usize) -> Self {
        Self { sent: bytes as u64, ..self }
    }

    pub(super) const fn receives(self, bytes: usize) -> Self {
        Self { received: bytes as u64, ..self }
    }

    pub(super) const fn starts_before_tracer(self) -> Self {
        Self { starts_before_tracer: true, ..self }
    }
}
