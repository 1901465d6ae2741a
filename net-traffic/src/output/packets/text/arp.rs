//! ARP.

use super::super::dissect::{IPV4, ipv4, u16_at};
use super::{mac, push};

pub(super) fn print(text: &mut String, data: &[u8], length: usize, link: bool, verbose: u8) -> Option<()> {
    if !link {
        text.push_str("ARP, ");
    }
    let (hardware, protocol) = (u16_at(data, 0)?, u16_at(data, 2)?);
    let (hardware_length, protocol_length) = (*data.get(4)?, *data.get(5)?);
    let operation = u16_at(data, 6)?;
    let name = match operation {
        1 => "Request".to_owned(),
        2 => "Reply".to_owned(),
        3 => "Reverse Request".to_owned(),
        4 => "Reverse Reply".to_owned(),
        other => format!("Unknown ({other})"),
    };
    let usual = protocol == IPV4 && protocol_length == 4 && hardware_length == 6;
    if !usual || verbose > 0 {
        let hardware = if hardware == 1 { "Ethernet" } else { "Unknown Hardware" };
        let protocol = if protocol == IPV4 { "IPv4" } else { "Unknown Protocol" };
        push(text, format_args!("{hardware} (len {hardware_length}), {protocol} (len {protocol_length}), "));
    }
    text.push_str(&name);
    text.push(' ');
    if usual {
        let (sender, sender_ip) = (data.get(8..14)?, ipv4(data, 14)?);
        let (target, target_ip) = (data.get(18..24)?, ipv4(data, 24)?);
        match operation {
            1 => {
                push(text, format_args!("who-has {target_ip}"));
                if target.iter().any(|octet| *octet != 0) {
                    text.push_str(" (");
                    mac(text, target);
                    text.push(')');
                }
                push(text, format_args!(" tell {sender_ip}"));
            }
            2 => {
                push(text, format_args!("{sender_ip} is-at "));
                mac(text, sender);
            }
            _ => {}
        }
    }
    push(text, format_args!(", length {length}"));
    Some(())
}
