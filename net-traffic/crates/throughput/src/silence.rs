//! A server that takes the connection and says nothing: another program, or an iperf before 3.

use std::time::Duration;

use tokio::time::{Instant, interval};

use super::capture::Phase;
use crate::system::own;

/// What such a silence means.
pub(super) const MEANING: &str =
    "the server does not answer as iperf3 does: it is another program, or an iperf that is too old";

const PACE: Duration = Duration::from_millis(100);
/// From the connection to the beginning of the test; connecting itself may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns when a server on `port` was silent for too long; never once a test has begun.
pub(super) async fn of_server(port: u16, phase: &Phase) {
    let mut ticks = interval(PACE);
    let mut connected: Option<Instant> = None;
    loop {
        ticks.tick().await;
        if phase.has_begun() {
            std::future::pending::<()>().await;
        }
        match connected {
            None if own::is_connected_to(port) => connected = Some(Instant::now()),
            Some(since) if since.elapsed() >= PATIENCE => return,
            _ => {}
        }
    }
}
