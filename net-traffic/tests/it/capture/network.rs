//! Runs programs in a network namespace of the test's own, which a veth pair connects to a second one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use net_traffic_selftest::traffic::NetNs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use net_traffic_testing::{skip, wait_until};

pub(crate) const OWN: &str = "10.9.0.1";
pub(crate) const PEER: &str = "10.9.0.2";
pub(crate) const PEER6: &str = "fd99::2";

/// A namespace with the interface `va`, whose peer `vb` is in a second namespace. Drop ends both.
pub(crate) struct TestNetwork {
    /// The process that holds the peer's namespace.
    peer: Child,
    _netns: NetNs,
    pub(crate) directory: tempfile::TempDir,
}

/// The program with its arguments.
pub(crate) fn net_traffic(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("net-traffic"));
    command.env_remove("NO_COLOR").stdin(Stdio::null()).arg("capture").args(arguments);
    command
}

pub(crate) fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/capture/mixed.pcap")
}

/// Whether a program is installed. Skips if not.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        skip(&format!("{program} is not installed"));
    }
    found.is_ok()
}

impl TestNetwork {
    /// Skips and returns `None` where the process may not make namespaces.
    pub(crate) fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("live captures need root");
            return None;
        }
        if !has("ip") || !has("unshare") {
            return None;
        }
        let netns = match NetNs::enter_new() {
            Ok(netns) => netns,
            Err(error) => {
                skip(&error.to_string());
                return None;
            }
        };
        let peer = Command::new("unshare").args(["--net", "sleep", "120"]).spawn().unwrap();
        let it = Self { peer, _netns: netns, directory: tempfile::tempdir().unwrap() };
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let its = format!("/proc/{}/ns/net", it.peer.id());
        wait_until("the peer has its namespace", || fs::read_link(&its).is_ok_and(|its| its != own));
        let pid = it.peer.id().to_string();
        run("ip", &["link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", &pid]);
        run("ip", &["addr", "add", "10.9.0.1/24", "dev", "va"]);
        run("ip", &["-6", "addr", "add", "fd99::1/64", "dev", "va", "nodad"]);
        run("ip", &["link", "set", "va", "up"]);
        it.at_peer("ip", &["addr", "add", "10.9.0.2/24", "dev", "vb"]);
        it.at_peer("ip", &["-6", "addr", "add", "fd99::2/64", "dev", "vb", "nodad"]);
        it.at_peer("ip", &["link", "set", "vb", "up"]);
        it.at_peer("ip", &["link", "set", "lo", "up"]);
        Some(it)
    }

    pub(crate) fn at_peer(&self, program: &str, arguments: &[&str]) {
        let target = self.peer.id().to_string();
        let all = [&["--net", "--target", &target, program], arguments].concat();
        run("nsenter", &all);
    }

    pub(crate) fn peer_pid(&self) -> u32 {
        self.peer.id()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        drop(self.peer.kill());
        drop(self.peer.wait());
    }
}

/// A running capture.
pub(crate) struct Running {
    child: Option<Child>,
    messages: PathBuf,
}

impl Running {
    /// Returns when the program has reported that it listens.
    pub(crate) fn start(network: &TestNetwork, name: &str, command: Command) -> Self {
        Self::start_saying(network, name, command, "tcpdump")
    }

    /// As `start`, for programs with another message.
    pub(crate) fn start_saying(
        network: &TestNetwork,
        name: &str,
        mut command: Command,
        program: &str,
    ) -> Self {
        let words = match program {
            "dumpcap" => "File: ",
            "tshark" => "Capturing on",
            _ => "listening on",
        };
        let messages = network.path(&format!("{name}.messages"));
        let child = command.stderr(fs::File::create(&messages).unwrap()).spawn().unwrap();
        let it = Self { child: Some(child), messages };
        wait_until(&format!("{name} listens"), || it.messages().contains(words));
        it
    }

    pub(crate) fn messages(&self) -> String {
        fs::read_to_string(&self.messages).unwrap()
    }

    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.as_mut().unwrap().stdout.take().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id().cast_signed();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits until the capture has counted this number of packets. The program writes its counters at SIGUSR1.
    pub(crate) fn wait_until_captured(&self, packets: u64) {
        wait_until(&format!("{packets} packets are captured"), || {
            self.signal(Signal::SIGUSR1);
            let messages = self.messages();
            let line = messages.lines().rev().find(|line| line.ends_with(" captured"));
            let count = line.and_then(|line| line.split_whitespace().find_map(|word| word.parse().ok()));
            count.is_some_and(|count: u64| count >= packets)
        });
    }

    /// Ends the program by a signal; returns its exit status and its messages.
    pub(crate) fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        self.signal(signal);
        self.wait_for()
    }

    pub(crate) fn wait_for(&mut self) -> (Option<i32>, String) {
        let status = self.child.take().unwrap().wait().unwrap();
        (status.code(), self.messages())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The counters in the messages: captured, received, dropped.
pub(crate) fn numbers(messages: &str) -> (u64, u64, u64) {
    (
        number(messages, "captured"),
        number(messages, "received by filter"),
        number(messages, "dropped by kernel"),
    )
}

/// The number in the last line with this text.
pub(crate) fn number(messages: &str, what: &str) -> u64 {
    let line = messages
        .lines()
        .rev()
        .find(|line| line.contains(what))
        .unwrap_or_else(|| panic!("{what}: {messages}"));
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
