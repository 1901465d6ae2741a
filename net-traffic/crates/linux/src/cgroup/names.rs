//! Looks up the name of a container: in the runtime's files, else at the engine's API socket.

mod api;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::recognise::{ContainerRef, Runtime};

/// The files and sockets of the runtimes below `root`.
pub(super) struct ContainerNames {
    root: PathBuf,
    /// Sockets of Docker's API.
    sockets: Vec<PathBuf>,
    /// Directories with Docker's containers.
    docker: Vec<PathBuf>,
}

/// The directories of the runtimes. containerd has one for each of its namespaces.
const DOCKER: &str = "var/lib/docker";
const DOCKER_OF_USER: &str = ".local/share/docker";
const DOCKER_SETTINGS: &str = "etc/docker/daemon.json";
const SOCKETS: &[&str] = &["run/docker.sock", "run/podman/podman.sock"];
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";
const CONTAINERD_NAMESPACES: &[&str] = &["k8s.io", "default"];
const STORAGE: &str = "var/lib/containers/storage/overlay-containers";
const STORAGE_OF_USER: &str = ".local/share/containers/storage/overlay-containers";

impl ContainerNames {
    pub(super) fn below(root: PathBuf) -> Self {
        let home = std::env::home_dir().map(|home| home.join(DOCKER_OF_USER));
        let settings = read(&root.join(DOCKER_SETTINGS));
        let moved = settings.as_ref().and_then(|settings| settings.get("data-root")?.as_str());
        let docker = moved.map(PathBuf::from).into_iter().chain([root.join(DOCKER)]).chain(home);
        let docker = docker.map(|data| data.join("containers")).collect();
        let sockets = SOCKETS.iter().map(|socket| root.join(socket)).collect();
        Self { root, sockets, docker }
    }

    /// Adds the sockets that the environment variables of Docker's and Podman's own commands name.
    pub(super) fn with_engine_of_environment(mut self) -> Self {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        if let Some(path) = host.strip_prefix("unix://") {
            self.sockets.insert(0, PathBuf::from(path));
        }
        if let Some(run) = std::env::var_os("XDG_RUNTIME_DIR") {
            let run = PathBuf::from(run);
            self.sockets.extend(["docker.sock", "podman/podman.sock"].map(|socket| run.join(socket)));
        }
        self
    }

    pub(super) fn of(&self, container: &ContainerRef) -> Option<String> {
        let id = container.id.as_str();
        match container.runtime {
            Runtime::Docker => self.docker(id).or_else(|| self.api_name(id)),
            Runtime::Containerd => self.containerd(id),
            Runtime::Podman => self.podman(id).or_else(|| self.api_name(id)),
            Runtime::Kubernetes => self.containerd(id).or_else(|| self.crio(id)),
            // The name is the id.
            Runtime::Lxc | Runtime::SystemdNspawn => Some(id.to_owned()),
        }
    }

    fn docker(&self, id: &str) -> Option<String> {
        let read_name = |containers: &PathBuf| {
            let config = read(&containers.join(id).join("config.v2.json"))?;
            Some(without_slash(config.get("Name")?.as_str()?))
        };
        self.docker.iter().find_map(read_name)
    }

    fn api_name(&self, id: &str) -> Option<String> {
        self.sockets.iter().find_map(|socket| api::name(socket, id)).map(|name| without_slash(&name))
    }

    fn containerd(&self, id: &str) -> Option<String> {
        CONTAINERD_NAMESPACES.iter().find_map(|namespace| {
            bundle_name(&read(&self.root.join(CONTAINERD).join(namespace).join(id).join("config.json"))?)
        })
    }

    fn crio(&self, id: &str) -> Option<String> {
        bundle_name(&read(&self.root.join(STORAGE).join(id).join("userdata/config.json"))?)
    }

    /// In the system's storage, then in that of this process's user.
    fn podman(&self, id: &str) -> Option<String> {
        let of_user = || std::env::home_dir().map(|home| home.join(STORAGE_OF_USER));
        let name_in = |storage: PathBuf| stored_name(&read(&storage.join("containers.json"))?, id);
        name_in(self.root.join(STORAGE)).or_else(|| name_in(of_user()?))
    }
}

/// Docker's names begin with a slash: they are paths of links between containers.
fn without_slash(name: &str) -> String {
    name.trim_start_matches('/').to_owned()
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The name in the annotations of an OCI `config.json`: `POD/CONTAINER`, or nerdctl's name.
fn bundle_name(config: &Value) -> Option<String> {
    let annotations = config.get("annotations")?;
    let annotation = |key| annotations.get(key).and_then(Value::as_str);
    let pod = annotation("io.kubernetes.cri.sandbox-name").or_else(|| annotation("io.kubernetes.pod.name"));
    let container =
        annotation("io.kubernetes.cri.container-name").or_else(|| annotation("io.kubernetes.container.name"));
    match (pod, container) {
        (Some(pod), Some(container)) => Some(format!("{pod}/{container}")),
        (pod, container) => pod.or(container).or_else(|| annotation("nerdctl/name")).map(str::to_owned),
    }
}

/// The name in the list of `containers.json`.
fn stored_name(containers: &Value, id: &str) -> Option<String> {
    let container = containers
        .as_array()?
        .iter()
        .find(|container| container.get("id").and_then(Value::as_str) == Some(id))?;
    container.get("names")?.get(0)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(runtime: Runtime, file: &str, content: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        ContainerNames::below(root.path().to_owned()).of(&ContainerRef { id: "abc".to_owned(), runtime })
    }

    #[test]
    fn docker_name_loses_its_slash() {
        let file = "var/lib/docker/containers/abc/config.v2.json";
        assert_eq!(name(Runtime::Docker, file, r#"{"ID":"abc","Name":"/web"}"#).as_deref(), Some("web"));
        assert_eq!(name(Runtime::Docker, file, "{\"Na"), None);
        assert_eq!(name(Runtime::Docker, file, "{}"), None);
    }

    #[test]
    fn podman_name_is_found_in_list() {
        let file = "var/lib/containers/storage/overlay-containers/containers.json";
        let list = r#"[{"id":"x","names":["other"]},{"id":"abc","names":["db","alias"]}]"#;
        assert_eq!(name(Runtime::Podman, file, list).as_deref(), Some("db"));
        assert_eq!(name(Runtime::Podman, file, r#"[{"id":"abc","names":[]}]"#), None);
    }

    #[test]
    fn kubernetes_name_has_pod_and_container() {
        let containerd = "run/containerd/io.containerd.runtime.v2.task/k8s.io/abc/config.json";
        let config = r#"{"annotations":{"io.kubernetes.cri.sandbox-name":"shop-1","io.kubernetes.cri.container-name":"web"}}"#;
        assert_eq!(name(Runtime::Kubernetes, containerd, config).as_deref(), Some("shop-1/web"));
        let crio = "var/lib/containers/storage/overlay-containers/abc/userdata/config.json";
        let config =
            r#"{"annotations":{"io.kubernetes.pod.name":"shop-2","io.kubernetes.container.name":"db"}}"#;
        assert_eq!(name(Runtime::Kubernetes, crio, config).as_deref(), Some("shop-2/db"));
    }

    #[test]
    fn containerd_name_is_nerdctls() {
        let file = "run/containerd/io.containerd.runtime.v2.task/default/abc/config.json";
        let config = r#"{"annotations":{"nerdctl/name":"cache"}}"#;
        assert_eq!(name(Runtime::Containerd, file, config).as_deref(), Some("cache"));
    }

    #[test]
    fn lxc_name_is_its_id() {
        assert_eq!(name(Runtime::Lxc, "x/y", "").as_deref(), Some("abc"));
    }
}
