//! A set that the programs know, kept as the collector finds it.

use std::collections::BTreeSet;
use std::io;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};

/// The map, and what is in it.
pub(super) struct Told<T> {
    map: HashMap<MapData, T, u32>,
    known: BTreeSet<T>,
}

impl<T: Pod + Ord> Told<T> {
    pub(super) fn new(map: Map) -> io::Result<Self> {
        Ok(Self { map: HashMap::try_from(map).map_err(io::Error::other)?, known: BTreeSet::new() })
    }

    pub(super) fn tell(&mut self, now: BTreeSet<T>) -> io::Result<()> {
        for gone in self.known.difference(&now) {
            self.map.remove(gone).map_err(io::Error::other)?;
        }
        for new in now.difference(&self.known) {
            self.map.insert(new, 1, 0).map_err(io::Error::other)?;
        }
        self.known = now;
        Ok(())
    }
}
