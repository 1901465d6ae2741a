//! A Docker engine with its own directories, and a second network. Drop removes everything.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use net_traffic_selftest::traffic::NetNs;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

/// The applets that the containers use.
const APPLETS: &[&str] = &["sh", "nc", "dd", "cat", "sleep"];
const BUSYBOX: &str = "/bin/busybox";
const IMAGE: &str = "bare";
const PATIENCE: Duration = Duration::from_millis(100);
/// In intervals of `PATIENCE`.
const STARTING: u32 = 300;
const STOPPING: u32 = 150;

/// The addresses of the outside host and of this host.
pub(crate) const OUTSIDE: &str = "10.77.0.2";
pub(crate) const HOST: &str = "10.77.0.1";
/// The interface to the outside host.
pub(crate) const BESIDE: &str = "beside";

/// A running engine. The thread that started it is in its namespaces.
pub(crate) struct Engine {
    daemon: Child,
    directory: TempDir,
    /// The cgroups that did not exist before the engine.
    cgroups: Vec<PathBuf>,
    _namespace: NetNs,
}

impl Engine {
    /// The missing requirement of an engine, if one is missing.
    pub(crate) fn missing() -> Option<String> {
        let programs = [("dockerd", "docker.io"), ("iptables", "iptables"), ("ip", "iproute2")];
        if let Some((program, package)) = programs.into_iter().find(|(program, _)| !is_there(program)) {
            return Some(format!("no {program} here: apt-get install {package}"));
        }
        if !Path::new(BUSYBOX).exists() {
            return Some(format!("no {BUSYBOX} here: apt-get install busybox-static"));
        }
        (!geteuid().is_root()).then(|| "an engine needs root".to_owned())
    }

    pub(crate) fn start() -> Result<Self, Failed> {
        let namespace = NetNs::enter_new()?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        // Orphans of the engine become children of this process, which waits for them.
        set_child_subreaper(true)?;
        act("mount", &["--make-rprivate", "/"])?;
        act("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name).display().to_string();
        let log = File::create(at("log"))?;
        let daemon = Command::new("dockerd")
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["--host", &format!("unix://{}", at("docker.sock")), "--storage-driver", "vfs"])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let cgroups = missing_cgroups();
        let mut engine = Self { daemon, directory, cgroups, _namespace: namespace };
        engine.wait_until_it_answers()?;
        engine.import()?;
        beside()?;
        Ok(engine)
    }

    /// Runs the `docker` client; returns its output.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = Command::new("docker")
            .env("DOCKER_HOST", self.host())
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(format!("docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    /// Starts a container with this line of shell; returns its id.
    pub(crate) fn container(&self, name: &str, options: &[&str], line: &str) -> Result<String, Failed> {
        let words = [&["run", "-d", "--name", name], options, &[IMAGE, "/bin/sh", "-c", line]].concat();
        self.docker(&words)
    }

    /// The address of a container on the bridge.
    pub(crate) fn address(&self, name: &str) -> Result<String, Failed> {
        self.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name])
    }

    /// The value of `DOCKER_HOST` for this engine.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("docker.sock").display())
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Failed> {
        for _ in 0..STARTING {
            if self.docker(&["version"]).is_ok() {
                return Ok(());
            }
            if self.daemon.try_wait()?.is_some() {
                break;
            }
            thread::sleep(PATIENCE);
        }
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let end: Vec<_> = log.lines().rev().take(5).collect();
        Err(format!("dockerd does not answer: {end:?}").into())
    }

    fn import(&self) -> Result<(), Failed> {
        let root = self.directory.path().join("root");
        let programs = root.join("bin");
        fs::create_dir_all(&programs)?;
        fs::copy(BUSYBOX, programs.join("busybox"))?;
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", programs.join(applet))?;
        }
        let archive = self.directory.path().join("root.tar").display().to_string();
        act("tar", &["-C", &root.display().to_string(), "-cf", &archive, "."])?;
        self.docker(&["import", &archive, IMAGE]).map(drop)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Ok(ids) = self.docker(&["ps", "-aq"]) {
            for id in ids.lines() {
                drop(self.docker(&["rm", "-f", id]));
            }
        }
        let _gone = kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM);
        for _ in 0..STOPPING {
            if !matches!(self.daemon.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(PATIENCE);
        }
        drop(self.daemon.kill().and_then(|()| self.daemon.wait()));
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(ended) if ended != WaitStatus::StillAlive)
        {
        }
        for cgroup in &self.cgroups {
            drop(fs::remove_dir(cgroup));
        }
    }
}

/// The program with these arguments.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_net-traffic"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A command on the outside host.
pub(crate) fn outside(line: &str) -> Command {
    let mut command = Command::new("timeout");
    // The time-out ends the command after a failed test.
    command.args(["20", "ip", "netns", "exec", BESIDE, BUSYBOX, "sh", "-c", line]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Makes the outside host, one link away.
fn beside() -> Result<(), Failed> {
    let with_length = |address: &str| format!("{address}/24");
    act("ip", &["netns", "add", BESIDE])?;
    act("ip", &["link", "add", BESIDE, "type", "veth", "peer", "name", "eth0", "netns", BESIDE])?;
    act("ip", &["addr", "add", &with_length(HOST), "dev", BESIDE])?;
    act("ip", &["link", "set", BESIDE, "up"])?;
    act("ip", &["-n", BESIDE, "addr", "add", &with_length(OUTSIDE), "dev", "eth0"])?;
    act("ip", &["-n", BESIDE, "link", "set", "eth0", "up"])
}

fn act(program: &str, arguments: &[&str]) -> Result<(), Failed> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The cgroups that the first engine on the machine creates.
fn missing_cgroups() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (path, kind) = (fields.next()?, fields.next()?);
            let cgroup = Path::new(path).join("docker");
            (kind.starts_with("cgroup") && !cgroup.exists()).then_some(cgroup)
        })
        .collect()
}
