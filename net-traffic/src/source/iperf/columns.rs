//! Sets the rows of the report in iperf3's columns, below its headings. Pure.

/// Follows the text of a report: what a number behind the rate means, the heading tells.
#[derive(Debug, Default)]
pub(super) struct Columns {
    has_datagrams: bool,
    tests: u32,
}

/// What stands where nothing is to be said behind the rate.
const NOTHING: &str = "                  ";
/// Of both directions at a time, those who send leave the place of the jitter empty.
const NO_JITTER: &str = "          ";

impl Columns {
    pub(super) fn set(&mut self, line: &str) -> String {
        if line.starts_with("[ ID]") {
            self.has_datagrams = line.contains("Datagrams");
        } else if line.starts_with("Server listening on ") {
            self.tests += 1;
            return format!("{line} (test #{})", self.tests);
        }
        self.row(line).unwrap_or_else(|| line.to_owned())
    }

    /// `[  5] 0.00-1.00 sec 640 KBytes 5.24 Mbits/sec …`; `None` for what is no row.
    fn row(&self, line: &str) -> Option<String> {
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
        let more = match more {
            [jitter, "ms", counts, _, who @ ..] => {
                format!("  {jitter:>5} ms  {counts} ({}%)  {}", lost(counts)?, who.join(" "))
            }
            [sent, who @ ..] if self.has_datagrams && is_count(sent) => {
                let pad = if role.is_empty() { "" } else { NO_JITTER };
                format!("  {pad}{sent}  {}", who.join(" "))
            }
            [again, window, unit, who @ ..] if is_count(again) => {
                format!("  {again:>3}   {window:>4} {unit}       {}", who.join(" "))
            }
            [again, who @ ..] if is_count(again) => format!("  {again:>3}             {}", who.join(" ")),
            who => format!("{NOTHING}{}", who.join(" ")),
        };
        Some(format!(
            "[{id:>3}]{role} {from:>6}-{to:<6} sec  {size:>4} {size_unit}  {rate:>4} {rate_unit}{more}"
        ))
    }
}

fn is_count(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The part of `7/1730` in percent, with two digits that count.
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

    /// The lines are those of iperf3 3.12, their columns pushed together.
    #[test]
    fn rows_stand_in_iperf3s_columns() {
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
            columns.set(&format!("[ ID] Interval           Transfer     Bitrate         {heading}"));
            let words: Vec<&str> = row.split_whitespace().collect();
            let pushed = words.join(" ").replace("[ ", "[");
            let set = columns.set(&pushed);
            assert_eq!(set, row, "{pushed}");
            assert_eq!(columns.set(&set), row, "what stands there already");
        }
    }

    #[test]
    fn what_is_no_row_stays() {
        let mut columns = Columns::default();
        for line in [
            "[  5] local 10.66.0.2 port 5489 connected to 10.66.0.1 port 42738",
            "[ ID][Role] Interval           Transfer     Bitrate         Retr  Cwnd",
            "- - - - -",
            "[",
            "",
            "iperf Done.",
        ] {
            assert_eq!(columns.set(line), line);
        }
    }

    #[test]
    fn a_server_numbers_its_tests() {
        let mut columns = Columns::default();
        for number in 1..3 {
            let expected = format!("Server listening on 5201 (test #{number})");
            assert_eq!(columns.set("Server listening on 5201"), expected);
        }
    }

    #[test]
    fn a_part_has_two_digits_that_count() {
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
