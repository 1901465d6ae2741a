//! Packets of containers behind docker0: each has its container and its process, both ways, and can be chosen by it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::bridge::{client, later, wait_for_listener};
use super::engine::{BESIDE, Engine, HOST, OUTSIDE, outside};
use super::report::{equal, program};

const BYTES: u64 = 20_000;

pub(crate) fn check(engine: &Engine) -> Result<(), Failed> {
    let mut first = outside("nc -l -p 9002 -e /bin/cat").spawn()?;
    let mut second = outside("nc -l -p 9003 -e /bin/cat").spawn()?;
    wait_for_listener()?;
    let ports = "tcp port 9002 or tcp port 9003";
    let all = Capturing::start(engine, &["-i", "docker0", ports])?;
    let one = Capturing::start(engine, &["-i", "docker0", "--container", "asks", ports])?;
    // Where they leave they have the host's address.
    let left = Capturing::start(engine, &["-i", BESIDE, "--direction", "out", ports])?;
    engine.container("asks", &[], &later(&client(BYTES, OUTSIDE, 9002)))?;
    engine.container("begs", &[], &later(&client(BYTES, OUTSIDE, 9003)))?;
    for container in ["asks", "begs"] {
        engine.docker(&["wait", container])?;
    }
    equal("the servers", &(first.wait()?.success() && second.wait()?.success()), &true, &Value::Null)?;
    thread::sleep(Duration::from_millis(200));
    let (all, one, left) = (all.end()?, one.end()?, left.end()?);

    for (container, port) in [("asks", 9002), ("begs", 9003)] {
        let found: Vec<_> = all.iter().filter(|packet| has_port(packet, port)).collect();
        let ways = ["in", "out"].map(|way| found.iter().filter(|packet| packet["direction"] == way).count());
        // There and back: a handshake, the data, an end.
        equal("packets each way", &ways.iter().all(|count| *count > 4), &true, &Value::Null)?;
        for packet in found {
            equal("its container", &packet["container"], &Value::from(container), packet)?;
            equal(
                "its process",
                &(packet["pid"].is_u64(), packet["process"] == "nc"),
                &(true, true),
                packet,
            )?;
        }
    }
    equal("packets that left", &(left.len() > 8), &true, &Value::Null)?;
    for packet in left {
        let container = if has_port(&packet, 9002) { "asks" } else { "begs" };
        equal("its container", &packet["container"], &Value::from(container), &packet)?;
        equal("the host's address", &packet["source"]["address"], &Value::from(HOST), &packet)?;
    }
    let chosen = all.iter().filter(|packet| has_port(packet, 9002)).count();
    equal("packets of the chosen one", &one.len(), &chosen, &Value::Null)?;
    equal("and of nobody else", &one.iter().all(|packet| has_port(packet, 9002)), &true, &Value::Null)
}

fn has_port(packet: &Value, port: u64) -> bool {
    packet["source"]["port"] == port || packet["destination"]["port"] == port
}

/// A capture that runs.
struct Capturing(Child);

impl Capturing {
    /// Returns once it listens.
    fn start(engine: &Engine, arguments: &[&str]) -> Result<Self, Failed> {
        let mut command: Command = program(&["capture", "--json"]);
        command.args(arguments).env("DOCKER_HOST", engine.host());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or("no messages")?;
        let it = Self(child);
        for line in BufReader::new(stderr).lines() {
            if line?.contains("listening on") {
                return Ok(it);
            }
        }
        Err("a capture ended before it listened".into())
    }

    /// The packets.
    fn end(mut self) -> Result<Vec<Value>, Failed> {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGINT)?;
        let mut text = String::new();
        self.0.stdout.take().ok_or("no output")?.read_to_string(&mut text)?;
        equal("status", &self.0.wait()?.code(), &Some(0), &Value::Null)?;
        let objects: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        Ok(objects?.into_iter().filter(|object| object["report"] == "packet").collect())
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
