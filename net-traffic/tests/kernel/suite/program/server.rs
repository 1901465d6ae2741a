//! The other end: reads a stream to its end and replies with a known number of bytes; replies to every datagram.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use libtest_mimic::Failed;

/// The bytes of the reply to a stream.
pub(super) const REPLY: usize = 54_321;
/// The bytes of the reply to a datagram.
pub(super) const ANSWER: usize = 50;

/// A server for streams on a free port. It ends with the process.
pub(super) fn streams(address: IpAddr) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind((address, 0))?;
    let local = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || drop(answer(stream)));
        }
    });
    Ok(local)
}

/// A server for datagrams on a free port.
pub(super) fn datagrams(address: IpAddr) -> Result<SocketAddr, Failed> {
    let socket = UdpSocket::bind((address, 0))?;
    let local = socket.local_addr()?;
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            if socket.send_to(&[b'x'; ANSWER], peer).is_err() {
                return;
            }
        }
    });
    Ok(local)
}

/// Serves one client.
pub(super) fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 16 << 10];
    while stream.read(&mut buffer)? > 0 {}
    stream.write_all(&vec![b'x'; REPLY])
}
