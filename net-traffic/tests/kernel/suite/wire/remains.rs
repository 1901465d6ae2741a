//! The links and filters after a kill, and the filters of other programs.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use aya::programs::{SchedClassifier, TcAttachType};

use super::super::skips::Reason;
use super::device::{FILTER, Losses};
use super::pair;
use super::place::Place;

/// A killed program leaves no link; the next start and end remove a remaining filter.
pub(super) fn killed() -> Result<(), Reason> {
    let (place, _other) = pair()?;
    let untouched = state(&place);
    let mut tool = start(&place);
    tool.kill().unwrap();
    tool.wait().unwrap();
    assert!(programs(&place).is_empty() || filters(&place).contains("net-traffic "), "{}", programs(&place));
    end(start(&place));
    assert_eq!(state(&place), untouched);
    Ok(())
}

/// The filter and the qdisc of another program stay unchanged.
pub(super) fn foreign_filter() -> Result<(), Reason> {
    let (one, _other) = pair()?;
    let losses = Losses::new();
    losses.on(&one, "a", TcAttachType::Ingress);
    losses.on(&one, "a", TcAttachType::Egress);
    let before = state(&one);
    let tool = start(&one);
    let foreign = one.ask("tc filter show dev a ingress").matches(FILTER).count();
    let mut killed = start(&one);
    killed.kill().unwrap();
    killed.wait().unwrap();
    end(tool);
    assert_eq!(foreign, 1);
    end(start(&one));
    assert_eq!(state(&one), before);
    Ok(())
}

/// The program after its first report.
fn start(place: &Place) -> Child {
    place.run(|| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_net-traffic"))
            .args(["bandwidth", "--json", "--interval", "0.2"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let report: serde_json::Value = serde_json::from_str(&line).unwrap();
        let balance = report["balance"].as_array().unwrap();
        assert!(balance.iter().any(|row| row["interface"] == "lo" && row["direction"] == "tx"), "{line}");
        child
    })
}

/// Ends the program by SIGINT.
fn end(mut tool: Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(tool.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    drop(tool.stdout.take());
    assert!(tool.wait().unwrap().success());
}

/// All links, qdiscs and filters of the interfaces.
fn state(place: &Place) -> String {
    let qdiscs = place.ask("tc qdisc show");
    format!("{qdiscs}{}{}", filters(place), programs(place))
}

fn filters(place: &Place) -> String {
    let mut text = String::new();
    for line in place.ask("ip -o link show").lines() {
        let interface = line.split([' ', '@', ':']).nth(2).unwrap();
        for side in ["ingress", "egress"] {
            // An interface without a qdisc has no filters; some versions of tc fail then.
            let qdiscs = place.ask(&format!("tc qdisc show dev {interface}"));
            if qdiscs.contains("clsact") {
                text += &place.ask(&format!("tc filter show dev {interface} {side}"));
            }
        }
    }
    text
}

/// The programs of tcx links by interface; empty if the kernel lacks tcx.
fn programs(place: &Place) -> String {
    place.run(|| {
        let mut text = String::new();
        for interface in &nix::net::if_::if_nameindex().unwrap() {
            let name = interface.name().to_str().unwrap();
            for side in [TcAttachType::Ingress, TcAttachType::Egress] {
                if let Ok((_revision, programs)) = SchedClassifier::query_tcx(name, side) {
                    for program in programs {
                        let program = program.name_as_str().unwrap_or_default();
                        writeln!(text, "{name} {side:?} {program}").unwrap();
                    }
                }
            }
        }
        text
    })
}
