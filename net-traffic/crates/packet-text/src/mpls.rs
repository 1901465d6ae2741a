//! MPLS: the label stack and its payload.

use super::{Printer, push};
use crate::dissect::{IPV4, IPV6, u32_at};

impl Printer {
    pub(super) fn mpls(&mut self, text: &mut String, mut data: &[u8], mut length: usize) {
        const BOTTOM: u32 = 0x100;
        let verbose = self.settings.verbose > 0;
        text.push_str("MPLS");
        let mut separator = " ";
        let label = loop {
            if length < 4 {
                return text.push_str(" (invalid)");
            }
            let Some(entry) = u32_at(data, 0) else { return text.push_str("[|mpls]") };
            let label = entry >> 12;
            push(text, format_args!("{separator}(label {label}"));
            if verbose && let Some(name) = name(label) {
                push(text, format_args!(" ({name})"));
            }
            push(text, format_args!(", tc {}", entry >> 9 & 7));
            text.push_str(if entry & BOTTOM == 0 { "" } else { ", [S]" });
            push(text, format_args!(", ttl {})", entry & 0xff));
            separator = if verbose { "\n\t" } else { " " };
            (data, length) = (&data[4..], length - 4);
            if entry & BOTTOM != 0 {
                break label;
            }
        };
        if length == 0 {
            return;
        }
        match (label, data.first().map(|first| first >> 4)) {
            (0 | 3, _) | (_, Some(4)) => {
                text.push_str(separator);
                self.network(text, IPV4, data, length);
            }
            (2, _) | (_, Some(6)) => {
                text.push_str(separator);
                self.network(text, IPV6, data, length);
            }
            _ => self.default_dump(text, data),
        }
    }
}

/// The name of a reserved label.
fn name(label: u32) -> Option<&'static str> {
    Some(match label {
        0 => "IPv4 explicit NULL",
        1 => "router alert",
        2 => "IPv6 explicit NULL",
        3 => "implicit NULL",
        4..16 => "rsvd",
        _ => return None,
    })
}
