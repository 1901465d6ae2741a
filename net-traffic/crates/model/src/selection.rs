//! What the user wants to see: which flows, processes and interfaces count. The same in every view.
//!
//! The selection belongs to the model, not to a view, because ended connections are folded into totals: what is
//! folded can no longer be told apart, so it must have been selected before.

use std::net::IpAddr;

use super::{Flow, Network, ProcessState, Protocol};

/// Criteria of different kinds must all hold; of one kind, one is enough. An empty list selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub protocols: Vec<Protocol>,
    pub ipv4: bool,
    pub ipv6: bool,
    /// Only descendants of the command that is traced.
    pub traced: bool,
    pub pids: Vec<u32>,
    pub processes: Vec<String>,
    /// Names, or beginnings of ids.
    pub containers: Vec<String>,
    /// The inode of a network namespace.
    pub netns: Option<u32>,
    pub interfaces: Vec<String>,
    pub remotes: Vec<Network>,
    /// Local or remote.
    pub ports: Vec<u16>,
}

/// The kernel keeps this many characters of a process's name.
const COMM_LENGTH: usize = 15;

impl Selection {
    /// The same, limited to one network namespace where it is limited to none.
    #[must_use]
    pub fn within(&self, netns: Option<u32>) -> Self {
        Self { netns: self.netns.or(netns), ..self.clone() }
    }

    /// Whether a connection is wanted.
    #[must_use]
    pub fn wants_flow(&self, flow: &Flow<'_>) -> bool {
        self.wants_socket(flow) && self.wants_owner(flow.pid(), flow.process)
    }

    /// Whether a process is wanted for itself, whatever it is connected to.
    #[must_use]
    pub fn wants_process(&self, process: &ProcessState) -> bool {
        self.wants_owner(process.pid(), Some(process))
    }

    /// Whether an interface is wanted.
    #[must_use]
    pub fn wants_interface(&self, name: &str, netns: Option<u32>) -> bool {
        any(&self.interfaces, |wanted| wanted == name) && self.wants_netns(netns)
    }

    /// Whether it tells connections of one process apart: then a process's bytes are those of its selected
    /// connections, not all that the kernel counted for it.
    #[must_use]
    pub fn splits_processes(&self) -> bool {
        let Self {
            protocols,
            ipv4,
            ipv6,
            traced: _,
            pids: _,
            processes: _,
            containers: _,
            netns,
            interfaces,
            remotes,
            ports,
        } = self;
        !(protocols.is_empty() && interfaces.is_empty() && remotes.is_empty() && ports.is_empty())
            || *ipv4 != *ipv6
            || netns.is_some()
    }

    /// Whether it names processes, so that what has no process any more is not wanted.
    #[must_use]
    pub fn names_processes(&self) -> bool {
        self.traced || !(self.pids.is_empty() && self.processes.is_empty() && self.containers.is_empty())
    }

    fn wants_socket(&self, flow: &Flow<'_>) -> bool {
        let socket = &flow.connection.socket;
        let remote = socket.remote;
        any(&self.protocols, |wanted| *wanted == socket.protocol)
            && self.wants_family(socket.local.address)
            && self.wants_netns(socket.netns)
            && any(&self.remotes, |wanted| remote.is_some_and(|remote| wanted.contains(remote.address)))
            && any(&self.ports, |port| {
                *port == socket.local.port || remote.is_some_and(|remote| remote.port == *port)
            })
            && any(&self.interfaces, |wanted| match flow.interface {
                Some(name) => wanted == name || flow.passed.contains(wanted),
                // A socket that listens on every address listens on this interface too.
                None => remote.is_none() && socket.local.address.is_unspecified() && socket.ifindex.is_none(),
            })
    }

    fn wants_owner(&self, pid: Option<u32>, process: Option<&ProcessState>) -> bool {
        (!self.traced || process.is_some_and(|known| known.traced))
            && any(&self.pids, |wanted| pid == Some(*wanted))
            && any(&self.processes, |wanted| {
                process.is_some_and(|known| {
                    let name = known.name();
                    name == wanted || (name.len() == COMM_LENGTH && wanted.starts_with(name))
                })
            })
            && any(&self.containers, |wanted| {
                process.is_some_and(|known| {
                    known.container_name.as_deref() == Some(wanted)
                        || known
                            .process
                            .container
                            .as_deref()
                            .is_some_and(|id| id.starts_with(wanted.as_str()))
                })
            })
    }

    fn wants_family(&self, address: IpAddr) -> bool {
        // Neither flag and both flags mean the same.
        self.ipv4 == self.ipv6 || address.to_canonical().is_ipv4() == self.ipv4
    }

    fn wants_netns(&self, netns: Option<u32>) -> bool {
        self.netns.is_none() || self.netns == netns
    }
}

/// Whether one of the criteria holds, or there are none.
fn any<T>(criteria: &[T], holds: impl Fn(&T) -> bool) -> bool {
    criteria.is_empty() || criteria.iter().any(holds)
}
