//! Which container a process runs in, from the path of its cgroup.
//!
//! The path has the id; the name is in the runtime's own files where they may be read, else its socket is asked, once
//! for each container.

pub(super) mod hierarchy;
pub(super) mod mounted;
mod names;
pub(super) mod paths;
mod recognise;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::names::Names;
use self::recognise::{Found, recognise};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Container, Snapshot};

/// Fills in the containers of the processes that are in the snapshot.
pub struct Containers {
    names: Names,
    /// By the path of the cgroup. A container that has ended keeps its name here.
    known: HashMap<String, Known>,
}

struct Known {
    container: Option<Container>,
    /// What it was taken for, while nobody has told its name.
    nameless: Option<Nameless>,
}

/// An engine that is busy tells a name later.
struct Nameless {
    found: Found,
    asked: Instant,
    times: u32,
}

/// How often a name is asked for, and how long after the last time.
const TIMES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

impl Default for Containers {
    fn default() -> Self {
        let names = Names::below(PathBuf::from("/")).with_engine_of_environment();
        Self { names, known: HashMap::new() }
    }
}

impl Containers {
    #[cfg(test)]
    fn below(root: PathBuf) -> Self {
        Self { names: Names::below(root), known: HashMap::new() }
    }

    /// The container whose processes are in the cgroup of this path.
    pub(super) fn of(&mut self, cgroup: &str) -> Option<&Container> {
        match self.known.get_mut(cgroup) {
            Some(known) => known.ask_again(&self.names),
            None => drop(self.known.insert(cgroup.to_owned(), Known::of(cgroup, &self.names))),
        }
        self.known.get(cgroup)?.container.as_ref()
    }
}

impl Known {
    #[expect(clippy::disallowed_methods, reason = "a source: how long ago an engine was asked")]
    fn of(cgroup: &str, names: &Names) -> Self {
        let Some(found) = recognise(cgroup) else { return Self { container: None, nameless: None } };
        let name = names.of(&found);
        let container = Container { name, id: found.id.clone(), runtime: found.runtime.name().to_owned() };
        let nameless = container.name.is_none().then(|| Nameless { found, asked: Instant::now(), times: 1 });
        Self { container: Some(container), nameless }
    }

    #[expect(clippy::disallowed_methods, reason = "a source: how long ago an engine was asked")]
    fn ask_again(&mut self, names: &Names) {
        let (Some(container), Some(nameless)) = (&mut self.container, &mut self.nameless) else { return };
        if nameless.asked.elapsed() < PAUSE {
            return;
        }
        container.name = names.of(&nameless.found);
        (nameless.asked, nameless.times) = (Instant::now(), nameless.times + 1);
        if container.name.is_some() || nameless.times == TIMES {
            self.nameless = None;
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

/// The path that tells most in the text of /proc/PID/cgroup: one that names a container, else that of version 2,
/// else that of systemd's hierarchy of version 1. Version 1 has one path for each controller.
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
    fn processes_of_one_container_share_it_and_others_have_none() {
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
    fn a_container_keeps_its_name_when_its_files_are_gone() {
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
    fn a_name_that_was_not_told_is_asked_for_again() {
        let root = tempfile::tempdir().unwrap();
        let mut containers = Containers::below(root.path().to_owned());
        let path = format!("/docker/{ID}");
        assert_eq!(containers.of(&path).unwrap().name, None);
        let directory = root.path().join("var/lib/docker/containers").join(ID);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.v2.json"), r#"{"Name":"/web"}"#).unwrap();
        assert_eq!(containers.of(&path).unwrap().name, None, "asked again at once");
        containers.known.get_mut(&path).unwrap().nameless.as_mut().unwrap().asked -= PAUSE;
        assert_eq!(containers.of(&path).unwrap().name.as_deref(), Some("web"));
    }

    #[test]
    fn the_path_that_tells_most_is_taken() {
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
