//! The program: the JSON reports of `run`, `top` and other commands about known traffic.

mod connections;
mod plug;
mod report;
mod run;
mod selftest;
mod server;
mod storm;
mod tools;
mod top;
mod worker;

use libtest_mimic::{Completion, Failed, Trial};
use net_traffic_linux::Live;
use net_traffic_selftest::traffic::NetNs;
use net_traffic_snapshot::{Counting, LiveOptions};

use super::skips::{Reason, skip};
use super::tracer::{Refused, Tier};

pub(super) use self::worker::command;
pub(crate) use self::worker::run_role_if_requested;

/// One trial, in a network namespace of its own.
type Check = fn() -> Result<(), Failed>;

pub(super) fn trials() -> Vec<Trial> {
    let checks =
        [run::CHECKS, top::CHECKS, connections::CHECKS, plug::CHECKS, storm::CHECKS, selftest::CHECKS]
            .concat();
    let trial = |(name, check): (&str, Check)| {
        let name = format!("program::{name}");
        Trial::ignorable_test(name.clone(), move || alone(&name, check))
    };
    let with_tool = |(name, tool, check): &(&str, &'static str, Check)| {
        let (name, tool, check) = (format!("program::{name}"), *tool, *check);
        Trial::ignorable_test(name.clone(), move || match tools::missing(tool) {
            Some(reason) => skip(&name, &Reason::Tool(tool, reason)),
            None => alone(&name, check),
        })
    };
    checks.into_iter().map(trial).chain(tools::CHECKS.iter().map(with_tool)).collect()
}

fn alone(name: &str, check: Check) -> Result<Completion, Failed> {
    let _namespace = match NetNs::enter_new() {
        Ok(namespace) => namespace,
        Err(error) => return skip(name, &Reason::Rights(error)),
    };
    let counting = LiveOptions { counting: Counting::Descendants, ..LiveOptions::default() };
    if let Err(error) = Live::open(&counting) {
        // Every tested kernel grants one of the tiers with hooks.
        return skip(name, &Reason::Tier(Tier::Kprobe, Refused { reason: error.to_string() }));
    }
    check().map(|()| Completion::Completed)
}
