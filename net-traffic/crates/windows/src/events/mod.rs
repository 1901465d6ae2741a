//! What Event Tracing for Windows says of traffic: decoded, added up, and told apart by socket and process.
//!
//! Pure: octets and tables in, parts of a snapshot out. Nothing here asks a system, so that it is compiled and tested
//! on every one.

mod accounts;
pub mod ends;
pub mod kernel_network;
mod orientation;
pub mod pktmon;
mod queue;
mod tally;
mod watch;
pub mod wifi;

#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};

pub use self::accounts::{Accounts, Owners, Reading};
pub use self::queue::{Callback, Losses, Queue, queue};
pub use self::tally::{Batch, Tallies, Tally};
pub use self::watch::{STOPPED, Watch};

use net_traffic_snapshot::{Endpoint, Protocol, Socket, SocketId, State};

/// A row of the system's tables of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub protocol: Protocol,
    pub local: Endpoint,
    pub remote: Option<Endpoint>,
    pub state: State,
    /// 0 where nobody owns it any more.
    pub pid: u32,
    /// When it was made, in steps of 100 ns since 1601; 0 where the system does not tell.
    pub created: i64,
    /// The zones of the local and the remote address, as the system has them; 0 but for addresses of one link.
    pub scopes: [u32; 2],
}

impl Entry {
    /// The system gives no cookie; what it says of a socket that never changes is as unique. The owner of a
    /// connection may change, and goes away before it does; a socket without a peer shares its address with others.
    #[must_use]
    pub fn id(&self) -> SocketId {
        let Self { protocol, local, remote, pid, created, .. } = *self;
        identity(protocol, local, remote, (created, if remote.is_some() { 0 } else { pid }))
    }

    /// As a snapshot has it, with nothing counted.
    #[must_use]
    pub fn socket(&self) -> Socket {
        let Self { protocol, local, remote, state, .. } = *self;
        Socket {
            id: self.id(),
            protocol,
            local,
            remote,
            state,
            netns: None,
            ifindex: None,
            owner: None,
            uid: None,
            inode: None,
            lifetime: None,
            counted: None,
            tcp: None,
            rx_queue: None,
            tx_queue: None,
            opened_ns: None,
            closed: false,
        }
    }
}

/// Never 0, which stands for a socket that cannot be told from others.
fn identity(
    protocol: Protocol,
    local: Endpoint,
    remote: Option<Endpoint>,
    distinction: (i64, u32),
) -> SocketId {
    let mut hasher = DefaultHasher::new();
    (protocol, local, remote, distinction).hash(&mut hasher);
    SocketId(hasher.finish().max(1))
}
