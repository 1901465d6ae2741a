//! Tunnels over UDP: VXLAN, VXLAN-GPE and Geneve.

use super::gre::carried;
use super::link::{BRIDGED, MPLS, MPLS_MULTICAST};
use super::{Printer, hex, push};
use crate::dissect::{IPV4, IPV6, u16_at, u32_at};

const HEADER: usize = 8;

impl Printer {
    pub(super) fn vxlan(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        const HAS_NETWORK: u8 = 0x08;
        text.push_str("VXLAN");
        if length < HEADER {
            text.push_str(" (invalid)");
            return Some(());
        }
        let (flags, network) = (*data.first()?, u32_at(data, 4)? >> 8);
        let name = if flags == HAS_NETWORK { "I" } else { "invalid" };
        push(text, format_args!(", flags [{name}] (0x{flags:02x}), vni {network}\n"));
        self.bridged(text, &data[HEADER..], length - HEADER);
        Some(())
    }

    pub(super) fn vxlan_gpe(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        text.push_str("VXLAN-GPE, ");
        if length < HEADER {
            push(text, format_args!(" (len {length} < {HEADER}) (invalid)"));
            return Some(());
        }
        let (flags, next, network) = (*data.first()?, *data.get(3)?, u32_at(data, 4)? >> 8);
        let letters = letters(flags, &[(8, "I"), (4, "P"), (2, "B"), (1, "O")]);
        push(text, format_args!("flags [{letters}], vni {network}"));
        text.push_str(if self.settings.verbose > 0 { "\n    " } else { ": " });
        let (payload, rest) = (&data[HEADER..], length - HEADER);
        match next {
            1 => self.network(text, IPV4, payload, rest),
            2 => self.network(text, IPV6, payload, rest),
            3 => self.bridged(text, payload, rest),
            5 => self.network(text, MPLS, payload, rest),
            _ => text.push_str("ERROR: unknown-next-protocol (invalid)"),
        }
        Some(())
    }

    pub(super) fn geneve(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        text.push_str("Geneve");
        if length < HEADER {
            push(text, format_args!(" [length {length} < {HEADER}] (invalid)"));
            return Some(());
        }
        let (first, flags) = (*data.first()?, *data.get(1)?);
        if first >> 6 != 0 {
            push(text, format_args!(" ERROR: unknown-version {}", first >> 6));
            return Some(());
        }
        let (protocol, network, reserved) = (u16_at(data, 2)?, u32_at(data, 4)? >> 8, data.get(7)?);
        let bits = [
            (0x80, "O"),
            (0x40, "C"),
            (0x20, "R1"),
            (0x10, "R2"),
            (0x08, "R3"),
            (0x04, "R4"),
            (0x02, "R5"),
            (0x01, "R6"),
        ];
        push(text, format_args!(", Flags [{}], vni 0x{network:x}", letters(flags, &bits)));
        if *reserved != 0 {
            push(text, format_args!(", rsvd 0x{reserved:x}"));
        }
        if self.settings.link {
            push(text, format_args!(", proto {} (0x{protocol:04x})", carried(protocol)));
        }
        let (options, rest) = (usize::from(first & 0x3f) * 4, length - HEADER);
        if options > rest {
            push(text, format_args!(" truncated-geneve - {} bytes missing", options - rest));
            return Some(());
        }
        if options > 0 {
            text.push_str(", options [");
            match self.settings.verbose {
                0 => push(text, format_args!("{options} bytes")),
                verbose => geneve_options(text, data.get(HEADER..HEADER + options)?, verbose > 1)?,
            }
            text.push(']');
        }
        text.push_str(if self.settings.verbose > 0 { "\n\t" } else { ": " });
        let (payload, rest) = (data.get(HEADER + options..)?, rest - options);
        match protocol {
            IPV4 | IPV6 | MPLS | MPLS_MULTICAST => self.network(text, protocol, payload, rest),
            BRIDGED => self.bridged(text, payload, rest),
            other => push(text, format_args!("geneve-proto-0x{other:x}")),
        }
        Some(())
    }
}

fn letters(flags: u8, bits: &[(u8, &str)]) -> String {
    let letters: String =
        bits.iter().filter_map(|(bit, letter)| (flags & bit != 0).then_some(*letter)).collect();
    if letters.is_empty() { "none".to_owned() } else { letters }
}

/// Appends the class of each option, and its content if `all` is set.
fn geneve_options(text: &mut String, mut options: &[u8], all: bool) -> Option<()> {
    let mut separator = "";
    while !options.is_empty() {
        let (class, kind) = (u16_at(options, 0)?, *options.get(2)?);
        let length = 4 + usize::from(*options.get(3)? & 0x1f) * 4;
        let owner = match class {
            0x0000..=0x00ff => "Standard",
            0x0100 => "Linux",
            0x0101 => "Open vSwitch",
            0x0102 => "Open Virtual Networking (OVN)",
            0x0103 => "In-band Network Telemetry (INT)",
            0x0104 => "VMware",
            0xfff0..=0xffff => "Experimental",
            _ => "Unknown",
        };
        let critical = if kind & 0x80 == 0 { "" } else { "(C)" };
        push(
            text,
            format_args!("{separator}class {owner} (0x{class:x}) type 0x{kind:x}{critical} len {length}"),
        );
        separator = ", ";
        let Some(value) = options.get(4..length) else {
            text.push_str(" [bad length]");
            return Some(());
        };
        if all && !value.is_empty() {
            text.push_str(" data");
            for word in value.chunks(4) {
                text.push(' ');
                hex::digits(text, word);
            }
        }
        options = &options[length..];
    }
    Some(())
}
