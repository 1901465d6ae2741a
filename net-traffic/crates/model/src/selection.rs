//! Which connections, processes and interfaces the user selects. The same for every view.
//!
//! The selection belongs to the model and not to a view, because ended connections are folded into sums. A sum cannot
//! be filtered later, so only selected connections enter it.

use std::net::IpAddr;

use super::{AttributedFlow, DisplayState, Network, ProcessState, Protocol};

/// Criteria of different kinds must all hold; of one kind, one is enough. An empty list selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub protocols: Vec<Protocol>,
    pub ipv4: bool,
    pub ipv6: bool,
    /// Only descendants of the traced command.
    pub traced: bool,
    pub pids: Vec<u32>,
    pub processes: Vec<TextMatch>,
    pub containers: Vec<TextMatch>,
    /// The inode of a network namespace.
    pub netns: Option<u32>,
    pub interfaces: Vec<String>,
    pub remotes: Vec<RemoteMatch>,
    /// Local or remote ports.
    pub ports: Vec<u16>,
    /// `None` selects every state, an empty list none.
    pub states: Option<Vec<DisplayState>>,
}

/// A text that selects processes or containers. A container also matches by a prefix of its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// The whole name, as flags give it.
    Name(String),
    /// A lower-case part of the name in any case, as the screen's filter gives it. A process also matches by its PID.
    Part(String),
}

/// A text that selects remote hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteMatch {
    Network(Network),
    /// The first characters of an address, or a lower-case part of a host name in any case.
    Text(String),
}

/// The length of a process name without its NUL.
/// <https://github.com/gregkh/linux/blob/v6.12.117/include/linux/sched.h#L306>
const COMM_LENGTH: usize = 15;

impl Selection {
    /// The same selection, limited to `netns` unless it has a network namespace already.
    #[must_use]
    pub fn within(&self, netns: Option<u32>) -> Self {
        Self { netns: self.netns.or(netns), ..self.clone() }
    }

    /// Whether the selection includes the connection.
    #[must_use]
    pub fn wants_flow(&self, flow: &AttributedFlow<'_>) -> bool {
        self.wants_socket(flow) && self.wants_owner(flow.pid(), flow.process)
    }

    /// Whether the selection includes the process, whatever its connections are.
    #[must_use]
    pub fn wants_process(&self, process: &ProcessState) -> bool {
        self.wants_owner(process.pid(), Some(process))
    }

    /// Whether the selection includes the interface.
    #[must_use]
    pub fn wants_interface(&self, name: &str, netns: Option<u32>) -> bool {
        any(&self.interfaces, |wanted| wanted == name) && self.wants_netns(netns)
    }

    /// Whether the selection can include only some connections of a process. If so, a process's bytes are the sum of
    /// its selected connections and not the kernel's count for the process.
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
            states,
        } = self;
        !(protocols.is_empty() && interfaces.is_empty() && remotes.is_empty() && ports.is_empty())
            || states.is_some()
            || *ipv4 != *ipv6
            || netns.is_some()
    }

    /// Whether the selection has criteria for processes or containers.
    #[must_use]
    pub fn names_processes(&self) -> bool {
        self.traced || !(self.pids.is_empty() && self.processes.is_empty() && self.containers.is_empty())
    }

    fn wants_socket(&self, flow: &AttributedFlow<'_>) -> bool {
        let socket = &flow.connection.socket;
        let remote = socket.remote;
        any(&self.protocols, |wanted| *wanted == socket.protocol)
            && self.wants_family(socket.local.address)
            && self.wants_netns(socket.netns)
            && any(&self.ports, |port| {
                *port == socket.local.port || remote.is_some_and(|remote| remote.port == *port)
            })
            && self.states.as_ref().is_none_or(|states| states.contains(&flow.connection.display_state()))
            && any(&self.remotes, |wanted| {
                remote.is_some_and(|remote| wanted.matches(remote.address, flow.remote_name))
            })
            && any(&self.interfaces, |wanted| match flow.interface {
                Some(name) => wanted == name || flow.via.contains(wanted),
                // A socket bound to every address listens on this interface, too.
                None => remote.is_none() && socket.local.address.is_unspecified() && socket.ifindex.is_none(),
            })
    }

    fn wants_owner(&self, pid: Option<u32>, process: Option<&ProcessState>) -> bool {
        (!self.traced || process.is_some_and(|process| process.traced))
            && any(&self.pids, |wanted| pid == Some(*wanted))
            && any(&self.processes, |wanted| process.is_some_and(|process| wanted.matches_process(process)))
            && any(&self.containers, |wanted| {
                process.is_some_and(|process| wanted.matches_container(process))
            })
    }

    fn wants_family(&self, address: IpAddr) -> bool {
        // Neither flag and both flags select both families.
        self.ipv4 == self.ipv6 || address.to_canonical().is_ipv4() == self.ipv4
    }

    fn wants_netns(&self, netns: Option<u32>) -> bool {
        self.netns.is_none() || self.netns == netns
    }
}

impl TextMatch {
    fn matches_process(&self, process: &ProcessState) -> bool {
        let name = process.name();
        match self {
            Self::Name(wanted) => name == wanted || (name.len() == COMM_LENGTH && wanted.starts_with(name)),
            Self::Part(part) => {
                name.to_ascii_lowercase().contains(part)
                    || process.pid().is_some_and(|pid| part.parse() == Ok(pid))
            }
        }
    }

    fn matches_container(&self, process: &ProcessState) -> bool {
        let (text, matches_name) = match self {
            Self::Name(wanted) => (wanted, process.container_name.as_deref() == Some(wanted)),
            Self::Part(part) => {
                let label = process.container_label();
                (part, label.is_some_and(|label| label.to_ascii_lowercase().contains(part)))
            }
        };
        matches_name || process.process.container.as_deref().is_some_and(|id| id.starts_with(text.as_str()))
    }
}

impl RemoteMatch {
    fn matches(&self, address: IpAddr, name: Option<&str>) -> bool {
        match self {
            Self::Network(network) => network.contains(address),
            Self::Text(text) => {
                address.to_canonical().to_string().starts_with(text)
                    || name.is_some_and(|name| name.to_ascii_lowercase().contains(text))
            }
        }
    }
}

/// Whether one of the criteria holds, or the list is empty.
fn any<T>(criteria: &[T], holds: impl Fn(&T) -> bool) -> bool {
    criteria.is_empty() || criteria.iter().any(holds)
}
