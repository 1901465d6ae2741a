//! Which hierarchy of cgroups tells containers apart on this machine, and the paths of its cgroups by id.
//!
//! The id that a program in the kernel sees is the inode of the cgroup's directory. What exists is found by a walk
//! over the directories, what was made and removed between two walks by the program that saw it made.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::mounted;

/// The hierarchy that was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// As the first field in /proc/PID/cgroup has it; 0 is version 2.
    pub(crate) id: u32,
    /// Version 1: a controller that is bound to it.
    pub(crate) controller: Option<&'static str>,
    /// Where it is mounted.
    mount: Option<PathBuf>,
}

/// A runtime that uses version 1 puts a container into every one of these; the first that is there is taken.
const CONTROLLERS: &[&str] = &["memory", "pids", "devices", "cpu", "freezer"];

/// Version 1 where a controller is bound to it: then the runtimes use it, and version 2 has no containers.
#[must_use]
pub(crate) fn chosen() -> Chosen {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match bound_controller(&own) {
        Some((controller, id)) => {
            Chosen { id, controller: Some(controller), mount: mounted::version_1(controller) }
        }
        None => Chosen { id: 0, controller: None, mount: mounted::version_2() },
    }
}

impl Chosen {
    /// The directory of a process's cgroup, from the text of its /proc/PID/cgroup.
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

/// The paths of cgroups by id. A path that was known stays known.
#[derive(Debug, Default)]
pub(crate) struct Hierarchy {
    mount: Option<PathBuf>,
    paths: HashMap<u64, String>,
    /// Ids that no walk found; they are not searched again.
    unknown: HashSet<u64>,
}

/// So many cgroups are remembered; then all is forgotten and what lives found again.
const REMEMBERED: usize = 65_536;
/// A hierarchy is not that deep: this is no hierarchy, or one that changes faster than it is read.
const DEPTH: usize = 32;

impl Hierarchy {
    /// Reads what exists now.
    pub(crate) fn read() -> Self {
        let mut hierarchy = Self { mount: chosen().mount, ..Self::default() };
        hierarchy.walk();
        hierarchy
    }

    /// The path of a cgroup: as it is known, as `made` says, or as the directories have it now.
    pub(crate) fn path(&mut self, id: u64, made: impl Fn(u64) -> Option<String>) -> Option<String> {
        if id == 0 || self.unknown.contains(&id) {
            return None;
        }
        if !self.paths.contains_key(&id) {
            self.forget();
            match made(id) {
                Some(path) => drop(self.paths.insert(id, path)),
                None => self.walk(),
            }
            if !self.paths.contains_key(&id) {
                self.unknown.insert(id);
            }
        }
        self.paths.get(&id).cloned()
    }

    fn forget(&mut self) {
        if self.paths.len() + self.unknown.len() > REMEMBERED {
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

/// The first of the controllers that is bound to a hierarchy of version 1, with the hierarchy's number, from the
/// text of /proc/self/cgroup.
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
    fn a_controller_of_version_1_is_preferred_to_version_2() {
        let hybrid = "9:name=systemd:/\n8:pids:/\n4:cpu,memory:/x\n0::/\n";
        assert_eq!(bound_controller(hybrid), Some(("memory", 4)));
        assert_eq!(bound_controller("8:pids:/a:b\n0::/\n"), Some(("pids", 8)));
        assert_eq!(bound_controller("1:name=systemd:/\n0::/user.slice\n"), None);
        assert_eq!(bound_controller("garbage"), None);
    }

    #[test]
    fn paths_are_found_by_inode_and_stay_known() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("docker/abc");
        fs::create_dir_all(&inside).unwrap();
        let id = fs::metadata(&inside).unwrap().ino();
        let mut hierarchy = Hierarchy { mount: Some(root.path().to_owned()), ..Hierarchy::default() };
        assert_eq!(hierarchy.path(id, |_| None).as_deref(), Some("/docker/abc"));
        fs::remove_dir(&inside).unwrap();
        assert_eq!(hierarchy.path(id, |_| None).as_deref(), Some("/docker/abc"));
        assert_eq!(hierarchy.path(7, |_| Some("/docker/gone".to_owned())).as_deref(), Some("/docker/gone"));
        assert_eq!(hierarchy.path(8, |_| None), None);
        assert_eq!(hierarchy.path(0, |_| Some("/never".to_owned())), None);
    }
}
