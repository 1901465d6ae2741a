//! The progress line that a terminal shows below the report of a running test.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use net_traffic_output::throughput::progress;

/// The progress line. Each call of [`draw`](Self::draw) overwrites it. [`clear`](Self::clear) must run before other
/// output.
pub(super) struct Progress {
    /// The duration of the whole test, if it has one.
    duration: Option<Duration>,
    /// The time of the first sample.
    first_ns: Option<u64>,
    /// The time of the last sample, and the bytes of the test until then.
    last: Option<(u64, u64)>,
    rates_bps: VecDeque<u64>,
    is_drawn: bool,
}

/// The number of samples that are drawn, one character each. The figures fill the rest of a line of 80 characters.
const BAR_COUNT: usize = 48;
/// Carriage return, then the escape sequence "erase to the end of the line".
const CLEAR: &str = "\r\x1b[K";

impl Progress {
    /// Returns `None` unless `out` is a terminal that can erase a line. `duration` is that of the whole test.
    pub(super) fn for_terminal(out: &impl IsTerminal, duration: Option<Duration>) -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        (out.is_terminal() && !is_dumb).then(|| Self::new(duration))
    }

    fn new(duration: Option<Duration>) -> Self {
        Self { duration, first_ns: None, last: None, rates_bps: VecDeque::new(), is_drawn: false }
    }

    /// Adds a sample: a time, and the bytes of the test until then.
    pub(super) fn add_sample(&mut self, at_ns: u64, bytes: u64) {
        self.first_ns.get_or_insert(at_ns);
        if let Some((last_ns, last_bytes)) = self.last.replace((at_ns, bytes))
            && let Some(elapsed_ns) = at_ns.checked_sub(last_ns).filter(|elapsed| *elapsed > 0)
        {
            if self.rates_bps.len() == BAR_COUNT {
                self.rates_bps.pop_front();
            }
            let bits = u128::from(bytes.saturating_sub(last_bytes)) * 8;
            let bps = bits * 1_000_000_000 / u128::from(elapsed_ns);
            self.rates_bps.push_back(u64::try_from(bps).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn draw(&mut self, out: &mut impl Write) -> io::Result<()> {
        let (Some(first_ns), Some((last_ns, _))) = (self.first_ns, self.last) else { return Ok(()) };
        let elapsed = Duration::from_nanos(last_ns.saturating_sub(first_ns));
        let line = progress(self.rates_bps.make_contiguous(), elapsed, self.duration);
        self.is_drawn = true;
        write!(out, "{CLEAR}{line}")?;
        out.flush()
    }

    pub(super) fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.is_drawn) { write!(out, "{CLEAR}") } else { Ok(()) }
    }

    /// Clears the line and drops all samples, for the next test.
    pub(super) fn reset(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.clear(out)?;
        *self = Self::new(self.duration);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw_to_string(progress: &mut Progress) -> String {
        let mut out = Vec::new();
        progress.draw(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_sample_is_one_bar() {
        let mut progress = Progress::new(Some(Duration::from_secs(10)));
        assert_eq!(draw_to_string(&mut progress), "", "no sample yet");
        for (second, megabytes) in [(0, 0), (1, 100), (2, 150), (3, 150)] {
            progress.add_sample(second * 1_000_000_000, megabytes * 1_000_000);
        }
        assert_eq!(draw_to_string(&mut progress), "\r\x1b[K█▄  0bit/s  3/10 s");
        let mut out = Vec::new();
        progress.clear(&mut out).unwrap();
        progress.clear(&mut out).unwrap();
        assert_eq!(out, CLEAR.as_bytes(), "the line is cleared once");
    }

    #[test]
    fn line_is_bounded_and_reset_empties_it() {
        let mut progress = Progress::new(None);
        for second in 0..500 {
            progress.add_sample(second * 1_000_000_000, second * 125_000_000);
        }
        let line = draw_to_string(&mut progress);
        assert_eq!(line, format!("{CLEAR}{} 1.00Gbit/s  499 s", "█".repeat(BAR_COUNT)));
        progress.reset(&mut Vec::new()).unwrap();
        assert_eq!(draw_to_string(&mut progress), "");
    }
}
