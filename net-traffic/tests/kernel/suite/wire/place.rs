//! A network namespace with a thread that runs functions in it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use net_traffic_selftest::traffic::{NetNs, TrafficError};

/// Drop ends the thread and the namespace.
pub(in super::super) struct Place {
    jobs: Sender<Box<dyn FnOnce() + Send>>,
    /// The namespace's descriptor, for `setns`.
    pub(in super::super) path: PathBuf,
}

/// A function that runs in a place.
pub(in super::super) struct Job<T>(Receiver<T>);

impl Place {
    pub(in super::super) fn new() -> Result<Self, TrafficError> {
        let (jobs, todo) = channel::<Box<dyn FnOnce() + Send>>();
        let (tell, told) = channel();
        thread::spawn(move || {
            let entered = NetNs::enter_new();
            let id = nix::unistd::gettid();
            match entered {
                Ok(_namespace) => {
                    tell.send(Ok(format!("/proc/{}/task/{id}/ns/net", std::process::id()))).unwrap();
                    for job in todo {
                        job();
                    }
                }
                Err(error) => tell.send(Err(error)).unwrap(),
            }
        });
        let path = told.recv().map_err(|_gone| TrafficError::PeerExited)??;
        Ok(Self { jobs, path: path.into() })
    }

    /// Starts a function in the namespace.
    pub(in super::super) fn start<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Job<T> {
        let (tell, told) = channel();
        self.jobs.send(Box::new(move || drop(tell.send(job())))).unwrap();
        Job(told)
    }

    /// Runs a function in the namespace and waits for its result.
    pub(in super::super) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.start(job).finish()
    }

    /// Runs commands in the namespace, one per line; the first word is the program.
    pub(in super::super) fn sh(&self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let line = line.to_owned();
            self.run(move || command(&line));
        }
    }

    /// Runs a command in the namespace; returns its messages if it fails.
    pub(in super::super) fn attempt(&self, line: &str) -> Result<(), String> {
        let line = line.to_owned();
        self.run(move || {
            let output = run(&line);
            if output.status.success() { Ok(()) } else { Err(complaint(&output)) }
        })
    }

    /// The output of a command in the namespace.
    pub(in super::super) fn ask(&self, line: &str) -> String {
        let line = line.to_owned();
        self.run(move || command(&line))
    }

    /// Writes a kernel parameter of the namespace.
    pub(in super::super) fn set(&self, parameter: &str, value: &str) {
        let (path, value) = (format!("/proc/sys/net/{parameter}"), value.to_owned());
        self.run(move || std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
    }

    /// Connects two places by a veth pair.
    pub(in super::super) fn connect(&self, here: &str, other: &Self, there: &str) {
        other.named(|path| {
            self.sh(&format!(
                "ip link add name {here} type veth peer name {there} netns {path}
                ip link set dev {here} up"
            ));
        });
        other.sh(&format!("ip link set dev {there} up"));
    }

    /// Moves an interface to another place.
    pub(in super::super) fn give(&self, interface: &str, other: &Self) {
        other.named(|path| self.sh(&format!("ip link set dev {interface} netns {path}")));
    }

    /// A path of the namespace that any process can open.
    fn named(&self, borrow: impl FnOnce(&str)) {
        let namespace = File::open(&self.path).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&namespace);
        borrow(&format!("/proc/{}/fd/{fd}", std::process::id()));
    }
}

impl<T> Job<T> {
    pub(in super::super) fn finish(self) -> T {
        self.0.recv().expect("what runs in a place does not panic")
    }
}

fn command(line: &str) -> String {
    let output = run(line);
    assert!(output.status.success(), "{line}: {}", complaint(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run(line: &str) -> Output {
    let words: Vec<&str> = line.split_whitespace().collect();
    Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}
