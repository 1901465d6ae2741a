//! Containers connect to each other and through NAT to a host, and a host connects through a published port.

use std::process::{Command, Stdio};

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;

use net_traffic_testing::report::{Top, bytes, equal, rows};
use net_traffic_testing::wait_until;

use super::engine::{Engine, HOST, OUTSIDE, outside, program};

pub(crate) fn trial() -> Trial {
    Trial::ignorable_test("docker::bridge", || match Engine::missing() {
        None => check(&Engine::start()?).map(|()| Completion::Completed),
        Some(reason) if std::env::var("NET_TRAFFIC_NO_SKIP").is_ok_and(|value| value == "1") => {
            Err(format!("no skip allowed: {reason}").into())
        }
        Some(reason) => Ok(Completion::ignored_with(format!("SKIP {reason}"))),
    })
}

/// The bytes that each client sends and receives.
const NEAR: u64 = 50_000;
const FAR: u64 = 70_000;
const IN: u64 = 90_000;
/// An echo server for one connection after the other.
const ECHO: &str = "nc -ll -p 80 -e /bin/cat";

/// Sends these bytes and reads the reply to its end.
pub(super) fn client(bytes: u64, address: &str, port: u16) -> String {
    format!("dd if=/dev/zero bs=1000 count={} 2>/dev/null | nc {address} {port} >/dev/null", bytes / 1000)
}

/// A container waits two seconds before its work, so that a report reads its interface and name first.
pub(super) fn later(line: &str) -> String {
    format!("sleep 2; {line}")
}

fn check(engine: &Engine) -> Result<(), Failed> {
    let mut top = follow(engine, &[])?;
    let web = engine.container("web", &["-p", "8080:80"], ECHO)?;
    let address = engine.address("web")?;

    // From a container to a container, through the bridge.
    let near = engine.container("near", &[], &later(&client(NEAR, &address, 80)))?;
    engine.docker(&["wait", "near"])?;
    let report = top.fresh()?;
    one_row(&report, NEAR, ["near", "web"], "remote", (&address, 80))?;
    one_row(&report, NEAR, ["web", "near"], "local", (&address, 80))?;

    // From a container to another host, through the bridge and NAT.
    let mut echo = outside("nc -l -p 9000 -e /bin/cat").spawn()?;
    wait_for_listener(9000);
    let far = engine.container("far", &[], &later(&client(FAR, OUTSIDE, 9000)))?;
    engine.docker(&["wait", "far"])?;
    let report = top.fresh()?;
    one_row(&report, FAR, ["far", OUTSIDE], "remote", (OUTSIDE, 9000))?;
    equal("the server outside", &echo.wait()?.success(), &true, &Value::Null)?;

    // From another host to a container, through the published port.
    let status = outside(&client(IN, HOST, 8080)).status()?;
    equal("the client outside", &status.success(), &true, &Value::Null)?;
    let report = top.fresh()?;
    one_row(&report, IN, ["web", OUTSIDE], "local", (&address, 80))?;

    for (name, id, moved) in [("near", &near, NEAR), ("far", &far, FAR), ("web", &web, NEAR + IN)] {
        let found = rows(&report, "containers", |row| row["id"] == id.as_str());
        equal(name, &(found.len(), bytes(&found)), &(1, (moved, moved)), &report)?;
        equal("its name", &found[0]["name"], &Value::from(name), &report)?;
        equal("its runtime", &found[0]["runtime"], &Value::from("docker"), &report)?;
        let processes = rows(&report, "processes", |row| row["container"] == name);
        equal("its processes", &bytes(&processes), &(moved, moved), &report)?;
    }
    ended(engine, &mut top, &web)?;
    equal("status", &top.stop()?.code(), &Some(0), &report)?;
    selected(engine)?;
    super::packets::check(engine)
}

/// A connection through several interfaces has one row for each end.
fn one_row(
    report: &Value,
    moved: u64,
    [container, other]: [&str; 2],
    end: &str,
    (address, port): (&str, u16),
) -> Result<(), Failed> {
    let all = rows(report, "connections", |row| row["rx_bytes"] == moved);
    equal("rows of one connection", &all.len(), &2, report)?;
    let found = rows(report, "connections", |row| {
        row["container"] == container && row[end]["address"] == address && row[end]["port"] == port
    });
    let found: Vec<_> = found.into_iter().filter(|row| row["rx_bytes"] == moved).collect();
    equal(&format!("{container} and {other}"), &(found.len(), bytes(&found)), &(1, (moved, moved)), report)?;
    equal("has a process", &found[0]["pid"].is_u64(), &true, report)?;
    equal("passes the bridge", &found[0]["interface"], &Value::from("docker0"), report)
}

/// The bytes of a removed container stay in its row.
fn ended(engine: &Engine, top: &mut Top, id: &str) -> Result<(), Failed> {
    engine.docker(&["rm", "-f", "web"])?;
    let report = top.fresh()?;
    let found = rows(&report, "containers", |row| row["id"] == id);
    equal("a container that is gone", &bytes(&found), &(NEAR + IN, NEAR + IN), &report)?;
    equal("its name", &found[0]["name"], &Value::from("web"), &report)
}

/// `-i docker0` selects the bridge's traffic, `--container` that of the container.
fn selected(engine: &Engine) -> Result<(), Failed> {
    engine.container("one", &[], ECHO)?;
    let address = engine.address("one")?;
    let mut behind = follow(engine, &["-i", "docker0"])?;
    let mut inside = follow(engine, &["--container", "two"])?;
    engine.container("two", &[], &format!("{}; sleep 1", later(&client(NEAR, &address, 80))))?;
    let beside = outside("nc -l -p 9001 -e /bin/cat").spawn()?;
    wait_for_listener(9001);
    let line = client(FAR, OUTSIDE, 9001);
    equal(
        "the host's client",
        &Command::new("/bin/busybox").args(["sh", "-c", &line]).status()?.success(),
        &true,
        &Value::Null,
    )?;
    let listed = listening(engine, "one")?;
    engine.docker(&["wait", "two"])?;

    let report = behind.fresh()?;
    let processes = rows(&report, "processes", |row| row["rx_bytes"] != 0);
    equal("through the bridge", &bytes(&processes), &(2 * NEAR, 2 * NEAR), &report)?;
    equal("one process at each end", &processes.len(), &2, &report)?;
    let report = inside.fresh()?;
    let processes = rows(&report, "processes", |_| true);
    equal("in the container", &bytes(&processes), &(NEAR, NEAR), &report)?;
    equal("and nowhere else", &processes.iter().all(|row| row["container"] == "two"), &true, &report)?;
    equal(
        "its listening socket",
        &rows(&listed, "connections", |row| row["local"]["port"] == 80).len(),
        &1,
        &listed,
    )?;
    equal(
        "nobody else's",
        &rows(&listed, "connections", |row| row["container"] != "one").len(),
        &0,
        &listed,
    )?;
    drop(beside.wait_with_output()?);
    for top in [behind, inside] {
        equal("status", &top.stop()?.code(), &Some(0), &Value::Null)?;
    }
    Ok(())
}

/// A list without counting.
fn listening(engine: &Engine, container: &str) -> Result<Value, Failed> {
    let output = program(&["connections", "--json", "-l", "--container", container])
        .env("DOCKER_HOST", engine.host())
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn follow(engine: &Engine, arguments: &[&str]) -> Result<Top, Failed> {
    let mut command = program(&["top", "--json", "-d", "0.2"]);
    command.args(arguments).env("DOCKER_HOST", engine.host());
    Top::follow(command)
}

/// Waits until the server outside listens on this port.
pub(super) fn wait_for_listener(port: u16) {
    let listening = |line: &str| line.contains(&format!(":{port:04X} ")) && line.contains(" 0A ");
    wait_until(&format!("a server listens on port {port}"), || {
        let output = outside("cat /proc/net/tcp /proc/net/tcp6").stdout(Stdio::piped()).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).lines().any(listening))
    });
}
