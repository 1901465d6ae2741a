//! Reads every socket that has counters, which settles them: one walk, and the ring that its records come by.

use std::io::{self, ErrorKind, Read};

use aya::maps::{MapData, RingBuf};
use net_traffic_common::SocketRecord;

use super::{bpf::IterLink, records};

pub(super) struct Harvest {
    walk: IterLink,
    /// Where the walk leaves the records; it pauses when there is no more room.
    ring: RingBuf<MapData>,
}

impl Harvest {
    pub(super) fn new(walk: IterLink, ring: RingBuf<MapData>) -> Self {
        Self { walk, ring }
    }

    /// Hands over every socket, one by one: there may be many.
    ///
    /// # Errors
    /// The kernel's refusal to walk.
    pub(super) fn read(&mut self, mut each: impl FnMut(&SocketRecord)) -> io::Result<()> {
        // What a walk left that failed.
        while self.ring.next().is_some() {}
        let mut walk = self.walk.walk()?;
        let mut is_paused = true;
        while is_paused {
            is_paused = advance(&mut walk)?;
            while let Some(bytes) = self.ring.next() {
                if let Some(record) = records::read_record(&bytes) {
                    each(&record);
                }
            }
        }
        Ok(())
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
