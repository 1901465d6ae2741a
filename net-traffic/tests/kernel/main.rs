//! Known traffic against what was counted, on the running kernel: to the byte, for every way of counting.
//!
//! `NET_TRAFFIC_NO_SKIP=1` turns a skip that this kernel does not explain into a failure; `NET_TRAFFIC_SLOW=N`
//! gives everything N times as long.

#[cfg(target_os = "linux")]
mod balance;
#[cfg(target_os = "linux")]
mod check;
#[cfg(target_os = "linux")]
mod compare;
#[cfg(target_os = "linux")]
mod compare_tests;
#[cfg(target_os = "linux")]
mod skips;
#[cfg(target_os = "linux")]
mod tracer;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use libtest_mimic::{Arguments, Trial};
    use net_traffic::source::linux::traffic::{act_if_told, cases};

    if let Some(status) = act_if_told() {
        return status;
    }
    let mut arguments = Arguments::from_args();
    // A namespace belongs to a thread and a tracer sees the whole machine: one after the other, on this thread.
    arguments.test_threads = Some(1);

    let mut trials = compare_tests::trials();
    for case in cases() {
        trials.push(Trial::ignorable_test(format!("traffic::{}", case.name), move || balance::check(case)));
    }
    for tier in tracer::Tier::ALL {
        for case in cases() {
            let name = format!("{tier}::{}", case.name);
            trials.push(Trial::ignorable_test(name, move || check::check::<tracer::Machine>(case, tier)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    skips::print();
    conclusion.exit_code()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
