//! This process's own stream sockets, which riperf3 opened and does not hand out: of those of others nothing can be
//! done here. Who comes while a test runs waits until it is over.

use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::snapshot::State;
use crate::source::Wanted;
use crate::source::windows::ip_helper;

/// None that could be used.
pub(in crate::source) fn listener(_port: u16) -> Option<TcpListener> {
    None
}

/// None that could be used.
pub(in crate::source) fn connections(_port: u16) -> Vec<(SocketAddr, TcpStream)> {
    Vec::new()
}

/// Whether a connection of this process to that port stands.
pub(in crate::source) fn is_connected_to(port: u16) -> bool {
    let entries = ip_helper::read(Wanted { udp: false, ..Wanted::default() }).unwrap_or_default();
    let own = std::process::id();
    entries.iter().any(|entry| {
        entry.pid == own
            && entry.state == State::Established
            && entry.remote.is_some_and(|remote| remote.port == port)
    })
}
