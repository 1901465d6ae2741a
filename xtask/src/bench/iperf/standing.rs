//! Both sides' tests at a time, of which one runs and the other stands still: blocks are short, their neighbours are
//! the other side's, and no connection is young.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    Path,
    test::{Processors, Test},
};
use crate::bench::paired::Side;

/// What both sides' streams have in common: no pace but that of the other end, whatever the system's default is.
const COMMON: [&str; 4] = ["-t", "3600", "-C", "cubic"];
/// Windows and buffers have grown to what they stay at.
const WARM_UP: Duration = Duration::from_secs(1);
/// Caches meet the side whose turn it is.
const SETTLING: Duration = Duration::from_millis(40);
const WINDOW: Duration = Duration::from_millis(160);
/// Connections differ in what they come to; no figure is to be that of one alone.
const BLOCKS_A_CONNECTION: usize = 24;

pub(super) struct Standing<'p> {
    path: &'p Path,
    options: Vec<&'p str>,
    processors: Processors,
    tests: Option<[Test; 2]>,
    blocks: usize,
}

impl<'p> Standing<'p> {
    pub(super) fn new(path: &'p Path, options: &[&'p str], processors: Processors) -> Self {
        let options = [&COMMON, options].concat();
        Self { path, options, processors, tests: None, blocks: 0 }
    }

    /// Bits per second that left by the interface while this side's test ran.
    pub(super) fn rate(&mut self, side: Side) -> Result<f64> {
        if self.blocks.is_multiple_of(BLOCKS_A_CONNECTION) {
            // The old ones end before there are new ones.
            self.tests = None;
            self.tests = Some([self.start(Side::Base)?, self.start(Side::Subject)?]);
        }
        self.blocks += 1;
        let [base, subject] = self.tests.as_ref().context("find the tests")?;
        let test = if side == Side::Base { base } else { subject };
        test.go_on()?;
        sleep(SETTLING);
        let (from, since) = (self.path.sent()?, Instant::now());
        sleep(WINDOW);
        let (to, until) = (self.path.sent()?, Instant::now());
        test.halt()?;
        ensure!(to > from, "the test of {side:?} does not move");
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        Ok((to - from) as f64 * 8.0 / until.duration_since(since).as_secs_f64())
    }

    /// A test that has warmed up, and stands.
    fn start(&self, side: Side) -> Result<Test> {
        let test = Test::start(side, self.path, &self.options, self.processors)?;
        sleep(WARM_UP);
        test.halt()?;
        Ok(test)
    }
}
