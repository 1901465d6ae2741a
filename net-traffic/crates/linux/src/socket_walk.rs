//! The walk over all sockets with counters: an iterator program writes one record for each into a ring buffer.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read};

use aya::maps::{MapData, RingBuf};
use net_traffic_common::SocketRecord;

use super::{bpf::IterLink, records};

pub(super) struct SocketWalk {
    walk: IterLink,
    /// The records. The walk pauses while the ring is full.
    ring: RingBuf<MapData>,
    seen: SeenCookies,
}

/// The cookies of the sockets of the last two readings.
///
/// A paused walk resumes by position
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/core/bpf_sk_storage.c#L745>): a socket that was destroyed
/// before that position makes the kernel skip a live one. A cookie of the reading before that is absent now and whose
/// socket is not closed was skipped.
#[derive(Default)]
struct SeenCookies {
    before: Vec<u64>,
    now: Vec<u64>,
    was_paused: bool,
}

impl SocketWalk {
    pub(super) fn new(walk: IterLink, ring: RingBuf<MapData>) -> Self {
        Self { walk, ring, seen: SeenCookies::default() }
    }

    /// Calls `each` for every socket.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub(super) fn read(&mut self, mut each: impl FnMut(&SocketRecord)) -> io::Result<()> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.begin();
        let was_paused = self.walk(|record| {
            seen.now.push(record.cookie);
            each(record);
        });
        seen.now.sort_unstable();
        seen.was_paused = was_paused?;
        self.seen = seen;
        Ok(())
    }

    /// Walks again and calls `each` for the sockets that the reading skipped. False: it skipped none. `ended` are the
    /// sockets that were destroyed since.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(super) fn read_rest(
        &mut self,
        ended: &[SocketRecord],
        mut each: impl FnMut(&SocketRecord),
    ) -> io::Result<bool> {
        if !self.seen.skipped_any(ended) {
            return Ok(false);
        }
        let mut seen = std::mem::take(&mut self.seen);
        let known = seen.now.len();
        self.walk(|record| {
            if seen.now[..known].binary_search(&record.cookie).is_err() {
                seen.now.push(record.cookie);
                each(record);
            }
        })?;
        seen.now.sort_unstable();
        self.seen = seen;
        Ok(true)
    }

    /// Walks once over all sockets; true if the walk paused.
    fn walk(&mut self, mut each: impl FnMut(&SocketRecord)) -> io::Result<bool> {
        // The records of a walk that failed.
        while self.ring.next().is_some() {}
        let mut walk = self.walk.walk()?;
        let mut was_paused = false;
        loop {
            let is_paused = advance(&mut walk)?;
            was_paused |= is_paused;
            while let Some(bytes) = self.ring.next() {
                if let Some(record) = records::read_record(&bytes) {
                    each(&record);
                }
            }
            if !is_paused {
                return Ok(was_paused);
            }
        }
    }
}

impl SeenCookies {
    fn begin(&mut self) {
        std::mem::swap(&mut self.before, &mut self.now);
        self.now.clear();
    }

    fn skipped_any(&self, ended: &[SocketRecord]) -> bool {
        if !self.was_paused {
            return false;
        }
        // No previous reading to compare with: walk again.
        if self.before.is_empty() {
            return true;
        }
        let ended: HashSet<u64> = ended.iter().map(|record| record.cookie).collect();
        self.before.iter().any(|cookie| self.now.binary_search(cookie).is_err() && !ended.contains(cookie))
    }
}

/// Continues the walk. True: the walk paused, because the ring was full or after a million sockets, which is the
/// kernel's limit for one `read(2)`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/bpf_iter.c#L86>). False: the walk is over.
fn advance(walk: &mut impl Read) -> io::Result<bool> {
    match walk.read(&mut [0]) {
        Ok(_) => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_socket_absent_after_pause_was_skipped() {
        let seen =
            |now: &[u64], was_paused| SeenCookies { before: vec![1, 2, 3], now: now.to_vec(), was_paused };
        let ended = |cookie| SocketRecord { cookie, ..SocketRecord::default() };
        assert!(!seen(&[1, 2, 3, 4], true).skipped_any(&[]));
        assert!(seen(&[1, 3], true).skipped_any(&[]));
        assert!(seen(&[1, 3], true).skipped_any(&[ended(1)]));
        assert!(!seen(&[1, 3], true).skipped_any(&[ended(2)]));
        assert!(!seen(&[1, 3], false).skipped_any(&[]));
        assert!(SeenCookies { was_paused: true, ..SeenCookies::default() }.skipped_any(&[]));
    }

    #[test]
    fn begin_moves_cookies_to_before() {
        let mut seen = SeenCookies { now: vec![1, 2], ..SeenCookies::default() };
        seen.begin();
        assert_eq!((seen.before.as_slice(), seen.now.as_slice()), (&[1, 2][..], &[][..]));
    }
}
