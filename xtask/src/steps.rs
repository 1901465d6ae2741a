//! Steps that `check` and `ci` share, and the runner that prints the duration of each step.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process;

/// Every package but the eBPF programs, which compile for their own target only.
pub(crate) const WORKSPACE: [&str; 3] = ["--locked", "--workspace", "--exclude=net-traffic-ebpf"];

/// One step of a task.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Result<()>,
}

/// The durations of the finished steps, in order.
#[derive(Default)]
pub(crate) struct Timings(Vec<(&'static str, Duration)>);

impl Timings {
    /// Runs the steps in order. The first failure ends the run; the error names the step.
    pub(crate) fn run_all(&mut self, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.run(step.name, step.run))
    }

    /// Prints the name of the step, runs it and prints its duration.
    #[expect(clippy::print_stdout, reason = "the steps are the output")]
    pub(crate) fn run<T>(&mut self, name: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==== {name}");
        let began = Instant::now();
        let result = run().with_context(|| format!("{name} failed"))?;
        let duration = began.elapsed();
        println!("==== {name}: {:.1} s", duration.as_secs_f64());
        self.0.push((name, duration));
        Ok(result)
    }

    /// Prints a table of all durations and their sum.
    #[expect(clippy::print_stdout, reason = "the durations are the output")]
    pub(crate) fn print(&self) {
        println!();
        for (name, duration) in &self.0 {
            println!("{:>7.1} s  {name}", duration.as_secs_f64());
        }
        let total: Duration = self.0.iter().map(|(_, duration)| duration).sum();
        println!("{:>7.1} s  total", total.as_secs_f64());
    }
}

pub(crate) fn fmt() -> Result<()> {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))
}

pub(crate) fn clippy() -> Result<()> {
    let mut clippy = process::cargo();
    clippy.arg("clippy").args(WORKSPACE).args(["--all-targets", "--", "-D", "warnings"]);
    process::run(&mut clippy)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn failed_step_ends_run_and_is_named() {
        let steps = [
            Step { name: "first", run: || Ok(()) },
            Step { name: "second", run: || bail!("no") },
            Step { name: "third", run: || Ok(()) },
        ];
        let mut timings = Timings::default();
        let error = timings.run_all(&steps).unwrap_err();
        assert_eq!(format!("{error:#}"), "second failed: no");
        assert_eq!(timings.0.len(), 1);
    }
}
