//! The progress line below the report of a running test, on a terminal.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use net_traffic_output::throughput::progress;

/// Redraws itself in place, and is cleared before anything else is written.
pub(super) struct Progress {
    whole: Option<Duration>,
    /// The times of the first and the last sample, and the bytes until the last.
    first_ns: Option<u64>,
    last: Option<(u64, u64)>,
    rates_bps: VecDeque<u64>,
    is_drawn: bool,
}

/// Samples that fit on a line of 80 characters beside the figures.
const WIDTH: usize = 48;
/// Carriage return and erase to the end of the line.
const CLEAR: &str = "\r\x1b[K";

impl Progress {
    /// `whole`: the duration of the test. `None` for a terminal without cursor movement.
    pub(super) fn for_terminal(out: &impl IsTerminal, whole: Option<Duration>) -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        (out.is_terminal() && !is_dumb).then(|| Self::new(whole))
    }

    fn new(whole: Option<Duration>) -> Self {
        Self { whole, first_ns: None, last: None, rates_bps: VecDeque::new(), is_drawn: false }
    }

    /// Adds a sample: a time, and the bytes until then.
    pub(super) fn advance(&mut self, at_ns: u64, bytes: u64) {
        self.first_ns.get_or_insert(at_ns);
        if let Some((then_ns, before)) = self.last.replace((at_ns, bytes))
            && let Some(elapsed_ns) = at_ns.checked_sub(then_ns).filter(|elapsed| *elapsed > 0)
        {
            if self.rates_bps.len() == WIDTH {
                self.rates_bps.pop_front();
            }
            let bits = u128::from(bytes.saturating_sub(before)) * 8;
            let bps = bits * 1_000_000_000 / u128::from(elapsed_ns);
            self.rates_bps.push_back(u64::try_from(bps).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn draw(&mut self, out: &mut impl Write) -> io::Result<()> {
        let (Some(first_ns), Some((last_ns, _))) = (self.first_ns, self.last) else { return Ok(()) };
        let elapsed = Duration::from_nanos(last_ns.saturating_sub(first_ns));
        let line = progress(self.rates_bps.make_contiguous(), elapsed, self.whole);
        self.is_drawn = true;
        write!(out, "{CLEAR}{line}")?;
        out.flush()
    }

    pub(super) fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.is_drawn) { write!(out, "{CLEAR}") } else { Ok(()) }
    }

    /// Clears the line and starts over for the next test.
    pub(super) fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.clear(out)?;
        *self = Self::new(self.whole);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(progress: &mut Progress) -> String {
        let mut out = Vec::new();
        progress.draw(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sample_is_a_bar_of_its_rate() {
        let mut progress = Progress::new(Some(Duration::from_secs(10)));
        assert_eq!(drawn(&mut progress), "", "no sample yet");
        for (second, megabytes) in [(0, 0), (1, 100), (2, 150), (3, 150)] {
            progress.advance(second * 1_000_000_000, megabytes * 1_000_000);
        }
        assert_eq!(drawn(&mut progress), "\r\x1b[K█▄  0bit/s  3/10 s");
        let mut out = Vec::new();
        progress.clear(&mut out).unwrap();
        progress.clear(&mut out).unwrap();
        assert_eq!(out, CLEAR.as_bytes(), "the line is cleared once");
    }

    #[test]
    fn line_is_bounded_and_end_resets_it() {
        let mut progress = Progress::new(None);
        for second in 0..500 {
            progress.advance(second * 1_000_000_000, second * 125_000_000);
        }
        let line = drawn(&mut progress);
        assert_eq!(line, format!("{CLEAR}{} 1.00Gbit/s  499 s", "█".repeat(WIDTH)));
        progress.end(&mut Vec::new()).unwrap();
        assert_eq!(drawn(&mut progress), "");
    }
}
