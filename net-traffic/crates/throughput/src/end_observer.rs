//! Computes how long the server has sent: until it received the end of the test from the client. Pure.
//!
//! riperf3 uses the requested time instead, in both roles. For a test of 1 s that is 0.1 s too short.

/// The server, which observes the end of the test: this process or the remote host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum EndObserver {
    /// This process is the server.
    #[default]
    Local,
    /// This process is the client. After a test with a time limit it sends the end late.
    Remote { after_time: bool },
}

/// riperf3 sends the end of the test so long after the time limit. The senders of the client stop at the limit.
const LATE_S: f64 = 0.1;

impl EndObserver {
    pub(super) fn is_local(self) -> bool {
        self == Self::Local
    }

    /// The seconds that the server has sent. The report has `reported`, and the last interval ends at `last`.
    pub(super) fn seconds(self, reported: f64, last: f64) -> f64 {
        match self {
            Self::Local => reported.max(last),
            Self::Remote { after_time: true } => reported + LATE_S,
            Self::Remote { after_time: false } => reported,
        }
    }
}

/// Scales a rate, with three digits as iperf3 prints them: `9.05` `Gbits/sec` times 0.1 is `905` `Mbits/sec`.
pub(super) fn scaled(rate: &str, unit: &str, factor: f64) -> Option<(String, String)> {
    const STEPS: [&str; 5] = ["bits/sec", "Kbits/sec", "Mbits/sec", "Gbits/sec", "Tbits/sec"];
    let mut step = STEPS.iter().position(|step| *step == unit)?;
    let mut rate = rate.parse::<f64>().ok()? * factor;
    while rate < 0.9995 && step > 0 {
        (rate, step) = (rate * 1000.0, step - 1);
    }
    while rate >= 999.5 && step + 1 < STEPS.len() {
        (rate, step) = (rate / 1000.0, step + 1);
    }
    let digits = match rate {
        few if few < 9.995 => 2,
        some if some < 99.95 => 1,
        _ => 0,
    };
    Some((format!("{rate:.digits$}"), STEPS[step].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_sends_until_it_receives_the_end() {
        let rounded =
            |observer: EndObserver, reported, last| format!("{:.2}", observer.seconds(reported, last));
        assert_eq!(rounded(EndObserver::Local, 1.0, 1.13), "1.13");
        assert_eq!(rounded(EndObserver::Local, 1.0, 1.0), "1.00");
        assert_eq!(rounded(EndObserver::Local, 1.0, 0.0), "1.00", "no interval");
        assert_eq!(rounded(EndObserver::Remote { after_time: true }, 1.0, 1.0), "1.10");
        assert_eq!(rounded(EndObserver::Remote { after_time: false }, 1.0, 1.3), "1.00");
    }

    #[test]
    fn scaled_rate_has_three_digits() {
        for (rate, unit, factor, wanted) in [
            ("8.80", "Mbits/sec", 1.0 / 1.1, ("8.00", "Mbits/sec")),
            ("1.05", "Gbits/sec", 1.0 / 1.1, ("955", "Mbits/sec")),
            ("110", "Kbits/sec", 1.0 / 1.1, ("100", "Kbits/sec")),
            ("0.00", "bits/sec", 0.5, ("0.00", "bits/sec")),
            ("999", "Gbits/sec", 1.001, ("1.00", "Tbits/sec")),
        ] {
            let wanted = (wanted.0.to_owned(), wanted.1.to_owned());
            assert_eq!(scaled(rate, unit, factor), Some(wanted), "{rate} {unit}");
        }
        assert_eq!(scaled("x", "Mbits/sec", 1.0), None);
        assert_eq!(scaled("1", "MBytes/sec", 1.0), None);
    }
}
