//! The time at the start of a line, in the five formats of tcpdump's `-t`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::push;

/// The format of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// The local time of day.
    #[default]
    TimeOfDay,
    /// `-t`
    None,
    /// `-tt`: seconds since 1970.
    Epoch,
    /// `-ttt`: since the previous line.
    SincePrevious,
    /// `-tttt`: with the date.
    Date,
    /// `-ttttt`: since the first line.
    SinceFirst,
}

#[derive(Debug)]
pub(super) struct Clock {
    stamp: Stamp,
    zone: TimeZone,
    before: Option<u64>,
    /// The second of the last line, and its formatted time: lines of one second share it.
    second: u64,
    formatted: String,
}

impl Clock {
    pub(super) fn new(stamp: Stamp) -> Self {
        Self { stamp, zone: TimeZone::system(), before: None, second: u64::MAX, formatted: String::new() }
    }

    /// Appends the time and a space.
    pub(super) fn stamp(&mut self, text: &mut String, time_ns: u64) {
        let (second, micro) = (time_ns / 1_000_000_000, time_ns / 1000 % 1_000_000);
        match self.stamp {
            Stamp::None => {}
            Stamp::Epoch => push(text, format_args!("{second}.{micro:06} ")),
            Stamp::TimeOfDay | Stamp::Date => {
                self.local(second);
                push(text, format_args!("{}.{micro:06} ", self.formatted));
            }
            Stamp::SincePrevious | Stamp::SinceFirst => {
                let before = self.before.unwrap_or(time_ns);
                self.before = Some(if self.stamp == Stamp::SinceFirst { before } else { time_ns });
                // Both times are cut to microseconds before the subtraction, as in a pcap file.
                let (now, before) = (time_ns / 1000, before / 1000);
                let sign = if now < before { "-" } else { "" };
                let passed = now.abs_diff(before);
                let (second, micro) = (passed / 1_000_000, passed % 1_000_000);
                let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
                push(text, format_args!(" {sign}{hour:02}:{minute:02}:{second:02}.{micro:06} "));
            }
        }
    }

    fn local(&mut self, second: u64) {
        if second == self.second {
            return;
        }
        self.second = second;
        let pattern = if self.stamp == Stamp::Date { "%Y-%m-%d %H:%M:%S" } else { "%H:%M:%S" };
        let seconds = i64::try_from(second).unwrap_or(i64::MAX);
        self.formatted = match Timestamp::from_second(seconds) {
            Ok(time) => time.to_zoned_datetime(self.zone.clone()).strftime(pattern).to_string(),
            Err(_) => second.to_string(),
        };
    }
}

/// `1d2h3m4s`
pub(super) fn duration(mut seconds: u32) -> String {
    let mut text = String::new();
    if seconds == 0 {
        return "0s".to_owned();
    }
    for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            push(&mut text, format_args!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    text
}
