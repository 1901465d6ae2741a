//! The paths of cgroups by id: of those that exist, and of those that were made since and may be gone.

use aya::maps::{HashMap, Map, MapData, MapError};
use net_traffic_common::CgroupPath;

use super::hierarchy::Hierarchy;
use crate::records;

pub(crate) struct Paths {
    existing: Hierarchy,
    made: HashMap<MapData, u64, CgroupPath>,
}

impl Paths {
    /// `made`: the map that the program fills which sees cgroups made.
    pub(crate) fn read(made: Map) -> Result<Self, MapError> {
        Ok(Self { made: HashMap::try_from(made)?, existing: Hierarchy::read() })
    }

    pub(crate) fn of(&mut self, id: u64) -> Option<String> {
        let Self { existing, made } = self;
        existing.path(id, |id| made.get(&id, 0).ok().map(|path| records::cgroup_path(&path)))
    }
}
