//! Packets of containers on docker0: each has its container and process, and `--container` selects them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::bridge::{client, later, wait_for_listener};
use super::engine::{BESIDE, Engine, HOST, OUTSIDE, outside, program};
use net_traffic_testing::report::equal;
use net_traffic_testing::wait_until;

const BYTES: u64 = 20_000;

pub(crate) fn check(engine: &Engine) -> Result<(), Failed> {
    let mut first = outside("nc -l -p 9002 -e /bin/cat").spawn()?;
    let mut second = outside("nc -l -p 9003 -e /bin/cat").spawn()?;
    wait_for_listener(9002);
    wait_for_listener(9003);
    let ports = "tcp port 9002 or tcp port 9003";
    let all = Capturing::start(engine, &["-i", "docker0", ports])?;
    let one = Capturing::start(engine, &["-i", "docker0", "--container", "asks", ports])?;
    // On the outer interface the packets have the host's address.
    let left = Capturing::start(engine, &["-i", BESIDE, "--direction", "out", ports])?;
    engine.container("asks", &[], &later(&client(BYTES, OUTSIDE, 9002)))?;
    engine.container("begs", &[], &later(&client(BYTES, OUTSIDE, 9003)))?;
    for container in ["asks", "begs"] {
        engine.docker(&["wait", container])?;
    }
    equal("the servers", &(first.wait()?.success() && second.wait()?.success()), &true, &Value::Null)?;
    wait_until_interfaces_rest()?;
    let (all, one, left) = (all.end()?, one.end()?, left.end()?);

    for (container, port) in [("asks", 9002), ("begs", 9003)] {
        let found: Vec<_> = all.iter().filter(|packet| has_port(packet, port)).collect();
        let ways = ["in", "out"].map(|way| found.iter().filter(|packet| packet["direction"] == way).count());
        // Each direction has the handshake, the data and the end.
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

/// Waits until docker0 and the interface beside carry no more packets.
fn wait_until_interfaces_rest() -> Result<(), Failed> {
    const RESTING: u32 = 5;
    let mut before = interface_counters()?;
    let mut resting = 0;
    wait_until("the interfaces carry no more packets", || {
        let now = interface_counters().unwrap_or_default();
        resting = if now == before { resting + 1 } else { 0 };
        before = now;
        resting == RESTING
    });
    Ok(())
}

fn interface_counters() -> Result<Vec<String>, Failed> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let chosen =
        |line: &&str| line.trim_start().starts_with("docker0:") || line.trim_start().starts_with(BESIDE);
    Ok(table.lines().filter(chosen).map(str::to_owned).collect())
}

fn has_port(packet: &Value, port: u64) -> bool {
    packet["source"]["port"] == port || packet["destination"]["port"] == port
}

/// A running capture.
struct Capturing(Child);

impl Capturing {
    /// Returns when the capture listens.
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

    /// Ends the capture; returns its packets.
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
