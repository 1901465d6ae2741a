//! Finds the stream sockets that riperf3 has opened in this process: its API does not return them.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{SockType, getsockopt, sockopt};

/// A finder of sockets.
#[derive(Debug)]
pub(crate) struct Sockets(());

impl Sockets {
    /// On Linux older sockets are found, too.
    pub(crate) fn from_now_on() -> Self {
        Self(())
    }

    /// The listening socket on the port.
    #[expect(clippy::unused_self, reason = "Windows excludes the handles that were open before")]
    pub(crate) fn listener(&self, port: u16) -> Option<TcpListener> {
        own_sockets().into_iter().find_map(|socket| {
            let listens = getsockopt(&socket, sockopt::AcceptConn).ok()?;
            let listener = TcpListener::from(socket);
            (listens && listener.local_addr().ok()?.port() == port).then_some(listener)
        })
    }

    /// The connections that the server has accepted on the port.
    #[expect(clippy::unused_self, reason = "as above")]
    pub(crate) fn connections(&self, port: u16) -> Vec<(SocketAddr, TcpStream)> {
        let accepted = |socket: OwnedFd| {
            let stream = TcpStream::from(socket);
            let peer = stream.peer_addr().ok()?;
            (stream.local_addr().ok()?.port() == port).then_some((peer, stream))
        };
        own_sockets().into_iter().filter_map(accepted).collect()
    }
}

/// Whether this process has a connection to the port.
pub(crate) fn is_connected_to(port: u16) -> bool {
    let is_peer = |socket| TcpStream::from(socket).peer_addr().is_ok_and(|peer| peer.port() == port);
    own_sockets().into_iter().any(is_peer)
}

/// Duplicates of all stream sockets of this process. A duplicate stays valid when the original descriptor is reused.
fn own_sockets() -> Vec<OwnedFd> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    numbers.filter_map(duplicate).filter(is_stream_socket).collect()
}

fn duplicate(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the descriptor is used for one dup(2), which fails with EBADF if it is closed.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned().ok()
}

fn is_stream_socket(socket: &OwnedFd) -> bool {
    getsockopt(socket, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream)
}
