//! The paths of cgroups by id: of existing cgroups, and of those that were created later and may be removed.

use aya::maps::{HashMap, Map, MapData, MapError};
use net_traffic_common::CgroupPath;

use super::hierarchy::Hierarchy;
use crate::records;

pub(crate) struct CgroupPaths {
    existing: Hierarchy,
    created: HashMap<MapData, u64, CgroupPath>,
}

impl CgroupPaths {
    /// `created`: the map that the program on the tracepoint `cgroup_mkdir` fills.
    pub(crate) fn read(created: Map) -> Result<Self, MapError> {
        Ok(Self { created: HashMap::try_from(created)?, existing: Hierarchy::read() })
    }

    pub(crate) fn of(&mut self, id: u64) -> Option<String> {
        let Self { existing, created } = self;
        existing.path(id, |id| created.get(&id, 0).ok().map(|path| records::cgroup_path(&path)))
    }
}
