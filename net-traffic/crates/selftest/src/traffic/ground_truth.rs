//! The bytes that one process moved over one socket, summed from the return values of its system calls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::unistd::getpid;
use serde::{Deserialize, Serialize};

use super::error::{Attempt, TrafficError};
use net_traffic_snapshot::{Bytes, Endpoint, ProcessId, Protocol, SocketId};

/// One record for each pair of process and socket. A socket that two processes share has two records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The process's role: `client`, `server`, `client's child`.
    pub worker: String,
    pub process: ProcessId,
    pub socket: SocketId,
    pub protocol: Protocol,
    /// The addresses at the first use of the socket, for messages only.
    pub local: Endpoint,
    pub remote: Option<Endpoint>,
    /// The sum of the calls' results since the tracer started. Peeked bytes and bytes of an error queue do not count.
    /// A truncated datagram counts with the bytes in the buffer, or with its length if the call had `MSG_TRUNC`.
    pub counted: Bytes,
    /// The same over the lifetime of the socket.
    pub lifetime: Bytes,
    /// The bytes that kernel TLS adds: record headers and tags, which TCP carries in addition to `counted`.
    pub framing: Bytes,
    /// The process held the socket open when it sent the record, and holds it open until the run finishes.
    pub open: bool,
}

/// The byte counters of one socket in one process. Threads share them.
pub(super) struct Tally {
    pub(super) socket: SocketId,
    pub(super) protocol: Protocol,
    pub(super) local: Endpoint,
    pub(super) remote: Option<Endpoint>,
    pub(super) moved: Counter,
    pub(super) framing: Counter,
    before_tracer: Counter,
    open: AtomicBool,
}

impl Tally {
    pub(super) fn new(
        socket: SocketId,
        protocol: Protocol,
        local: Endpoint,
        remote: Option<Endpoint>,
    ) -> Self {
        Self {
            socket,
            protocol,
            local,
            remote,
            moved: Counter::default(),
            framing: Counter::default(),
            before_tracer: Counter::default(),
            open: AtomicBool::new(true),
        }
    }

    /// The bytes moved so far are older than the tracer.
    pub(super) fn mark_tracer_start(&self) {
        let Bytes { rx, tx } = self.moved.read();
        self.before_tracer.received(rx);
        self.before_tracer.sent(tx);
    }

    pub(super) fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn transfer(&self, worker: &str, process: ProcessId) -> Transfer {
        let lifetime = self.moved.read();
        let before = self.before_tracer.read();
        Transfer {
            worker: worker.to_owned(),
            process,
            socket: self.socket,
            protocol: self.protocol,
            local: self.local,
            remote: self.remote,
            counted: Bytes { rx: lifetime.rx - before.rx, tx: lifetime.tx - before.tx },
            lifetime,
            framing: self.framing.read(),
            open: self.is_open(),
        }
    }
}

#[derive(Default)]
pub(super) struct Counter {
    rx: AtomicU64,
    tx: AtomicU64,
}

impl Counter {
    pub(super) fn received(&self, bytes: u64) {
        self.rx.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.tx.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(super) fn read(&self) -> Bytes {
        Bytes { rx: self.rx.load(Ordering::SeqCst), tx: self.tx.load(Ordering::SeqCst) }
    }
}

/// The identity of the calling process in its own PID namespace.
pub(super) fn this_process() -> Result<ProcessId, TrafficError> {
    let stat = std::fs::read_to_string("/proc/self/stat").attempt("read /proc/self/stat")?;
    let start_ticks = start_ticks(&stat)
        .ok_or_else(|| TrafficError::Unexpected(format!("no start time in /proc/self/stat: {stat}")))?;
    Ok(ProcessId { pid: getpid().as_raw().unsigned_abs(), start_ticks })
}

/// Field 22 of `/proc/PID/stat`: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>. The second field is
/// the name in parentheses, which may contain any character.
fn start_ticks(stat: &str) -> Option<u32> {
    const FIELDS_BETWEEN_NAME_AND_START: usize = 19;
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: u64 = after_name.split_ascii_whitespace().nth(FIELDS_BETWEEN_NAME_AND_START)?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "ProcessId keeps it modulo 2^32")]
    Some(ticks as u32)
}

#[cfg(test)]
mod tests {
    use super::start_ticks;

    #[test]
    fn start_ticks_any_process_name_finds_field() {
        let numbers: Vec<String> = (4..=30).map(|field| field.to_string()).collect();
        for name in ["sh", "a b", "x) R 1 (y"] {
            let stat = format!("7 ({name}) S {}", numbers.join(" "));
            assert_eq!(start_ticks(&stat), Some(22), "{stat}");
        }
        assert_eq!(start_ticks("7 (sh) S 1"), None);
    }
}
