//! Recognises a container in the path of a cgroup. Pure: text in, id and runtime out.

/// The container in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContainerRef {
    /// The runtime's id, or the name for a runtime without ids.
    pub(super) id: String,
    pub(super) runtime: Runtime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    Docker,
    Containerd,
    Podman,
    Kubernetes,
    Lxc,
    SystemdNspawn,
}

impl Runtime {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Lxc => "lxc",
            Self::SystemdNspawn => "systemd-nspawn",
        }
    }
}

/// The innermost container of the path.
pub(super) fn recognise(path: &str) -> Option<ContainerRef> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    (0..parts.len()).rev().find_map(|at| part(&parts, at))
}

/// The container that the path component at this position names.
fn part(parts: &[&str], at: usize) -> Option<ContainerRef> {
    let (outer, part) = (parts.get(..at)?, *parts.get(at)?);
    engine(outer, part).or_else(|| lxc(outer, part)).or_else(|| nspawn(part))
}

/// The prefixes in `PREFIX-ID.scope` (under systemd) and `SLICE:PREFIX:ID` (without).
const PREFIXES: &[(&str, Runtime)] = &[
    ("docker", Runtime::Docker),
    ("cri-containerd", Runtime::Containerd),
    ("nerdctl", Runtime::Containerd),
    ("libpod", Runtime::Podman),
    ("libpod-payload", Runtime::Podman),
    ("crio", Runtime::Kubernetes),
];

/// An engine's id has 64 hexadecimal digits. A longer prefix (`crio-conmon-`) marks a process that monitors a container.
fn engine(outer: &[&str], part: &str) -> Option<ContainerRef> {
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    let start = scope.len().checked_sub(64)?;
    let (prefix, id) = scope.split_at_checked(start)?;
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let in_pod = part.contains("kubepods") || outer.iter().any(|part| part.contains("kubepods"));
    let runtime = if prefix.is_empty() {
        bare(outer)?
    } else {
        let prefix = prefix.strip_suffix(['-', ':'])?;
        let prefix = prefix.rsplit(':').next()?;
        PREFIXES.iter().find(|(known, _)| *known == prefix)?.1
    };
    Some(ContainerRef { id: id.to_owned(), runtime: if in_pod { Runtime::Kubernetes } else { runtime } })
}

/// The runtime of a cgroup whose name is the id alone, from the parents.
fn bare(outer: &[&str]) -> Option<Runtime> {
    if outer.iter().any(|part| part.contains("kubepods")) {
        return Some(Runtime::Kubernetes);
    }
    match *outer.last()? {
        "docker" => Some(Runtime::Docker),
        "libpod_parent" => Some(Runtime::Podman),
        "default" | "k8s.io" | "moby" => Some(Runtime::Containerd),
        _ if outer.first() == Some(&"ecs") => Some(Runtime::Docker),
        _ => None,
    }
}

/// `/lxc/NAME` (also below another container), `/lxc.payload/NAME` and `/lxc.payload.NAME`.
fn lxc(outer: &[&str], part: &str) -> Option<ContainerRef> {
    let below = matches!(outer.last(), Some(&"lxc" | &"lxc.payload"));
    let name = if below { Some(part) } else { part.strip_prefix("lxc.payload.") };
    named(name?, Runtime::Lxc)
}

/// `systemd-nspawn@NAME.service`, or `machine-NAME.scope` for a container started from a shell. libvirt's machines have
/// such scopes too, with a prefix for the driver.
fn nspawn(part: &str) -> Option<ContainerRef> {
    let service = part.strip_prefix("systemd-nspawn@").and_then(|part| part.strip_suffix(".service"));
    let scope = || part.strip_prefix("machine-").and_then(|part| part.strip_suffix(".scope"));
    let name = unescape(service.or_else(scope)?);
    if name.starts_with("qemu-") || name.starts_with("lxc-") {
        return None;
    }
    named(&name, Runtime::SystemdNspawn)
}

fn named(name: &str, runtime: Runtime) -> Option<ContainerRef> {
    (!name.is_empty()).then(|| ContainerRef { id: name.to_owned(), runtime })
}

/// Undoes `systemd-escape`: `\x2d` is a dash.
fn unescape(text: &str) -> String {
    let mut pieces = text.split("\\x");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(code) = code.filter(u8::is_ascii) {
            plain.push(code.into());
            plain.push_str(&piece[2..]);
        } else {
            plain.push_str("\\x");
            plain.push_str(piece);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "f3b1c0d2e4a5968778695a4b3c2d1e0ff3b1c0d2e4a5968778695a4b3c2d1e0f";
    const B: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, &str)>) {
        let path = path.replace("{A}", A).replace("{B}", B);
        let found = recognise(&path);
        let found = found.as_ref().map(|found| (found.runtime.name(), found.id.as_str()));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn docker_paths_are_recognised() {
        check("/docker/{A}", Some(("docker", A)));
        check("/system.slice/docker-{A}.scope", Some(("docker", A)));
        check("/system.slice/docker-{A}.scope/init", Some(("docker", A)));
        check(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{A}.scope",
            Some(("docker", A)),
        );
        check(
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope",
            Some(("docker", A)),
        );
        check("/docker/{A}/docker/{B}", Some(("docker", B)));
        check("/docker/{A}/system.slice/cron.service", Some(("docker", A)));
        check("/ecs/0a1b2c3d/{A}", Some(("docker", A)));
        check("/system.slice:docker:{A}", Some(("docker", A)));
    }

    #[test]
    fn kubernetes_paths_are_recognised() {
        check(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f1e2d3c_4b5a.slice/cri-containerd-{A}.scope",
            Some(("kubernetes", A)),
        );
        check("/kubepods.slice/kubepods-pod0f1e.slice/crio-{A}.scope", Some(("kubernetes", A)));
        check("/kubepods.slice/kubepods-pod0f1e.slice/crio-{A}.scope/container", Some(("kubernetes", A)));
        check("/kubepods.slice/kubepods-pod0f1e.slice/docker-{A}.scope", Some(("kubernetes", A)));
        check("/kubepods/besteffort/pod0f1e2d3c-4b5a/{A}", Some(("kubernetes", A)));
        check("/docker/{A}/kubelet/kubepods/besteffort/pod0f1e/{B}", Some(("kubernetes", B)));
        check(
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod0f1e.slice/cri-containerd-{A}.scope",
            Some(("kubernetes", A)),
        );
        check(
            "/system.slice/containerd.service/kubepods-burstable-pod0f1e.slice:cri-containerd:{A}",
            Some(("kubernetes", A)),
        );
        check("/kubepods.slice/kubepods-pod0f1e.slice/crio-conmon-{A}.scope", None);
    }

    #[test]
    fn containerd_paths_are_recognised() {
        check("/system.slice/nerdctl-{A}.scope", Some(("containerd", A)));
        check("/default/{A}", Some(("containerd", A)));
        check("/system.slice/cri-containerd-{A}.scope", Some(("containerd", A)));
    }

    #[test]
    fn podman_paths_are_recognised() {
        check("/machine.slice/libpod-{A}.scope", Some(("podman", A)));
        check("/machine.slice/libpod-{A}.scope/container", Some(("podman", A)));
        check(
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
            Some(("podman", A)),
        );
        check("/system.slice/web.service/libpod-payload-{A}", Some(("podman", A)));
        check("/libpod_parent/libpod-{A}", Some(("podman", A)));
        check("/libpod_parent/{A}", Some(("podman", A)));
        check("/machine.slice/libpod-conmon-{A}.scope", None);
        check("/libpod_parent/conmon", None);
    }

    #[test]
    fn lxc_paths_are_recognised() {
        check("/lxc/web", Some(("lxc", "web")));
        check("/lxc/100/ns/system.slice/nginx.service", Some(("lxc", "100")));
        check("/lxc.payload/web/init.scope", Some(("lxc", "web")));
        check("/lxc.payload.web/system.slice/nginx.service", Some(("lxc", "web")));
        check("/lxc.monitor.web", None);
        check("/lxc/web/docker/{A}", Some(("docker", A)));
        check("/lxc", None);
    }

    #[test]
    fn nspawn_paths_are_recognised() {
        check(
            "/machine.slice/systemd-nspawn@web.service/payload/init.scope",
            Some(("systemd-nspawn", "web")),
        );
        check("/machine.slice/systemd-nspawn@my\\x2dweb.service", Some(("systemd-nspawn", "my-web")));
        check("/machine.slice/machine-debian\\x2d12.scope/payload", Some(("systemd-nspawn", "debian-12")));
        check("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", None);
        check("/machine.slice/machine-lxc\\x2d1\\x2dvm.scope", None);
    }

    #[test]
    fn other_paths_have_no_container() {
        for path in [
            "",
            "/",
            "/init.scope",
            "/system.slice/docker.service",
            "/system.slice/containerd.service",
            "/user.slice/user-1000.slice/session-2.scope",
            "/docker/not-an-id",
            "/docker/{A}0",
            "/system.slice/{A}.service",
            "/snap.docker.dockerd/{A}.scope.d",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn invalid_escapes_are_kept() {
        assert_eq!(unescape("a\\x2db\\xzz\\x"), "a-b\\xzz\\x");
    }

    proptest! {
        #[test]
        fn arbitrary_path_does_not_panic(path in "(/|[a-f0-9]{64}|\\PC|docker-|\\.scope|:|\\\\x){0,40}") {
            drop(recognise(&path));
        }
    }
}
