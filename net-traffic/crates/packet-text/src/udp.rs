//! UDP.

use super::ip::Ip;
use super::{Printer, application, dns, endpoint, push};
use crate::dissect::{UDP, checksum, should_be, u16_at};

impl Printer {
    pub(super) fn udp(&mut self, text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        const HEADER: usize = 8;
        let (source, destination) = (u16_at(data, 0)?, u16_at(data, 2)?);
        if ip.is_next {
            endpoint(text, ip.source, source);
            text.push_str(" > ");
            endpoint(text, ip.destination, destination);
            text.push_str(": ");
        } else {
            push(text, format_args!("{source} > {destination}: "));
        }
        data.get(..HEADER.min(ip.length))?;
        if ip.length < HEADER {
            push(text, format_args!("truncated-udp {}", ip.length));
            return Some(());
        }
        let stated = usize::from(u16_at(data, 4)?);
        // A payload above 65 535 bytes, which the length field cannot hold.
        let stated = if stated == 0 { ip.length } else { stated };
        if stated < HEADER {
            push(text, format_args!("truncated-udplength {stated}"));
            return Some(());
        }
        let length = stated - HEADER;
        if self.settings.quick {
            push(text, format_args!("UDP, length {length}"));
            return Some(());
        }
        let found = u16_at(data, 6)?;
        let is = |port| source == port || destination == port;
        // The IPv6 header has no checksum, so UDP over IPv6 requires one (RFC 8200, section 8.1).
        let least = if ip.source.is_ipv6() { 1 } else { 2 };
        if self.settings.verbose >= least && !self.settings.unchecked && !ip.is_fragment {
            if found == 0 && ip.source.is_ipv4() {
                text.push_str("[no cksum] ");
            } else if let Some(datagram) = data.get(..ip.length.min(stated)) {
                let sum = checksum(&[&ip.pseudo_header(UDP), datagram]);
                if sum == 0 {
                    text.push_str("[udp sum ok] ");
                } else {
                    let right = should_be(found, sum);
                    push(text, format_args!("[bad udp cksum 0x{found:04x} -> 0x{right:04x}!] "));
                }
            }
        }
        let payload = data.get(HEADER..).unwrap_or(&[]);
        let within = ip.length - HEADER;
        let (layer, printed) = match () {
            () if is(53) || is(5353) => {
                dns::print(text, payload, length, is(5353) && !is(53), self.settings.verbose);
                return Some(());
            }
            () if is(67) || is(68) => ("bootp", application::dhcp(text, payload, length)),
            () if is(123) => ("ntp", application::ntp(text, payload, length)),
            () if destination == 4789 => ("vxlan", self.vxlan(text, payload, within.min(length))),
            () if destination == 4790 => ("vxlan-gpe", self.vxlan_gpe(text, payload, within.min(length))),
            () if destination == 6081 => ("geneve", self.geneve(text, payload, within.min(length))),
            () => {
                push(text, format_args!("UDP, length {length}"));
                return Some(());
            }
        };
        if printed.is_none() {
            push(text, format_args!(" [|{layer}]"));
        }
        Some(())
    }
}
