//! Runs one test of each program in alternation: while one test runs, the other is stopped by `SIGSTOP`.
//!
//! Blocks can be short, because the connections persist and their congestion windows have already grown.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    Path,
    test::{Cpus, Test},
};
use crate::bench::paired::Arm;

/// Options of both programs: no end within the benchmark, and a congestion control without pacing.
const COMMON: [&str; 4] = ["-t", "3600", "-C", "cubic"];
/// Congestion windows and socket buffers have grown by then.
const WARM_UP: Duration = Duration::from_secs(1);
/// Caches are warm for the resumed test by then.
const SETTLING: Duration = Duration::from_millis(40);
const WINDOW: Duration = Duration::from_millis(160);
/// Throughput differs between connections, so new tests replace the old ones after this many blocks.
const BLOCKS_PER_CONNECTION: usize = 24;

/// The tests of both arms. At most one of them is not stopped.
pub(super) struct InterleavedTests<'p> {
    path: &'p Path,
    options: Vec<&'p str>,
    cpus: Cpus,
    tests: Option<[Test; 2]>,
    blocks: usize,
}

impl<'p> InterleavedTests<'p> {
    pub(super) fn new(path: &'p Path, options: &[&'p str], cpus: Cpus) -> Self {
        let options = [&COMMON, options].concat();
        Self { path, options, cpus, tests: None, blocks: 0 }
    }

    /// Runs the arm's test for one block. Returns the transmitted bits per second of the interface.
    pub(super) fn rate(&mut self, arm: Arm) -> Result<f64> {
        if self.blocks.is_multiple_of(BLOCKS_PER_CONNECTION) {
            // The old servers must release their ports first.
            self.tests = None;
            self.tests = Some([self.start(Arm::Base)?, self.start(Arm::Subject)?]);
        }
        self.blocks += 1;
        let [base, subject] = self.tests.as_ref().context("find the tests")?;
        let test = if arm == Arm::Base { base } else { subject };
        test.resume()?;
        sleep(SETTLING);
        let (from, since) = (self.path.tx_bytes()?, Instant::now());
        sleep(WINDOW);
        let (to, until) = (self.path.tx_bytes()?, Instant::now());
        test.stop()?;
        ensure!(to > from, "the test of {arm:?} sent nothing");
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        Ok((to - from) as f64 * 8.0 / until.duration_since(since).as_secs_f64())
    }

    /// Starts a test, lets it warm up and stops it.
    fn start(&self, arm: Arm) -> Result<Test> {
        let test = Test::start(arm, self.path, &self.options, self.cpus)?;
        sleep(WARM_UP);
        test.stop()?;
        Ok(test)
    }
}
