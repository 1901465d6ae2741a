//! ARP, RARP and `InARP`.

use super::{Printer, hex, mac, push};
use crate::dissect::{IPV4, ipv4, u16_at};

impl Printer {
    pub(super) fn arp(&self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        let (hardware, protocol) = (u16_at(data, 0)?, u16_at(data, 2)?);
        let (hardware_length, protocol_length) = (*data.get(4)?, *data.get(5)?);
        let operation = u16_at(data, 6)?;
        let (long, short) = (usize::from(hardware_length), usize::from(protocol_length));
        data.get(..8 + 2 * (long + short))?;
        if !self.settings.link {
            text.push_str("ARP, ");
        }
        let is_usual = protocol == IPV4 && protocol_length == 4 && hardware_length > 0;
        let verbose = self.settings.verbose > 0;
        if !is_usual || verbose {
            match hardware_name(hardware) {
                Some(name) => text.push_str(name),
                None => push(text, format_args!("Unknown Hardware ({hardware})")),
            }
            push(text, format_args!(" (len {hardware_length}), "));
            match protocol {
                IPV4 => text.push_str("IPv4"),
                _ => push(text, format_args!("Unknown Protocol (0x{protocol:04x})")),
            }
            push(text, format_args!(" (len {protocol_length})"));
            if !verbose {
                push(text, format_args!(", length {length}"));
                return Some(());
            }
            text.push_str(", ");
        }
        match operation_name(operation) {
            Some(name) => push(text, format_args!("{name} ")),
            None => push(text, format_args!("Unknown ({operation}) ")),
        }
        let sender = &data[8..8 + long];
        let target = &data[8 + long + short..8 + 2 * long + short];
        let (sender_at, target_at) = (8 + long, 8 + 2 * long + short);
        let address = |text: &mut String, at| match ipv4(data, at) {
            Some(address) if protocol == IPV4 && short == 4 => push(text, format_args!("{address}")),
            _ if protocol == IPV4 => text.push_str("<wrong len>"),
            _ => text.push_str("<wrong proto type>"),
        };
        match operation {
            1 => {
                text.push_str("who-has ");
                address(text, target_at);
                if target.iter().any(|octet| *octet != 0) {
                    text.push_str(" (");
                    mac(text, target);
                    text.push(')');
                }
                text.push_str(" tell ");
                address(text, sender_at);
            }
            2 => {
                address(text, sender_at);
                text.push_str(" is-at ");
                mac(text, sender);
            }
            3 | 8 => {
                text.push_str("who-is ");
                mac(text, target);
                text.push_str(" tell ");
                mac(text, sender);
            }
            4 => {
                mac(text, target);
                text.push_str(" at ");
                address(text, target_at);
            }
            9 => {
                mac(text, sender);
                text.push_str(" at ");
                address(text, sender_at);
            }
            _ => {
                if self.settings.dump.hex == 0 {
                    hex::characters(text, data);
                }
                return Some(());
            }
        }
        push(text, format_args!(", length {length}"));
        Some(())
    }
}

fn hardware_name(hardware: u16) -> Option<&'static str> {
    Some(match hardware {
        1 => "Ethernet",
        6 => "TokenRing",
        7 => "ArcNet",
        15 => "FrameRelay",
        23 => "Strip",
        24 => "IEEE 1394",
        _ => return None,
    })
}

fn operation_name(operation: u16) -> Option<&'static str> {
    Some(match operation {
        1 => "Request",
        2 => "Reply",
        3 => "Reverse Request",
        4 => "Reverse Reply",
        8 => "Inverse Request",
        9 => "Inverse Reply",
        10 => "NACK Reply",
        _ => return None,
    })
}
