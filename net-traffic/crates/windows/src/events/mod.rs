//! Decodes ETW events and packet reports, and assigns bytes to sockets and processes.
//!
//! The input is octets and table rows, the output is parts of a snapshot. The module makes no system call, so that it
//! compiles and is tested on every system.

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

pub use self::accounts::{Accounts, PidResolver, Reading};
pub use self::queue::{Callback, Losses, Queue, queue};
pub use self::tally::{Batch, Tallies, Tally};
pub use self::watch::{STOPPED, SessionWatch};

use net_traffic_snapshot::{Endpoint, Protocol, Socket, SocketId, State};

/// A row of the IP Helper tables of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub protocol: Protocol,
    pub local: Endpoint,
    pub remote: Option<Endpoint>,
    pub state: State,
    /// 0 if the owner is unknown, as in `TIME_WAIT`.
    pub pid: u32,
    /// The creation time as a `FILETIME`, steps of 100 ns since 1601; 0 if unknown.
    pub created: i64,
    /// The IPv6 scope IDs of the local and the remote address; 0 except for link-local addresses.
    pub scopes: [u32; 2],
}

impl Entry {
    /// A hash of the row's constant fields, because Windows has no socket cookie. The PID is included only without a
    /// remote endpoint: a connection loses its PID in `TIME_WAIT`, but several processes may bind one address.
    #[must_use]
    pub fn id(&self) -> SocketId {
        let Self { protocol, local, remote, pid, created, .. } = *self;
        identity(protocol, local, remote, (created, if remote.is_some() { 0 } else { pid }))
    }

    /// The socket of a snapshot, without byte counts.
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

/// Never 0, which marks a socket without an identity.
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
