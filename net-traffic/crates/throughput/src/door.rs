//! Keeps a server serving: answers who comes while a test runs, and ends handshakes that go nowhere.
//!
//! riperf3 listens alone and waits for ever, for a cookie as for parameters. Its sockets are this process's, so
//! they can be used from here.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, timeout};

use super::capture::Phase;
use crate::system::own::Sockets;

/// Looks after the server on one port.
pub(super) struct Door {
    port: u16,
    phase: Phase,
    sockets: Sockets,
    /// The server's own listening socket, once it has one.
    listener: Option<TcpListener>,
    /// When each connection was first seen that is not part of a running test.
    waiting: HashMap<SocketAddr, Instant>,
}

const PACE: Duration = Duration::from_millis(100);
/// How long a client may take from connecting to its first data.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// iperf3's `ACCESS_DENIED`, which its client prints as "the server is busy".
const ACCESS_DENIED: u8 = 0xff;
const COOKIE: usize = 37;
/// How long a client that is sent away may take for its cookie, and to go.
const FAREWELL: Duration = Duration::from_secs(2);

impl Door {
    /// To be made before the server opens anything.
    pub(super) fn new(port: u16, phase: Phase) -> Self {
        Self { port, phase, sockets: Sockets::from_now_on(), listener: None, waiting: HashMap::new() }
    }

    /// Never returns.
    pub(super) async fn keep(mut self) {
        let mut ticks = interval(PACE);
        loop {
            ticks.tick().await;
            if self.listener.is_none() {
                self.listener = self.sockets.listener(self.port);
            }
            if self.phase.is_running() {
                self.waiting.clear();
                self.send_away();
            } else {
                self.end_stuck_handshakes();
            }
        }
    }

    /// All streams of the running test are connected: whoever comes now is somebody else.
    fn send_away(&self) {
        let Some(listener) = &self.listener else { return };
        // The socket does not block: this ends when nobody waits.
        while let Ok((client, _)) = listener.accept() {
            tokio::spawn(async move {
                // Whether it hears why is its own affair.
                drop(timeout(FAREWELL, refuse(client)).await);
            });
        }
    }

    fn end_stuck_handshakes(&mut self) {
        let now = Instant::now();
        let connections = self.sockets.connections(self.port);
        self.waiting.retain(|peer, _| connections.iter().any(|(known, _)| known == peer));
        for (peer, connection) in connections {
            let since = *self.waiting.entry(peer).or_insert(now);
            if now.duration_since(since) >= HANDSHAKE {
                // One that is gone by itself needs no shutdown.
                drop(connection.shutdown(Shutdown::Both));
            }
        }
    }
}

/// A connection with unread data would be reset when it is closed, and the answer be lost: it is read first.
async fn refuse(client: TcpStream) -> io::Result<()> {
    client.set_nonblocking(true)?;
    let mut client = tokio::net::TcpStream::from_std(client)?;
    client.read_exact(&mut [0; COOKIE]).await?;
    client.write_all(&[ACCESS_DENIED]).await?;
    client.shutdown().await?;
    while client.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}
