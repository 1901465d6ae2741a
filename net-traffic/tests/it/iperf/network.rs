//! Two network namespaces connected by a veth pair, and programs that run in them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use net_traffic_testing::{patience, wait_until};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_net-traffic");
pub(crate) const IPERF3: &str = "iperf3";
/// The addresses of the two ends.
pub(crate) const HERE: &str = "10.77.0.1";
pub(crate) const THERE: &str = "10.77.0.2";
pub(crate) const HERE_V6: &str = "fd77::1";
pub(crate) const THERE_V6: &str = "fd77::2";
const AS_NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Runs `test` with two namespaces, or skips.
pub(crate) fn in_network(name: &str, test: impl FnOnce(&TestNetwork)) {
    run(name, TestNetwork::build(), test);
}

/// As `in_network`, with real-time priority where the system allows it: for tests of a rate or of a cause, which other
/// processes could disturb.
pub(crate) fn in_network_with_priority(name: &str, test: impl FnOnce(&TestNetwork)) {
    run(name, TestNetwork::build().map(TestNetwork::first), test);
}

fn run(name: &str, network: Result<TestNetwork, String>, test: impl FnOnce(&TestNetwork)) {
    match network {
        Ok(network) => test(&network),
        Err(reason) => net_traffic_testing::skip(&format!("{name}: {reason}")),
    }
}

/// Repeats an attempt whose timing other processes can disturb, three times at most.
pub(crate) fn up_to_three_times(mut attempt: impl FnMut() -> Result<(), String>) {
    let mut failed = Vec::new();
    while let Err(reason) = attempt() {
        failed.push(reason);
        assert!(failed.len() < 3, "{failed:#?}");
    }
}

/// The namespaces end with these files and with the last process in them.
pub(crate) struct TestNetwork {
    here: File,
    there: File,
    /// The command that starts each program.
    before: &'static [&'static str],
}

/// Real-time scheduling with the lowest priority, which precedes every ordinary process.
const FIRST: &[&str] = &["chrt", "--rr", "1"];

#[derive(Clone, Copy)]
pub(crate) enum End {
    Here,
    There,
}

impl TestNetwork {
    fn build() -> Result<Self, String> {
        let found = Command::new(IPERF3).arg("--version").stdout(Stdio::null()).status();
        found.map_err(|error| format!("iperf3: {error}"))?;
        let network = Self { here: namespace()?, there: namespace()?, before: &[] };
        let there = format!("/proc/{}/fd/{}", std::process::id(), network.there.as_raw_fd());
        network.configure(
            End::Here,
            &["ip link add va type veth peer name vb netns PEER".replace("PEER", &there)],
        );
        network.configure(End::Here, &up("va", HERE, HERE_V6));
        network.configure(End::There, &up("vb", THERE, THERE_V6));
        Ok(network)
    }

    fn first(mut self) -> Self {
        let allowed = Command::new(FIRST[0]).args(&FIRST[1..]).arg("true").stderr(Stdio::null()).status();
        self.before = if allowed.is_ok_and(|status| status.success()) { FIRST } else { &[] };
        self
    }

    /// The prefix for a typed command.
    pub(crate) fn before(&self) -> String {
        self.before.join(" ")
    }

    /// Runs commands that must succeed.
    pub(crate) fn configure(&self, end: End, commands: &[String]) {
        for command in commands {
            let words: Vec<&str> = command.split_whitespace().collect();
            let status = self.inside(end, || Command::new(words[0]).args(&words[1..]).status().unwrap());
            assert!(status.success(), "{command}: {status}");
        }
    }

    /// Runs a function in a thread in that namespace.
    pub(crate) fn inside<T: Send>(&self, end: End, act: impl FnOnce() -> T + Send) -> T {
        let namespace = match end {
            End::Here => &self.here,
            End::There => &self.there,
        };
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub(crate) fn start(&self, end: End, program: &str, arguments: &str) -> Program {
        self.spawn(end, &[], program, arguments)
    }

    /// Starts a program as an unprivileged user.
    pub(crate) fn start_as_nobody(&self, end: End, program: &str, arguments: &str) -> Program {
        self.spawn(end, AS_NOBODY, program, arguments)
    }

    /// Each prefix executes the next program in the same process.
    fn spawn(&self, end: End, becoming: &[&str], program: &str, arguments: &str) -> Program {
        let words: Vec<&str> = [self.before, becoming, &[program]]
            .concat()
            .into_iter()
            .chain(arguments.split_whitespace())
            .collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdout(Stdio::piped()).stderr(Stdio::piped());
        Program {
            child: self.inside(end, || command.spawn().unwrap()),
            what: format!("{program} {arguments}"),
        }
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn serve(&self, end: End, program: &str, port: u16, more: &str) -> Program {
        let base = if program == OURS { "iperf -s" } else { "-s" };
        let server = self.start(end, program, &format!("{base} -p {port} {more}"));
        self.wait_until_listening(end, port);
        server
    }

    /// Waits until this number of additional bytes has left that end.
    pub(crate) fn wait_until_sent(&self, end: End, bytes: u64) {
        let enough = self.sent(end) + bytes;
        wait_until(&format!("{bytes} bytes on the cable"), || self.sent(end) >= enough);
    }

    /// The bytes sent by the interface of that end.
    fn sent(&self, end: End) -> u64 {
        let table = self.inside(end, || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
        let line =
            table.lines().find_map(|line| line.trim_start().strip_prefix('v')?.split_once(':')).unwrap();
        line.1.split_whitespace().nth(8).unwrap().parse().unwrap()
    }

    pub(crate) fn wait_until_listening(&self, end: End, port: u16) {
        let listening = format!(":{port:04X} ");
        wait_until(&format!("a server on port {port}"), || {
            self.inside(end, || {
                let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
                let lines = tables.map(|table| std::fs::read_to_string(table).unwrap_or_default());
                lines.concat().lines().any(|line| line.contains(&listening) && line.contains(" 0A "))
            })
        });
    }
}

fn namespace() -> Result<File, String> {
    let made = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("a network namespace: {error}"))?;
        Ok(File::open("/proc/thread-self/ns/net").unwrap())
    });
    made.join().unwrap()
}

fn up(name: &str, v4: &str, v6: &str) -> Vec<String> {
    vec![
        "ip link set lo up".to_owned(),
        format!("ip address add {v4}/24 dev {name}"),
        format!("ip -6 address add {v6}/64 dev {name} nodad"),
        format!("ip link set {name} up"),
    ]
}

/// A running program. Drop kills it.
pub(crate) struct Program {
    child: Child,
    what: String,
}

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Program {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end of the program; returns its output.
    pub(crate) fn end(mut self) -> Ended {
        let (mut out, mut err) = (self.child.stdout.take().unwrap(), self.child.stderr.take().unwrap());
        let out = thread::spawn(move || read(&mut out));
        let err = thread::spawn(move || read(&mut err));
        let deadline = Instant::now() + patience();
        while self.is_running() {
            assert!(Instant::now() < deadline, "{} does not end", self.what);
            thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, out: out.join().unwrap(), err: err.join().unwrap() }
    }
}

impl Ended {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The reports of a running program, as they arrive.
pub(crate) struct Reports {
    _program: Program,
    lines: mpsc::Receiver<serde_json::Value>,
}

impl Reports {
    /// Returns after the first report.
    pub(crate) fn follow(mut program: Program) -> Self {
        let output = BufReader::new(program.child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            let reports = output.lines().map_while(Result::ok);
            reports.map(|line| serde_json::from_str(&line).unwrap()).try_for_each(|report| send.send(report))
        });
        let it = Self { _program: program, lines };
        it.next();
        it
    }

    fn next(&self) -> serde_json::Value {
        self.lines.recv_timeout(patience()).unwrap()
    }

    /// The first report in which all these processes have exited.
    pub(crate) fn last_of(&self, pids: &[u32]) -> serde_json::Value {
        loop {
            let report = self.next();
            let rows = report["processes"].as_array().unwrap();
            if pids.iter().all(|pid| rows.iter().any(|row| row["pid"] == *pid && row["exited"] == true)) {
                return report;
            }
        }
    }
}

fn read(from: &mut impl Read) -> String {
    let mut text = Vec::new();
    from.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}
