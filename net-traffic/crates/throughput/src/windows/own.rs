//! Finds the stream sockets that riperf3 has opened in this process: its API does not return them.
//!
//! Windows cannot list a process's handles, so that every candidate value is probed. Handles that were open before the
//! test are skipped: querying a pipe in use would block.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::windows::io::{AsRawSocket, BorrowedSocket, OwnedSocket, RawSocket};

use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE};
use windows_sys::Win32::Networking::WinSock::{
    SO_ACCEPTCONN, SO_TYPE, SOCK_STREAM, SOCKET, SOL_SOCKET, getsockopt,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

use net_traffic_snapshot::SocketFilter;
use net_traffic_snapshot::State;
use net_traffic_windows::ip_helper;
use net_traffic_windows::size;

/// A finder of sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// The handles that were open before the test.
    before: HashSet<usize>,
}

impl Sockets {
    /// Finds sockets that are opened after this call.
    pub(crate) fn from_now_on() -> Self {
        Self { before: handles().collect() }
    }

    /// The listening socket on the port.
    pub(crate) fn listener(&self, port: u16) -> Option<TcpListener> {
        self.all().into_iter().find_map(|socket| {
            let listens = option(&socket, SO_ACCEPTCONN)? != 0;
            let listener = TcpListener::from(socket);
            let is_it = listens && listener.local_addr().ok()?.port() == port;
            // A duplicate may not inherit the nonblocking mode.
            (is_it && listener.set_nonblocking(true).is_ok()).then_some(listener)
        })
    }

    /// The connections that the server has accepted on the port.
    pub(crate) fn connections(&self, port: u16) -> Vec<(SocketAddr, TcpStream)> {
        let accepted = |socket: OwnedSocket| {
            let stream = TcpStream::from(socket);
            let peer = stream.peer_addr().ok()?;
            (stream.local_addr().ok()?.port() == port).then_some((peer, stream))
        };
        self.all().into_iter().filter_map(accepted).collect()
    }

    /// Duplicates of the sockets. A duplicate stays valid when the original handle is reused.
    fn all(&self) -> Vec<OwnedSocket> {
        // The list is complete before the first duplicate, which has a handle, too.
        let new: Vec<usize> = handles().filter(|handle| !self.before.contains(handle)).collect();
        let sockets = new.into_iter().filter_map(duplicate);
        sockets.filter(|socket| option(socket, SO_TYPE) == Some(SOCK_STREAM)).collect()
    }
}

/// Whether this process has a connection to the port.
pub(crate) fn is_connected_to(port: u16) -> bool {
    let entries = ip_helper::read(SocketFilter { udp: false, ..SocketFilter::default() }).unwrap_or_default();
    let own = std::process::id();
    entries.iter().any(|entry| {
        entry.pid == own
            && entry.state == State::Established
            && entry.remote.is_some_and(|remote| remote.port == port)
    })
}

/// All open handles. Handles are multiples of four, and Windows reuses low values first.
fn handles() -> impl Iterator<Item = usize> {
    const STEP: usize = 4;
    const SPARE: usize = 1024;
    let mut count = 0;
    // SAFETY: the pseudo handle of this process is valid; the count is writable.
    let done = unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) };
    let count = if done == 0 { 0 } else { usize::try_from(count).unwrap_or(0) };
    (1..=count + SPARE).map(|number| number * STEP).filter(|handle| is_open(*handle))
}

/// Whether the handle is open. The query does not access the object.
fn is_open(handle: usize) -> bool {
    let raw: HANDLE = std::ptr::without_provenance_mut(handle);
    let mut flags = 0;
    // SAFETY: the call fails for values that are no handles; the flags are writable.
    unsafe { GetHandleInformation(raw, &raw mut flags) != 0 }
}

fn duplicate(handle: usize) -> Option<OwnedSocket> {
    let raw = RawSocket::try_from(handle).ok()?;
    // SAFETY: the value is used for one duplication, which fails if it is no socket.
    let borrowed = unsafe { BorrowedSocket::borrow_raw(raw) };
    borrowed.try_clone_to_owned().ok()
}

/// Reads an integer option.
fn option(socket: &OwnedSocket, which: i32) -> Option<i32> {
    let raw = SOCKET::try_from(socket.as_raw_socket()).ok()?;
    let mut value = 0_i32;
    let mut length = i32::try_from(size::<i32>()).ok()?;
    let into = (&raw mut value).cast();
    // SAFETY: the socket is open; the value is writable and has `length` octets.
    let failed = unsafe { getsockopt(raw, SOL_SOCKET, which, into, &raw mut length) };
    (failed == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn only_sockets_opened_afterwards_are_found() {
        let before = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        // A test on another thread may close a handle in between. Its value is then reused and counts as old.
        let attempt = |_| {
            let sockets = Sockets::from_now_on();
            let after = TcpListener::bind("127.0.0.1:0").unwrap();
            assert!(sockets.listener(port(&before)).is_none());
            let found = sockets.listener(port(&after))?;
            Some((sockets, after, found))
        };
        let (sockets, after, found) = (0..20).find_map(attempt).unwrap();
        // The duplicate accepts the connection without blocking, and then has none left.
        let mut client = TcpStream::connect(after.local_addr().unwrap()).unwrap();
        let mut taken = loop {
            if let Ok((taken, _)) = found.accept() {
                break taken;
            }
        };
        assert!(found.accept().is_err());
        let peer = client.local_addr().unwrap();
        let connections = sockets.connections(port(&after));
        // The server's socket, and possibly duplicates.
        assert!(connections.len() <= 3, "{connections:?}");
        let (_, connection) = connections.into_iter().find(|(known, _)| *known == peer).unwrap();
        // Closing a duplicate does not close the socket. A shutdown of a duplicate shuts the socket down.
        drop(found);
        taken.set_nonblocking(false).unwrap();
        taken.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        connection.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        assert!(TcpStream::connect(after.local_addr().unwrap()).is_ok());
    }
}
