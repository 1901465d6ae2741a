//! Chooses the cgroup hierarchy that separates containers, and maps the ids of its cgroups to paths.
//!
//! The id that an eBPF program reads is the inode of the cgroup's directory
//! (<https://github.com/gregkh/linux/blob/v6.12.117/include/linux/cgroup.h#L324>). A walk over the directories finds the
//! existing cgroups. An eBPF program records cgroups that are created and removed between two walks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::mounted;

/// The hierarchy with the containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContainerHierarchy {
    /// The first field of a line in /proc/PID/cgroup; 0 is cgroup v2.
    pub(crate) id: u32,
    /// cgroup v1: a controller of the hierarchy.
    pub(crate) controller: Option<&'static str>,
    mount: Option<PathBuf>,
}

/// Under cgroup v1 a runtime puts a container into the hierarchy of each of these controllers; the first mounted one
/// is chosen.
const CONTROLLERS: &[&str] = &["memory", "pids", "devices", "cpu", "freezer"];

/// cgroup v1 if a hierarchy has one of the controllers: runtimes then use v1, and v2 has no containers.
#[must_use]
pub(crate) fn container_hierarchy() -> ContainerHierarchy {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match bound_controller(&own) {
        Some((controller, id)) => {
            ContainerHierarchy { id, controller: Some(controller), mount: mounted::version_1(controller) }
        }
        None => ContainerHierarchy { id: 0, controller: None, mount: mounted::version_2() },
    }
}

impl ContainerHierarchy {
    /// The cgroup directory of a process, from the text of /proc/PID/cgroup.
    #[must_use]
    pub(crate) fn directory(&self, text: &str) -> Option<PathBuf> {
        let path = text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let id: u32 = fields.next()?.parse().ok()?;
            if id == self.id { fields.nth(1) } else { None }
        })?;
        Some(self.mount.as_ref()?.join(path.trim_start_matches('/')))
    }
}

/// The paths of cgroups by id. The path of a removed cgroup stays.
#[derive(Debug, Default)]
pub(crate) struct Hierarchy {
    mount: Option<PathBuf>,
    paths: HashMap<u64, String>,
    /// Ids without a path; no further walk looks for them.
    unknown: HashSet<u64>,
}

/// The limit of the cache: a larger one is cleared, and the next walk finds the existing cgroups again.
const CACHE_LIMIT: usize = 65_536;
/// The limit of a walk's depth, against a directory tree that changes during the walk.
const DEPTH: usize = 32;

impl Hierarchy {
    /// Walks the existing cgroups.
    pub(crate) fn read() -> Self {
        let mut hierarchy = Self { mount: container_hierarchy().mount, ..Self::default() };
        hierarchy.walk();
        hierarchy
    }

    /// The path of a cgroup: from the cache, from `created`, or from a walk.
    pub(crate) fn path(&mut self, id: u64, created: impl Fn(u64) -> Option<String>) -> Option<String> {
        if id == 0 || self.unknown.contains(&id) {
            return None;
        }
        if !self.paths.contains_key(&id) {
            self.limit_cache();
            match created(id) {
                Some(path) => drop(self.paths.insert(id, path)),
                None => self.walk(),
            }
            if !self.paths.contains_key(&id) {
                self.unknown.insert(id);
            }
        }
        self.paths.get(&id).cloned()
    }

    fn limit_cache(&mut self) {
        if self.paths.len() + self.unknown.len() > CACHE_LIMIT {
            self.paths.clear();
            self.unknown.clear();
        }
    }

    fn walk(&mut self) {
        if let Some(mount) = self.mount.clone() {
            self.enter(&mount, &mount, DEPTH);
        }
    }

    fn enter(&mut self, mount: &Path, directory: &Path, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if let (Ok(metadata), Ok(below)) = (fs::metadata(directory), directory.strip_prefix(mount)) {
            self.paths.insert(metadata.ino(), format!("/{}", below.display()));
        }
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.enter(mount, &entry.path(), depth);
            }
        }
    }
}

/// The first controller of the list with a cgroup v1 hierarchy, and the hierarchy's id, from the text of
/// /proc/self/cgroup.
fn bound_controller(text: &str) -> Option<(&'static str, u32)> {
    CONTROLLERS.iter().find_map(|wanted| {
        text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers) = (fields.next()?.parse().ok()?, fields.next()?);
            controllers.split(',').any(|controller| controller == *wanted).then_some((*wanted, id))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_v1_controller_is_preferred_to_v2() {
        let hybrid = "9:name=systemd:/\n8:pids:/\n4:cpu,memory:/x\n0::/\n";
        assert_eq!(bound_controller(hybrid), Some(("memory", 4)));
        assert_eq!(bound_controller("8:pids:/a:b\n0::/\n"), Some(("pids", 8)));
        assert_eq!(bound_controller("1:name=systemd:/\n0::/user.slice\n"), None);
        assert_eq!(bound_controller("garbage"), None);
    }

    #[test]
    fn path_is_found_by_inode_and_kept() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("docker/abc");
        fs::create_dir_all(&inside).unwrap();
        let id = fs::metadata(&inside).unwrap().ino();
        let mut hierarchy = Hierarchy { mount: Some(root.path().to_owned()), ..Hierarchy::default() };
        assert_eq!(hierarchy.path(id, |_| None).as_deref(), Some("/docker/abc"));
        fs::remove_dir(&inside).unwrap();
        assert_eq!(hierarchy.path(id, |_| None).as_deref(), Some("/docker/abc"));
        // A small number may be the inode of a directory on a fresh tmpfs.
        let removed = hierarchy.path(u64::MAX, |_| Some("/docker/gone".to_owned()));
        assert_eq!(removed.as_deref(), Some("/docker/gone"));
        assert_eq!(hierarchy.path(u64::MAX - 1, |_| None), None);
        assert_eq!(hierarchy.path(0, |_| Some("/never".to_owned())), None);
    }
}
