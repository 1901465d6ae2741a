//! How long the server took for what it sent: until it heard of the end, which is not at the end. Pure.
//!
//! riperf3 takes the time that was asked for instead, in both roles; within a second or two that is a tenth too little.

/// What has to be known of the test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// We are the server, and hear.
    #[default]
    Us,
    /// We are the client, and tell: of a test that lasts for a time, late.
    Server { after_time: bool },
}

/// riperf3 leaves the streams so long before it says that the time is over; those who send for the client stop at once.
const LATE_S: f64 = 0.1;

impl Told {
    pub(super) fn is_us(self) -> bool {
        self == Self::Us
    }

    /// The seconds that the server sent for, where the report has `reported`, and an interval ended at `last`.
    pub(super) fn seconds(self, reported: f64, last: f64) -> f64 {
        match self {
            Self::Us => reported.max(last),
            Self::Server { after_time: true } => reported + LATE_S,
            Self::Server { after_time: false } => reported,
        }
    }
}

/// `9.05` and `Gbits/sec` at a tenth: `905` and `Mbits/sec`, with three digits as iperf3 has them.
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
    fn the_server_sends_until_it_hears() {
        let rounded = |told: Told, reported, last| format!("{:.2}", told.seconds(reported, last));
        assert_eq!(rounded(Told::Us, 1.0, 1.13), "1.13");
        assert_eq!(rounded(Told::Us, 1.0, 1.0), "1.00");
        assert_eq!(rounded(Told::Us, 1.0, 0.0), "1.00", "no interval");
        assert_eq!(rounded(Told::Server { after_time: true }, 1.0, 1.0), "1.10");
        assert_eq!(rounded(Told::Server { after_time: false }, 1.0, 1.3), "1.00");
    }

    #[test]
    fn a_rate_keeps_its_digits_across_units() {
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
