//! A set of keys in a map of the programs.

use std::collections::BTreeSet;
use std::io;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};

/// The map, and the keys that are in it.
pub(super) struct BpfSetMirror<T> {
    map: HashMap<MapData, T, u32>,
    keys: BTreeSet<T>,
}

impl<T: Pod + Ord> BpfSetMirror<T> {
    pub(super) fn new(map: Map) -> io::Result<Self> {
        Ok(Self { map: HashMap::try_from(map).map_err(io::Error::other)?, keys: BTreeSet::new() })
    }

    /// Makes the map equal to `now`.
    pub(super) fn update(&mut self, now: BTreeSet<T>) -> io::Result<()> {
        for removed in self.keys.difference(&now) {
            self.map.remove(removed).map_err(io::Error::other)?;
        }
        for added in now.difference(&self.keys) {
            self.map.insert(added, 1, 0).map_err(io::Error::other)?;
        }
        self.keys = now;
        Ok(())
    }
}
