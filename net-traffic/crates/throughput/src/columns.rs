//! Aligns the rows of the report to iperf3's columns. Pure.

use super::end_observer::{EndObserver, scaled};
use super::labels;

/// The state of a report. The heading defines the numbers after the rate.
#[derive(Debug, Default)]
pub(super) struct Columns {
    has_datagrams: bool,
    /// The server sends all streams.
    is_reverse: bool,
    /// The end of the last interval.
    last: f64,
    tests: u32,
}

/// The padding of a row without numbers after the rate.
const NO_NUMBERS: &str = "                  ";
/// The padding for the jitter of a sender in a bidirectional test.
const NO_JITTER: &str = "          ";

impl Columns {
    pub(super) fn set(&mut self, line: &str, observer: EndObserver) -> String {
        if line.starts_with("[ ID]") {
            self.has_datagrams = line.contains("Datagrams");
        } else if line.starts_with("Reverse mode") {
            self.is_reverse = true;
        } else if line.starts_with("Server listening on ") {
            self.tests += 1;
            self.last = 0.0;
            return format!("{line} (test #{})", self.tests);
        }
        let line = labels::in_text(line, observer.is_local());
        self.row(&line, observer).unwrap_or(line)
    }

    /// `[  5] 0.00-1.00 sec 640 KBytes 5.24 Mbits/sec …`; `None` if the line is no row.
    fn row(&mut self, line: &str, observer: EndObserver) -> Option<String> {
        let (id, rest) = line.strip_prefix('[')?.split_once(']')?;
        let (role, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((role, rest)) => (format!("[{role}]"), rest),
            None => (String::new(), rest),
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [period, "sec", size, size_unit, rate, rate_unit, more @ ..] = words.as_slice() else {
            return None;
        };
        let (from, to) = period.split_once('-')?;
        let rest = more.last();
        let served = if rest == Some(&"sender") && self.server_sends(&role, observer) {
            self.until_end_received(to, rate, rate_unit, observer)
        } else {
            None
        };
        if rest != Some(&"sender") && rest != Some(&"receiver") {
            self.last = to.parse().ok()?;
        }
        let (to, rate, rate_unit) =
            served.unwrap_or_else(|| (to.to_owned(), (*rate).to_owned(), (*rate_unit).to_owned()));
        let more = match more {
            [jitter, "ms", counts, _, rest @ ..] => {
                format!("  {jitter:>5} ms  {counts} ({}%)  {}", lost(counts)?, rest.join(" "))
            }
            [sent, rest @ ..] if self.has_datagrams && is_count(sent) => {
                let pad = if role.is_empty() { "" } else { NO_JITTER };
                format!("  {pad}{sent}  {}", rest.join(" "))
            }
            [again, window, unit, rest @ ..] if is_count(again) => {
                format!("  {again:>3}   {window:>4} {unit}       {}", rest.join(" "))
            }
            [again, rest @ ..] if is_count(again) => format!("  {again:>3}             {}", rest.join(" ")),
            rest => format!("{NO_NUMBERS}{}", rest.join(" ")),
        };
        Some(format!(
            "[{id:>3}]{role} {from:>6}-{to:<6} sec  {size:>4} {size_unit}  {rate:>4} {rate_unit}{more}"
        ))
    }

    /// Whether the server sends the stream.
    fn server_sends(&self, role: &str, observer: EndObserver) -> bool {
        if observer.is_local() { role != "[RX-S]" } else { self.is_reverse || role == "[RX-C]" }
    }

    /// The time until the server received the end, and the rate over this time.
    fn until_end_received(
        &self,
        to: &str,
        rate: &str,
        unit: &str,
        observer: EndObserver,
    ) -> Option<(String, String, String)> {
        let reported: f64 = to.parse().ok()?;
        let seconds = observer.seconds(reported, self.last);
        let (rate, unit) = scaled(rate, unit, reported / seconds)?;
        Some((format!("{seconds:.2}"), rate, unit))
    }
}

fn is_count(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The percentage of `7/1730` with two significant digits.
fn lost(counts: &str) -> Option<String> {
    let (lost, total) = counts.split_once('/')?;
    let (lost, total): (f64, f64) = (lost.parse().ok()?, total.parse().ok()?);
    let percent = if total > 0.0 { lost / total * 100.0 } else { 0.0 };
    let digits = match percent.abs() {
        more if more >= 9.95 => return Some(format!("{percent:.0}")),
        some if some >= 0.995 => 1,
        few if few >= 0.0995 => 2,
        _ => 3,
    };
    let text = format!("{percent:.digits$}");
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: EndObserver = EndObserver::Remote { after_time: true };

    /// The lines come from iperf3 3.12, with collapsed columns and riperf3's stream numbers.
    #[test]
    fn rows_are_aligned_to_iperf3_columns() {
        for (heading, row) in [
            ("Retr  Cwnd", "[  5]   0.00-1.00   sec   640 KBytes  5.24 Mbits/sec    0    264 KBytes       "),
            ("Retr  Cwnd", "[  5]   9.00-10.00  sec  1.25 GBytes  10.7 Gbits/sec  1204   1.25 MBytes       "),
            ("Retr  Cwnd", "[SUM]   0.00-1.00   sec  1.25 MBytes  10.5 Mbits/sec    0             "),
            ("Retr", "[  7]   0.00-1.00   sec   640 KBytes  5.24 Mbits/sec    0             sender"),
            ("Retr", "[  7]   0.00-1.00   sec   640 KBytes  5.24 Mbits/sec                  receiver"),
            ("", "[  5]   2.00-2.12   sec  0.00 Bytes  0.00 bits/sec                  "),
            (
                "Retr  Cwnd",
                "[  8][TX-S]   0.00-1.00   sec   640 KBytes  5.24 Mbits/sec    0    263 KBytes       ",
            ),
            ("Retr  Cwnd", "[  7][RX-C]   0.00-1.00   sec   640 KBytes  5.24 Mbits/sec                  "),
            ("Total Datagrams", "[  5]   0.00-1.00   sec   611 KBytes  5.00 Mbits/sec  432  "),
            ("Total Datagrams", "[SUM]   0.00-1.00   sec  1.19 MBytes  10.0 Mbits/sec  864  "),
            (
                "Jitter    Lost/Total Datagrams",
                "[  5]   0.00-1.00   sec   611 KBytes  5.00 Mbits/sec  0.076 ms  2/432 (0.46%)  ",
            ),
            (
                "Jitter    Lost/Total Datagrams",
                "[SUM]   0.00-1.00   sec  1.19 MBytes  10.0 Mbits/sec  0.017 ms  0/864 (0%)  receiver",
            ),
        ] {
            let mut columns = Columns::default();
            let observer = if row.starts_with("[  8]") { EndObserver::Local } else { CLIENT };
            columns
                .set(&format!("[ ID] Interval           Transfer     Bitrate         {heading}"), observer);
            let counted = row.replace("[  5]", "[  1]").replace("[  7]", "[  3]").replace("[  8]", "[  3]");
            let words: Vec<&str> = counted.split_whitespace().collect();
            let collapsed = words.join(" ").replace("[ ", "[");
            assert_eq!(columns.set(&collapsed, observer), row, "{collapsed}");
            assert_eq!(columns.set(&counted, observer), row, "an aligned row stays");
        }
    }

    #[test]
    fn other_lines_are_unchanged() {
        let mut columns = Columns::default();
        for line in [
            "[ ID][Role] Interval           Transfer     Bitrate         Retr  Cwnd",
            "- - - - -",
            "[",
            "",
            "iperf Done.",
        ] {
            assert_eq!(columns.set(line, CLIENT), line);
        }
        let connected = "local 10.66.0.2 port 5489 connected to 10.66.0.1 port 42738";
        assert_eq!(columns.set(&format!("[  1] {connected}"), CLIENT), format!("[  5] {connected}"));
    }

    /// Of a client, of a server, and of a client in both directions.
    #[test]
    fn server_rate_extends_to_the_received_end() {
        let heading = "[ ID] Interval           Transfer     Bitrate         Retr";
        let interval = "[  1]   0.00-1.10   sec  1.05 MBytes  8.80 Mbits/sec                  ";
        for (observer, first, row, set) in [
            (
                CLIENT,
                "Reverse mode, remote host h is sending",
                "[  1]   0.00-1.00   sec  1.05 MBytes  8.80 Mbits/sec    0             sender",
                "[  5]   0.00-1.10   sec  1.05 MBytes  8.00 Mbits/sec    0             sender",
            ),
            (
                CLIENT,
                "Reverse mode, remote host h is sending",
                "[  1]   0.00-1.00   sec  1.05 MBytes  8.80 Mbits/sec                  receiver",
                "[  5]   0.00-1.00   sec  1.05 MBytes  8.80 Mbits/sec                  receiver",
            ),
            (
                CLIENT,
                "",
                "[  3][RX-C]   0.00-1.00   sec  1.05 MBytes  8.80 Mbits/sec    0             sender",
                "[  7][RX-C]   0.00-1.10   sec  1.05 MBytes  8.00 Mbits/sec    0             sender",
            ),
            (
                CLIENT,
                "",
                "[  1][TX-C]   0.00-1.00   sec  1.05 MBytes  8.80 Mbits/sec    0             sender",
                "[  5][TX-C]   0.00-1.00   sec  1.05 MBytes  8.80 Mbits/sec    0             sender",
            ),
            (
                EndObserver::Local,
                interval,
                "[SUM]   0.00-1.00   sec  1.05 MBytes  8.80 Mbits/sec    0             sender",
                "[SUM]   0.00-1.10   sec  1.05 MBytes  8.00 Mbits/sec    0             sender",
            ),
        ] {
            let mut columns = Columns::default();
            columns.set(first, observer);
            columns.set(heading, observer);
            assert_eq!(columns.set(row, observer), set);
        }
    }

    #[test]
    fn server_numbers_its_tests() {
        let mut columns = Columns::default();
        for number in 1..3 {
            let expected = format!("Server listening on 5201 (test #{number})");
            assert_eq!(columns.set("Server listening on 5201", EndObserver::Local), expected);
        }
    }

    #[test]
    fn percentage_has_two_significant_digits() {
        for (counts, percent) in [
            ("0/0", "0"),
            ("1/1", "100"),
            ("1/3", "33"),
            ("9/432", "2.1"),
            ("1/432", "0.23"),
            ("1/2000", "0.05"),
        ] {
            assert_eq!(lost(counts).as_deref(), Some(percent), "{counts}");
        }
        assert_eq!(lost("x"), None);
    }
}
