//! Reads every socket that has counters, which settles them: one walk, and the ring that its records come by.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read};

use aya::maps::{MapData, RingBuf};
use net_traffic_common::SocketRecord;

use super::{bpf::IterLink, records};

pub(super) struct Harvest {
    walk: IterLink,
    /// Where the walk leaves the records; it pauses when there is no more room.
    ring: RingBuf<MapData>,
    met: Met,
}

/// The cookies of the sockets that walks came by.
///
/// After a pause the kernel finds its place again by counting, so that each socket that was destroyed before that place
/// has it pass over one that lives. Who was there in the reading before and has not ended was passed over.
#[derive(Default)]
struct Met {
    before: Vec<u64>,
    now: Vec<u64>,
    was_paused: bool,
}

impl Harvest {
    pub(super) fn new(walk: IterLink, ring: RingBuf<MapData>) -> Self {
        Self { walk, ring, met: Met::default() }
    }

    /// Hands over every socket, one by one: there may be many.
    ///
    /// # Errors
    /// The kernel's refusal to walk.
    pub(super) fn read(&mut self, mut each: impl FnMut(&SocketRecord)) -> io::Result<()> {
        let mut met = std::mem::take(&mut self.met);
        met.begin();
        let was_paused = self.walk(|record| {
            met.now.push(record.cookie);
            each(record);
        });
        met.now.sort_unstable();
        met.was_paused = was_paused?;
        self.met = met;
        Ok(())
    }

    /// Hands over sockets that the reading passed over; false if it passed over none. `ended`: those that are gone since.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(super) fn read_rest(
        &mut self,
        ended: &[SocketRecord],
        mut each: impl FnMut(&SocketRecord),
    ) -> io::Result<bool> {
        if !self.met.has_passed_over(ended) {
            return Ok(false);
        }
        let mut met = std::mem::take(&mut self.met);
        let known = met.now.len();
        self.walk(|record| {
            if met.now[..known].binary_search(&record.cookie).is_err() {
                met.now.push(record.cookie);
                each(record);
            }
        })?;
        met.now.sort_unstable();
        self.met = met;
        Ok(true)
    }

    /// Walks once over all sockets; true if it had to pause.
    fn walk(&mut self, mut each: impl FnMut(&SocketRecord)) -> io::Result<bool> {
        // What a walk left that failed.
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

impl Met {
    fn begin(&mut self) {
        std::mem::swap(&mut self.before, &mut self.now);
        self.now.clear();
    }

    fn has_passed_over(&self, ended: &[SocketRecord]) -> bool {
        if !self.was_paused {
            return false;
        }
        // Of the first reading nobody knows.
        if self.before.is_empty() {
            return true;
        }
        let ended: HashSet<u64> = ended.iter().map(|record| record.cookie).collect();
        self.before.iter().any(|cookie| self.now.binary_search(cookie).is_err() && !ended.contains(cookie))
    }
}

/// Walks on. True: until the ring was full, or as far as the kernel goes at once (a million sockets); false: to the end.
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
    fn who_was_there_and_has_not_ended_was_passed_over() {
        let met = |now: &[u64], was_paused| Met { before: vec![1, 2, 3], now: now.to_vec(), was_paused };
        let ended = |cookie| SocketRecord { cookie, ..SocketRecord::default() };
        assert!(!met(&[1, 2, 3, 4], true).has_passed_over(&[]));
        assert!(met(&[1, 3], true).has_passed_over(&[]));
        assert!(met(&[1, 3], true).has_passed_over(&[ended(1)]));
        assert!(!met(&[1, 3], true).has_passed_over(&[ended(2)]));
        assert!(!met(&[1, 3], false).has_passed_over(&[]));
        assert!(Met { was_paused: true, ..Met::default() }.has_passed_over(&[]));
    }

    #[test]
    fn a_reading_is_compared_with_the_one_before() {
        let mut met = Met { now: vec![1, 2], ..Met::default() };
        met.begin();
        assert_eq!((met.before.as_slice(), met.now.as_slice()), (&[1, 2][..], &[][..]));
    }
}
