//! Finds the container of a process by the path of the process's cgroup.
//!
//! The path contains the container's id. The name comes from the runtime's files, or from the engine's API socket if
//! the files may not be read. Each container's name is looked up once.

pub(super) mod hierarchy;
pub(super) mod mounted;
mod names;
pub(super) mod paths;
mod recognise;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::names::ContainerNames;
use self::recognise::{ContainerRef, recognise};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Container, Snapshot};

/// Adds the containers of a snapshot's processes.
pub struct Containers {
    names: ContainerNames,
    /// By the path of the cgroup. The name of an ended container stays here.
    known: HashMap<String, CachedContainer>,
}

struct CachedContainer {
    container: Option<Container>,
    /// Set while the name is unknown.
    pending: Option<PendingName>,
}

/// A name lookup to be repeated: a busy engine may not answer in time.
struct PendingName {
    container: ContainerRef,
    tried: Instant,
    tries: u32,
}

/// Lookups per name, and the time between two.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

impl Default for Containers {
    fn default() -> Self {
        let names = ContainerNames::below(PathBuf::from("/")).with_engine_of_environment();
        Self { names, known: HashMap::new() }
    }
}

impl Containers {
    #[cfg(test)]
    fn below(root: PathBuf) -> Self {
        Self { names: ContainerNames::below(root), known: HashMap::new() }
    }

    /// The container of the cgroup with this path.
    pub(super) fn of(&mut self, cgroup: &str) -> Option<&Container> {
        match self.known.get_mut(cgroup) {
            Some(known) => known.retry(&self.names),
            None => drop(self.known.insert(cgroup.to_owned(), CachedContainer::of(cgroup, &self.names))),
        }
        self.known.get(cgroup)?.container.as_ref()
    }
}

impl CachedContainer {
    #[expect(clippy::disallowed_methods, reason = "a collector measures the time since the last lookup")]
    fn of(cgroup: &str, names: &ContainerNames) -> Self {
        let Some(found) = recognise(cgroup) else { return Self { container: None, pending: None } };
        let name = names.of(&found);
        let container = Container { name, id: found.id.clone(), runtime: found.runtime.name().to_owned() };
        let pending = container.name.is_none().then(|| PendingName {
            container: found,
            tried: Instant::now(),
            tries: 1,
        });
        Self { container: Some(container), pending }
    }

    #[expect(clippy::disallowed_methods, reason = "a collector measures the time since the last lookup")]
    fn retry(&mut self, names: &ContainerNames) {
        let (Some(container), Some(pending)) = (&mut self.container, &mut self.pending) else { return };
        if pending.tried.elapsed() < PAUSE {
            return;
        }
        container.name = names.of(&pending.container);
        (pending.tried, pending.tries) = (Instant::now(), pending.tries + 1);
        if container.name.is_some() || pending.tries == TRIES {
            self.pending = None;
        }
    }
}

impl Collector for Containers {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let Snapshot { processes, containers, .. } = snapshot;
        for process in processes {
            let Some(container) = process.cgroup.as_deref().and_then(|cgroup| self.of(cgroup)) else {
                continue;
            };
            process.container = Some(container.id.clone());
            if containers.iter().all(|known| known.id != container.id) {
                containers.push(container.clone());
            }
        }
        Ok(())
    }
}

/// Chooses a path in the text of /proc/PID/cgroup: a path with a container, else the path in cgroup v2, else the path
/// in systemd's hierarchy of cgroup v1 (<https://man7.org/linux/man-pages/man7/cgroups.7.html>).
pub(super) fn path_of(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let hierarchies: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
        .collect();
    let of_container = hierarchies.iter().find(|(_, path)| recognise(path).is_some());
    let rank = |controllers: &str| match controllers {
        "" => 0,
        "name=systemd" => 1,
        _ => 2,
    };
    let plain = || {
        hierarchies.iter().filter(|(_, path)| *path != "/").min_by_key(|(controllers, _)| rank(controllers))
    };
    let chosen = of_container.or_else(plain).or(hierarchies.first());
    chosen.map(|(_, path)| (*path).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_traffic_snapshot::{Process, ProcessId};

    const ID: &str = "f3b1c0d2e4a5968778695a4b3c2d1e0ff3b1c0d2e4a5968778695a4b3c2d1e0f";

    fn process(pid: u32, cgroup: Option<String>) -> Process {
        Process {
            id: ProcessId { pid, start_ticks: 1 },
            name: "nginx".to_owned(),
            command: None,
            uid: None,
            user: None,
            container: None,
            cgroup,
            counted: None,
            exited: false,
        }
    }

    #[test]
    fn processes_of_one_container_share_its_id() {
        let inside = Some(format!("/system.slice/docker-{ID}.scope"));
        let processes = vec![
            process(1, inside.clone()),
            process(2, inside),
            process(3, Some("/init.scope".to_owned())),
            process(4, None),
        ];
        let mut snapshot = Snapshot { processes, ..Snapshot::default() };
        Containers::below("/nonexistent".into()).collect(&mut snapshot).unwrap();
        let containers: Vec<_> =
            snapshot.processes.iter().map(|process| process.container.as_deref()).collect();
        assert_eq!(containers, [Some(ID), Some(ID), None, None]);
        assert_eq!(
            snapshot.containers,
            [Container { id: ID.to_owned(), name: None, runtime: "docker".to_owned() }]
        );
    }

    #[test]
    fn name_is_kept_after_files_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("var/lib/docker/containers").join(ID);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.v2.json"), r#"{"Name":"/web"}"#).unwrap();
        let mut containers = Containers::below(root.path().to_owned());
        let path = format!("/docker/{ID}");
        assert_eq!(containers.of(&path).unwrap().name.as_deref(), Some("web"));
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(containers.of(&path).unwrap().name.as_deref(), Some("web"));
    }

    #[test]
    fn unknown_name_is_looked_up_again() {
        let root = tempfile::tempdir().unwrap();
        let mut containers = Containers::below(root.path().to_owned());
        let path = format!("/docker/{ID}");
        assert_eq!(containers.of(&path).unwrap().name, None);
        let directory = root.path().join("var/lib/docker/containers").join(ID);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.v2.json"), r#"{"Name":"/web"}"#).unwrap();
        assert_eq!(containers.of(&path).unwrap().name, None, "looked up again at once");
        containers.known.get_mut(&path).unwrap().pending.as_mut().unwrap().tried -= PAUSE;
        assert_eq!(containers.of(&path).unwrap().name.as_deref(), Some("web"));
    }

    #[test]
    fn path_with_container_is_preferred() {
        let path = |text: &str| path_of(text.as_bytes());
        assert_eq!(path("0::/user.slice/session-1.scope\n").as_deref(), Some("/user.slice/session-1.scope"));
        assert_eq!(
            path("2:cpu:/\n1:name=systemd:/system.slice/ssh.service\n0::/\n").as_deref(),
            Some("/system.slice/ssh.service")
        );
        let hybrid = format!("5:memory:/docker/{ID}\n1:name=systemd:/x\n0::/y\n");
        assert_eq!(path(&hybrid), Some(format!("/docker/{ID}")));
        assert_eq!(path("3:cpuset:/a\n0::/b:c\n").as_deref(), Some("/b:c"));
        assert_eq!(path("1:cpu:/\n0::/\n").as_deref(), Some("/"));
        assert_eq!(path(""), None);
        assert_eq!(path("garbage"), None);
    }
}
