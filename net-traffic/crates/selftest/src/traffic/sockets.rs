//! Opens a worker's sockets on loopback and sends their addresses to the other process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    Backlog, SetSockOpt, SockFlag, SockaddrStorage, accept4, bind, connect, getpeername, getsockname,
    getsockopt, listen, setsockopt,
};

use super::error::{Attempt, Feature, TrafficError};
use super::ground_truth::Tally;
use super::metered_socket::MeteredSocket;
use super::options::{SocketCookie, SocketProtocol};
use super::worker::Worker;
use net_traffic_snapshot::{Endpoint, Protocol, SocketId};

/// The address family of the loopback address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
    /// IPv4 between two IPv6 sockets.
    Mapped,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
    Mptcp,
}

/// A listening socket, which moves no bytes itself.
pub(super) struct Listener(OwnedFd);

impl Worker {
    /// Opens a listener and sends its address to the other process.
    pub(super) fn listen(&mut self, transport: Transport, family: Family) -> Result<Listener, TrafficError> {
        let socket = open(transport, family)?;
        self.listen_on(socket, family)
    }

    /// As `listen`, with a socket whose options are set.
    pub(super) fn listen_on(&mut self, socket: OwnedFd, family: Family) -> Result<Listener, TrafficError> {
        bind_to_loopback(&socket, family)?;
        listen(&socket, Backlog::MAXCONN).attempt("listen")?;
        self.send(&own_address(&socket)?)?;
        Ok(Listener(socket))
    }

    /// Accepts one connection.
    pub(super) fn accept(&mut self, listener: &Listener) -> Result<MeteredSocket, TrafficError> {
        let socket = accept4(&listener.0, SockFlag::SOCK_CLOEXEC).attempt("accept")?;
        self.meter(socket)
    }

    /// Opens a listener and accepts one connection.
    pub(super) fn accept_one(
        &mut self,
        transport: Transport,
        family: Family,
    ) -> Result<MeteredSocket, TrafficError> {
        let listener = self.listen(transport, family)?;
        self.accept(&listener)
    }

    /// Connects to the address that the server sends.
    pub(super) fn connect_one(
        &mut self,
        transport: Transport,
        family: Family,
    ) -> Result<MeteredSocket, TrafficError> {
        let server = self.receive()?;
        self.connect(open(transport, family)?, server)
    }

    pub(super) fn connect(
        &mut self,
        socket: OwnedFd,
        server: SocketAddr,
    ) -> Result<MeteredSocket, TrafficError> {
        connect(socket.as_raw_fd(), &SockaddrStorage::from(server)).attempt("connect")?;
        self.meter(socket)
    }

    /// An unconnected UDP socket on loopback.
    pub(super) fn bind_udp(&mut self, family: Family) -> Result<MeteredSocket, TrafficError> {
        let socket = open(Transport::Udp, family)?;
        bind_to_loopback(&socket, family)?;
        self.meter(socket)
    }

    /// Counts the bytes of the socket from now on.
    pub(super) fn meter(&mut self, socket: OwnedFd) -> Result<MeteredSocket, TrafficError> {
        let cookie = getsockopt(&socket, SocketCookie).attempt("read a socket's cookie")?;
        let protocol = match getsockopt(&socket, SocketProtocol).attempt("read a socket's protocol")? {
            libc::IPPROTO_MPTCP => Protocol::Mptcp,
            libc::IPPROTO_UDP => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        let remote = peer_address(&socket).ok().map(endpoint);
        let tally = Tally::new(SocketId(cookie), protocol, endpoint(own_address(&socket)?), remote);
        Ok(MeteredSocket::new(socket, self.record(tally)))
    }
}

pub(super) fn open(transport: Transport, family: Family) -> Result<OwnedFd, TrafficError> {
    let domain = if family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
    let (kind, protocol) = match transport {
        Transport::Tcp => (libc::SOCK_STREAM, libc::IPPROTO_TCP),
        Transport::Udp => (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        Transport::Mptcp => (libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
    };
    // SAFETY: socket takes no pointers.
    let raw = Errno::result(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) });
    let raw = match raw {
        Err(Errno::EAFNOSUPPORT) if family != Family::V4 => raw.needs(Feature::Ipv6),
        Err(_) if transport == Transport::Mptcp => raw.needs(Feature::Mptcp),
        _ => raw.attempt("open a socket"),
    }?;
    // SAFETY: the call has just created this descriptor, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A new socket with one option set, where that must come before it listens or connects.
pub(super) fn open_with<O: SetSockOpt>(
    transport: Transport,
    family: Family,
    option: O,
    value: &O::Val,
) -> Result<OwnedFd, TrafficError> {
    let socket = open(transport, family)?;
    setsockopt(&socket, option, value).attempt("set a socket option")?;
    Ok(socket)
}

/// The address to which the peer connects.
pub(super) fn own_address(socket: &impl AsFd) -> Result<SocketAddr, TrafficError> {
    from_kernel(getsockname(socket.as_fd().as_raw_fd()).attempt("read a socket's own address")?)
}

fn peer_address(socket: &impl AsFd) -> Result<SocketAddr, TrafficError> {
    from_kernel(getpeername(socket.as_fd().as_raw_fd()).attempt("read a socket's peer")?)
}

fn bind_to_loopback(socket: &OwnedFd, family: Family) -> Result<(), TrafficError> {
    let address: IpAddr = match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
        Family::Mapped => Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
    };
    let bound = bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, 0)));
    match bound {
        Err(Errno::EADDRNOTAVAIL) if family == Family::V6 => bound.needs(Feature::Ipv6),
        _ => bound.attempt("bind to loopback"),
    }
}

fn from_kernel(address: SockaddrStorage) -> Result<SocketAddr, TrafficError> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Ok(SocketAddr::from((v4.ip(), v4.port())));
    }
    if let Some(v6) = address.as_sockaddr_in6() {
        return Ok(SocketAddr::from((v6.ip(), v6.port())));
    }
    Err(TrafficError::Unexpected("a socket's address is neither IPv4 nor IPv6".to_owned()))
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { address: address.ip(), port: address.port() }
}
