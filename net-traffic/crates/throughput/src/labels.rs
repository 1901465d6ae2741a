//! Converts stream numbers to those of iperf3, which are file descriptors. Pure.
//!
//! riperf3 prints 1, 3, 4, 5: the stream IDs of iperf3's protocol.

/// Converts the number at the start of a text line.
pub(super) fn in_text(line: &str, is_server: bool) -> String {
    let labelled = || {
        let (number, rest) = line.strip_prefix('[')?.split_once(']')?;
        Some(format!("[{:>3}]{rest}", label(number.trim().parse().ok()?, is_server)))
    };
    labelled().unwrap_or_else(|| line.to_owned())
}

/// Converts the number in a line of a JSON document.
pub(super) fn in_document(line: &str, is_server: bool) -> String {
    const KEY: &str = r#""socket": "#;
    let labelled = || {
        let (before, number) = line.split_once(KEY)?;
        let (number, comma) = number.strip_suffix(',').map_or((number, ""), |number| (number, ","));
        Some(format!("{before}{KEY}{}{comma}", label(number.parse().ok()?, is_server)))
    };
    labelled().unwrap_or_else(|| line.to_owned())
}

/// An iperf3 client has one file per socket, so that its numbers increase by two. A server's second stream skips one more.
fn label(number: u32, is_server: bool) -> u32 {
    let nth = number.saturating_sub(if number > 1 { 2 } else { 1 });
    5 + 2 * nth + u32::from(is_server && nth > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_numbers_are_those_of_iperf3() {
        let labels = |is_server| [1, 3, 4, 5].map(|number| label(number, is_server));
        assert_eq!(labels(false), [5, 7, 9, 11]);
        assert_eq!(labels(true), [5, 8, 10, 12]);
    }

    #[test]
    fn text_and_document_numbers_agree() {
        assert_eq!(in_text("[  3][TX-C]   0.00-1.00   sec", false), "[  7][TX-C]   0.00-1.00   sec");
        assert_eq!(in_document("        \"socket\": 3,", false), "        \"socket\": 7,");
        assert_eq!(in_document("        \"socket\": 3", true), "        \"socket\": 8");
        for other in ["[SUM]   0.00-1.00   sec", "[ ID] Interval", "- - - -", "", "Connecting to host ::1"] {
            assert_eq!(in_text(other, false), other);
        }
        for other in ["{", "  \"socket\": {}", "  \"port\": 1,"] {
            assert_eq!(in_document(other, false), other);
        }
    }
}
