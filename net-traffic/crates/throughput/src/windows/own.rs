//! This process's own stream sockets, which riperf3 opened and does not hand out.
//!
//! A system that lists them is not to be had: each number that may be a handle's is tried. Of those that were open before,
//! none is touched: a pipe that somebody waits at would have us wait as well.

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

/// Finds them.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// The numbers of all handles that were there before.
    before: HashSet<usize>,
}

impl Sockets {
    /// Those that are opened from here on.
    pub(crate) fn from_now_on() -> Self {
        Self { before: handles().collect() }
    }

    /// This process's listening socket on the port.
    pub(crate) fn listener(&self, port: u16) -> Option<TcpListener> {
        self.all().into_iter().find_map(|socket| {
            let listens = option(&socket, SO_ACCEPTCONN)? != 0;
            let listener = TcpListener::from(socket);
            let is_it = listens && listener.local_addr().ok()?.port() == port;
            // It may not be told to the duplicate that its original does not.
            (is_it && listener.set_nonblocking(true).is_ok()).then_some(listener)
        })
    }

    /// This process's connections that the server accepted on the port.
    pub(crate) fn connections(&self, port: u16) -> Vec<(SocketAddr, TcpStream)> {
        let accepted = |socket: OwnedSocket| {
            let stream = TcpStream::from(socket);
            let peer = stream.peer_addr().ok()?;
            (stream.local_addr().ok()?.port() == port).then_some((peer, stream))
        };
        self.all().into_iter().filter_map(accepted).collect()
    }

    /// Duplicates of them: what is done with one of them is done with that socket, whatever its number stands for by
    /// then.
    fn all(&self) -> Vec<OwnedSocket> {
        // Listed before any is made: a duplicate has a number, too.
        let new: Vec<usize> = handles().filter(|handle| !self.before.contains(handle)).collect();
        let sockets = new.into_iter().filter_map(duplicate);
        sockets.filter(|socket| option(socket, SO_TYPE) == Some(SOCK_STREAM)).collect()
    }
}

/// Whether a connection of this process to that port stands.
pub(crate) fn is_connected_to(port: u16) -> bool {
    let entries = ip_helper::read(SocketFilter { udp: false, ..SocketFilter::default() }).unwrap_or_default();
    let own = std::process::id();
    entries.iter().any(|entry| {
        entry.pid == own
            && entry.state == State::Established
            && entry.remote.is_some_and(|remote| remote.port == port)
    })
}

/// The numbers of all handles: multiples of four, and low ones are used again first.
fn handles() -> impl Iterator<Item = usize> {
    const STEP: usize = 4;
    const SPARE: usize = 1024;
    let mut count = 0;
    // SAFETY: the handle stands for this process; the count is writable.
    let done = unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) };
    let count = if done == 0 { 0 } else { usize::try_from(count).unwrap_or(0) };
    (1..=count + SPARE).map(|number| number * STEP).filter(|handle| is_open(*handle))
}

/// Asks nothing of what the handle stands for.
fn is_open(handle: usize) -> bool {
    let raw: HANDLE = std::ptr::without_provenance_mut(handle);
    let mut flags = 0;
    // SAFETY: any number may be asked for; the flags are writable.
    unsafe { GetHandleInformation(raw, &raw mut flags) != 0 }
}

fn duplicate(handle: usize) -> Option<OwnedSocket> {
    let raw = RawSocket::try_from(handle).ok()?;
    // SAFETY: it is used for one call, which is refused for what is no socket.
    let borrowed = unsafe { BorrowedSocket::borrow_raw(raw) };
    borrowed.try_clone_to_owned().ok()
}

/// An option that is a number.
fn option(socket: &OwnedSocket, which: i32) -> Option<i32> {
    let raw = SOCKET::try_from(socket.as_raw_socket()).ok()?;
    let mut value = 0_i32;
    let mut length = i32::try_from(size::<i32>()).ok()?;
    let into = (&raw mut value).cast();
    // SAFETY: the socket is open; the value is writable and as large as said.
    let failed = unsafe { getsockopt(raw, SOL_SOCKET, which, into, &raw mut length) };
    (failed == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn sockets_are_found_that_were_opened_afterwards_and_no_others() {
        let before = TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = Sockets::from_now_on();
        let after = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        assert!(sockets.listener(port(&before)).is_none());
        let found = sockets.listener(port(&after)).unwrap();
        // One that waits is taken by whoever asks first; then nobody is there to wait for.
        let mut client = TcpStream::connect(after.local_addr().unwrap()).unwrap();
        let mut taken = loop {
            if let Ok((taken, _)) = found.accept() {
                break taken;
            }
        };
        assert!(found.accept().is_err());
        let peer = client.local_addr().unwrap();
        let connections = sockets.connections(port(&after));
        // The server's end and the duplicate of its listener, which has no peer or is one itself.
        assert!(connections.len() <= 3, "{connections:?}");
        let (_, connection) = connections.into_iter().find(|(known, _)| *known == peer).unwrap();
        // Letting go of a duplicate is not an end; what is done with it is done with the socket.
        drop(found);
        taken.set_nonblocking(false).unwrap();
        taken.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        connection.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        assert!(TcpStream::connect(after.local_addr().unwrap()).is_ok());
    }
}
