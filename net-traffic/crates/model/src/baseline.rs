//! The counters at the last reset. Collectors count on; the model subtracts these.

use std::collections::HashMap;

use super::process::sum;
use net_traffic_snapshot::{Bytes, Process, ProcessId, Socket, SocketId};

/// The counted bytes at the last reset, by socket and process.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    sockets: HashMap<SocketId, Bytes>,
    processes: HashMap<ProcessId, Bytes>,
}

impl Baseline {
    /// Adds the counts since the previous reset to the baseline. Sockets and processes that are not listed have ended
    /// and are dropped.
    pub(super) fn restart(
        &mut self,
        sockets: impl Iterator<Item = (SocketId, Bytes)>,
        processes: impl Iterator<Item = (ProcessId, Bytes)>,
    ) {
        let before = std::mem::take(self);
        let sum_with = |before: Option<&Bytes>, now| before.map_or(now, |before| sum(*before, now));
        self.sockets = sockets.map(|(id, now)| (id, sum_with(before.sockets.get(&id), now))).collect();
        self.processes = processes.map(|(id, now)| (id, sum_with(before.processes.get(&id), now))).collect();
    }

    /// Subtracts the baseline from a snapshot's counts. A socket without a cookie has no baseline.
    pub(super) fn apply(&self, sockets: &mut [Socket], processes: &mut [Process]) {
        if self.sockets.is_empty() && self.processes.is_empty() {
            return;
        }
        for socket in sockets.iter_mut().filter(|socket| socket.id != SocketId::default()) {
            if let (Some(begin), Some(counted)) = (self.sockets.get(&socket.id), &mut socket.counted) {
                *counted = since(*counted, *begin);
            }
        }
        for process in processes {
            if let (Some(begin), Some(counted)) = (self.processes.get(&process.id), &mut process.counted) {
                *counted = since(*counted, *begin);
            }
        }
    }
}

fn since(now: Bytes, begin: Bytes) -> Bytes {
    Bytes { rx: now.rx.saturating_sub(begin.rx), tx: now.tx.saturating_sub(begin.tx) }
}
