//! For the test of the self-test alone: counts as a tracer would that loses one event in a thousand.

use crate::snapshot::{Bytes, Snapshot};

/// Set to anything, it spoils what was counted.
const SWITCH: &str = "NET_TRAFFIC_SABOTAGE";
const ONE_IN: u64 = 1000;

pub(super) fn apply(snapshot: &mut Snapshot) {
    if std::env::var_os(SWITCH).is_none() {
        return;
    }
    let sockets = snapshot.sockets.iter_mut().flat_map(|socket| [&mut socket.counted, &mut socket.lifetime]);
    let processes = snapshot.processes.iter_mut().map(|process| &mut process.counted);
    for bytes in sockets.chain(processes).flatten() {
        *bytes = Bytes { rx: bytes.rx - bytes.rx / ONE_IN, tx: bytes.tx - bytes.tx / ONE_IN };
    }
}
