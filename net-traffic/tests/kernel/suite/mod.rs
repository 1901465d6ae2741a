//! The trials: the comparison itself, the traffic itself, and every case on every tier.

mod balance;
mod blind;
mod capture;
mod check;
mod compare;
mod compare_tests;
mod limits;
mod skips;
mod tracer;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use net_traffic::source::linux::traffic::cases;

use tracer::{Machine, Tier};

pub(crate) fn run() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A namespace belongs to a thread and a tracer sees the whole machine: one after the other, on this thread.
    arguments.test_threads = Some(1);

    let mut trials = compare_tests::trials();
    for case in cases() {
        trials.push(Trial::ignorable_test(format!("traffic::{}", case.name), move || balance::check(case)));
    }
    for tier in Tier::ALL {
        for case in cases() {
            let name = format!("{tier}::{}", case.name);
            trials.push(Trial::ignorable_test(name, move || check::check::<Machine>(case, tier)));
        }
    }
    trials.extend(limits::trials());
    trials.extend(capture::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    skips::print();
    conclusion.exit_code()
}
