//! Keeps a server available: rejects clients during a test, and ends stalled handshakes.
//!
//! riperf3 accepts no client during a test, and waits without a timeout for the cookie and the parameters. Its sockets
//! belong to this process, so that this module can use them.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, timeout};

use super::capture::Phase;
use crate::system::own::Sockets;

/// Guards the server on one port.
pub(super) struct ServerGuard {
    port: u16,
    phase: Phase,
    sockets: Sockets,
    /// The server's own listening socket, once it has one.
    listener: Option<TcpListener>,
    /// The first sighting of each connection outside a test.
    waiting: HashMap<SocketAddr, Instant>,
}

const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The maximum time from the connection to the start of the test.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// iperf3's `ACCESS_DENIED`, which its client prints as "the server is busy".
const ACCESS_DENIED: u8 = 0xff;
const COOKIE: usize = 37;
/// How long a rejected client may take to send its cookie and to close.
const REJECT_TIMEOUT: Duration = Duration::from_secs(2);

impl ServerGuard {
    /// To be called before the server opens its sockets.
    pub(super) fn new(port: u16, phase: Phase) -> Self {
        Self { port, phase, sockets: Sockets::from_now_on(), listener: None, waiting: HashMap::new() }
    }

    /// Guards the server. Never returns.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(POLL_INTERVAL);
        loop {
            ticks.tick().await;
            if self.listener.is_none() {
                self.listener = self.sockets.listener(self.port);
            }
            if self.phase.is_running() {
                self.waiting.clear();
                self.reject_busy();
            } else {
                self.end_stalled_handshakes();
            }
        }
    }

    /// Rejects waiting clients. All streams of the running test are connected, so that a new connection is another
    /// client's.
    fn reject_busy(&self) {
        let Some(listener) = &self.listener else { return };
        // The socket is nonblocking: the loop ends when no connection waits.
        while let Ok((client, _)) = listener.accept() {
            tokio::spawn(async move {
                // A client that does not read the reply changes nothing.
                drop(timeout(REJECT_TIMEOUT, reject(client)).await);
            });
        }
    }

    fn end_stalled_handshakes(&mut self) {
        let now = Instant::now();
        let connections = self.sockets.connections(self.port);
        self.waiting.retain(|peer, _| connections.iter().any(|(known, _)| known == peer));
        for (peer, connection) in connections {
            let since = *self.waiting.entry(peer).or_insert(now);
            if now.duration_since(since) >= HANDSHAKE_TIMEOUT {
                // A connection that has just ended needs no shutdown.
                drop(connection.shutdown(Shutdown::Both));
            }
        }
    }
}

/// Replies `ACCESS_DENIED`. The cookie is read first: closing a connection with unread data resets it, and the reply is
/// lost.
async fn reject(client: TcpStream) -> io::Result<()> {
    client.set_nonblocking(true)?;
    let mut client = tokio::net::TcpStream::from_std(client)?;
    client.read_exact(&mut [0; COOKIE]).await?;
    client.write_all(&[ACCESS_DENIED]).await?;
    client.shutdown().await?;
    while client.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}
