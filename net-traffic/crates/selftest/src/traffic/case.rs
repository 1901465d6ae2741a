//! What a case is: two programs and the amounts that they must move.

use super::actor::Actor;
use super::error::TrafficError;
use super::link::Link;

/// One way of moving bytes between a client process and a server process.
pub struct Case {
    /// Unique, and fit for a test's name.
    pub name: &'static str,
    /// What is special about it, in one line.
    pub about: &'static str,
    pub(super) client: Part,
    pub(super) server: Part,
    /// It opens sockets and moves bytes before the tracer starts, and goes on after.
    pub older: bool,
    /// The bytes that all processes together send and receive over the sockets' whole lives.
    pub sent: u64,
    pub received: u64,
}

/// What one process does. The sockets that it hands back stay open until the stage finishes.
pub(super) type Part = fn(&mut Actor) -> Result<Vec<Link>, TrafficError>;
