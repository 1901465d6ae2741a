//! The trials: the comparison, the traffic without a tracer, and each case on each tier.

mod balance;
mod capture;
mod check;
mod compare_tests;
mod known_gaps;
mod ledger;
mod limits;
mod program;
mod reading;
mod skips;
mod tracer;
mod wire;

use std::process::ExitCode;
use std::sync::Mutex;

use libtest_mimic::{Arguments, Trial};
use net_traffic_selftest::traffic::{cases, compare};

pub(crate) use program::run_role_if_requested;
use tracer::{Machine, Tier};

static MACHINE: check::Shared<Machine> = Mutex::new(None);

pub(crate) fn run() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A namespace is per thread, and a tracer counts the whole machine: the trials run one after the other on this
    // thread.
    arguments.test_threads = Some(1);

    let mut trials = compare_tests::trials();
    for case in cases() {
        trials.push(Trial::ignorable_test(format!("traffic::{}", case.name), move || balance::check(case)));
    }
    for tier in Tier::ALL {
        for case in cases() {
            let name = format!("{tier}::{}", case.name);
            trials.push(Trial::ignorable_test(name, move || check::check(case, tier, &MACHINE)));
        }
    }
    trials.extend(limits::trials());
    trials.extend(ledger::trials());
    trials.extend(reading::trials());
    trials.extend(program::trials());
    trials.extend(wire::trials());
    trials.extend(capture::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(MACHINE.lock().map(|mut machine| machine.take()));
    skips::print();
    conclusion.exit_code()
}

/// How many times slower than usual this machine is, as `NET_TRAFFIC_SLOW` says.
fn slowness() -> u32 {
    std::env::var("NET_TRAFFIC_SLOW").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}
