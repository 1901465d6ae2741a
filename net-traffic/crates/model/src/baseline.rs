//! Where totals begin again: what had been counted by the time the user wished to start anew.

use std::collections::HashMap;

use super::process::sum;
use net_traffic_snapshot::{Bytes, Process, ProcessId, Socket, SocketId};

/// What the sources had counted at the last reset. They count on from where they were; this is taken off.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    sockets: HashMap<SocketId, Bytes>,
    processes: HashMap<ProcessId, Bytes>,
}

impl Baseline {
    /// Takes what is counted now, which is itself since the reset before, as the new beginning. Whatever is not
    /// known now is gone for good, and forgotten.
    pub(super) fn begin(
        &mut self,
        sockets: impl Iterator<Item = (SocketId, Bytes)>,
        processes: impl Iterator<Item = (ProcessId, Bytes)>,
    ) {
        let before = std::mem::take(self);
        let sum_with = |before: Option<&Bytes>, now| before.map_or(now, |before| sum(*before, now));
        self.sockets = sockets.map(|(id, now)| (id, sum_with(before.sockets.get(&id), now))).collect();
        self.processes = processes.map(|(id, now)| (id, sum_with(before.processes.get(&id), now))).collect();
    }

    /// Takes the beginning off what was read. A socket without an identity cannot be told from others.
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
