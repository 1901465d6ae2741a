//! Detects a server that accepts the connection and does not reply: another program, or an iperf before version 3.

use std::time::Duration;

use tokio::time::{Instant, interval};

use super::capture::Phase;
use crate::system::own;

/// The message after the timeout.
pub(super) const MEANING: &str =
    "the server does not answer as iperf3 does: it is another program, or an iperf that is too old";

const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The maximum time from the connection to the start of the test. Connecting itself may take longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Returns when the server on `port` has not replied in time. Never returns after a test has started.
pub(super) async fn handshake_timeout(port: u16, phase: &Phase) {
    let mut ticks = interval(POLL_INTERVAL);
    let mut connected: Option<Instant> = None;
    loop {
        ticks.tick().await;
        if phase.has_begun() {
            std::future::pending::<()>().await;
        }
        match connected {
            None if own::is_connected_to(port) => connected = Some(Instant::now()),
            Some(since) if since.elapsed() >= TIMEOUT => return,
            _ => {}
        }
    }
}
