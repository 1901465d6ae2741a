//! IPv4 and IPv6 with options and extension headers.

mod parts;

use std::net::IpAddr;

use self::parts::{hop_by_hop, options, protocol_name, routing};
use super::routing::{OSPF, PIM, VRRP, routing_protocol};
use super::{Printer, application, push};
use crate::dissect::{ICMP, ICMPV6, IPV4, IPV6, TCP, UDP, checksum, ipv4, ipv6, should_be, u16_at, u32_at};

/// The fields of the IP header that upper-layer protocols need.
#[derive(Clone, Copy)]
pub(super) struct Ip<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Both addresses as bytes, for checksums and comparisons.
    pub(super) addresses: &'a [u8],
    /// The final destination, if a routing header has segments left.
    pub(super) last: Option<&'a [u8]>,
    /// A fragment, whose checksum cannot be verified.
    pub(super) is_fragment: bool,
    /// No extension header in between, so the upper-layer protocol prints the addresses with its ports.
    pub(super) is_next: bool,
    /// TTL or hop limit.
    pub(super) hops: u8,
    /// The size of the upper layer, captured or not.
    pub(super) length: usize,
}

impl Ip<'_> {
    /// The pseudo-header of upper-layer checksums (RFC 9293, section 3.1; RFC 8200, section 8.1).
    pub(super) fn pseudo_header(&self, protocol: u8) -> Vec<u8> {
        let mut header = self.addresses.to_vec();
        if let Some(last) = self.last {
            header.truncate(header.len() - last.len());
            header.extend(last);
        }
        if self.source.is_ipv4() {
            header.extend([0, protocol]);
            header.extend(u16::try_from(self.length).unwrap_or(0).to_be_bytes());
        } else {
            header.extend(u32::try_from(self.length).unwrap_or(0).to_be_bytes());
            header.extend([0, 0, 0, protocol]);
        }
        header
    }
}

impl Printer {
    pub(super) fn ipv4(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        const MORE: u16 = 0x2000;
        let first = *data.first()?;
        match first >> 4 {
            4 => text.push_str(if self.settings.link { "" } else { "IP " }),
            6 => text.push_str("IP6, wrong link-layer encapsulation (invalid)"),
            other => push(text, format_args!("IP{other} (invalid)")),
        }
        if first >> 4 != 4 {
            return Some(());
        }
        let header = usize::from(first & 0xf) * 4;
        if header < 20 {
            push(text, format_args!("bad-hlen {header}"));
            return Some(());
        }
        let total = usize::from(u16_at(data, 2)?);
        // The total length of a GSO packet above 65 535 bytes is 0 (BIG TCP).
        // https://github.com/gregkh/linux/blob/v6.12.117/include/linux/ip.h#L55
        let total = if total == 0 { length } else { total };
        let (source, destination) = (ipv4(data, 12)?, ipv4(data, 16)?);
        if length < total {
            push(text, format_args!("truncated-ip - {} bytes missing! ", total - length));
        }
        if total < header {
            push(text, format_args!("bad-len {total}"));
            return Some(());
        }
        let data = data.get(..total.min(data.len()))?;
        let (fragment, protocol) = (u16_at(data, 6)?, *data.get(9)?);
        if self.settings.verbose > 0 {
            self.ipv4_header(text, data, header, total)?;
        }
        let ip = Ip {
            source: source.into(),
            destination: destination.into(),
            addresses: data.get(12..20)?,
            last: None,
            is_fragment: fragment & (MORE | 0x1fff) != 0,
            is_next: true,
            hops: *data.get(8)?,
            length: total - header,
        };
        if fragment & 0x1fff != 0 {
            push(text, format_args!("{source} > {destination}: ip-proto-{protocol}"));
            return Some(());
        }
        if !has_ports(protocol) {
            push(text, format_args!("{source} > {destination}: "));
        }
        self.upper(text, protocol, data.get(header..).unwrap_or(&[]), &ip);
        Some(())
    }

    fn ipv4_header(&self, text: &mut String, data: &[u8], header: usize, total: usize) -> Option<()> {
        let (tos, ttl, protocol) = (*data.get(1)?, *data.get(8)?, *data.get(9)?);
        let (id, fragment) = (u16_at(data, 4)?, u16_at(data, 6)?);
        push(text, format_args!("(tos 0x{tos:x}"));
        text.push_str(["", ",ECT(1)", ",ECT(0)", ",CE"][usize::from(tos & 3)]);
        if ttl > 0 {
            push(text, format_args!(", ttl {ttl}"));
        }
        let flags: Vec<&str> = [(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")]
            .into_iter()
            .filter_map(|(bit, name)| (fragment & bit != 0).then_some(name))
            .collect();
        let flags = if flags.is_empty() { "none".to_owned() } else { flags.join(", ") };
        let offset = u32::from(fragment & 0x1fff) * 8;
        let name = protocol_name(protocol);
        push(
            text,
            format_args!(
                ", id {id}, offset {offset}, flags [{flags}], proto {name} ({protocol}), length {total}"
            ),
        );
        if header > 20 {
            text.push_str(", options (");
            options(text, data.get(20..header).unwrap_or(&[]));
            text.push(')');
        }
        if let Some(header) = data.get(..header)
            && !self.settings.unchecked
        {
            let sum = checksum(&[header]);
            if sum != 0 {
                let found = u16_at(header, 10)?;
                push(text, format_args!(", bad cksum {found:x} (->{:x})!", should_be(found, sum)));
            }
        }
        text.push_str(")\n    ");
        Some(())
    }

    pub(super) fn ipv6(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        const HEADER: usize = 40;
        data.get(..HEADER)?;
        if !self.settings.link {
            text.push_str("IP6 ");
        }
        let flow = u32_at(data, 0)?;
        if flow >> 28 != 6 {
            push(text, format_args!("version error: {} != 6", flow >> 28));
            return Some(());
        }
        let (payload, mut next, hops) = (u16_at(data, 4)?, *data.get(6)?, *data.get(7)?);
        let (source, destination) = (ipv6(data, 8)?, ipv6(data, 24)?);
        let mut upper = if payload == 0 { length.saturating_sub(HEADER) } else { usize::from(payload) };
        if length < upper + HEADER {
            push(text, format_args!("truncated-ip6 - {} bytes missing!", upper + HEADER - length));
        }
        let data = data.get(..data.len().min(upper + HEADER))?;
        if self.settings.verbose > 0 {
            text.push('(');
            if flow & 0x0ff0_0000 != 0 {
                push(text, format_args!("class 0x{:02x}, ", flow >> 20 & 0xff));
            }
            if flow & 0xf_ffff != 0 {
                push(text, format_args!("flowlabel 0x{:05x}, ", flow & 0xf_ffff));
            }
            let name = protocol_name(next);
            push(text, format_args!("hlim {hops}, next-header {name} ({next}) payload length: {payload}) "));
        }
        let is_next = has_ports(next);
        if !is_next {
            push(text, format_args!("{source} > {destination}: "));
        }
        let mut rest = data.get(HEADER..)?;
        let (mut is_fragment, mut last) = (false, None);
        // Each header has at least eight bytes, so the loop ends.
        loop {
            let (length, is_first) = match self.extension(text, next, rest, upper) {
                Some(Some(found)) => found,
                Some(None) => break,
                None => {
                    push(text, format_args!(" [|{}]", extension_name(next)));
                    return Some(());
                }
            };
            is_fragment |= next == FRAGMENT;
            if !is_first {
                return Some(());
            }
            if let (ROUTING, [_, _, 0 | 2 | 4, left, ..]) = (next, rest)
                && *left > 0
            {
                last = length.checked_sub(16).and_then(|begin| rest.get(begin..length));
            }
            next = *rest.first()?;
            rest = rest.get(length..).unwrap_or(&[]);
            upper = upper.saturating_sub(length);
        }
        let addresses = data.get(8..HEADER)?;
        let ip = Ip {
            source: source.into(),
            destination: destination.into(),
            addresses,
            last,
            is_fragment,
            is_next,
            hops,
            length: upper,
        };
        self.upper(text, next, rest, &ip);
        Some(())
    }

    /// Appends an extension header. Returns its length and whether an upper-layer header follows (not so in a later
    /// fragment), `Some(None)` if `next` is no extension header, and `None` if the captured bytes end.
    #[expect(clippy::option_option, reason = "the outer None is a truncated packet, as in every layer")]
    fn extension(
        &self,
        text: &mut String,
        next: u8,
        data: &[u8],
        upper: usize,
    ) -> Option<Option<(usize, bool)>> {
        let long = |data: &[u8]| Some((usize::from(*data.get(1)?) + 1) * 8);
        match next {
            0 | DESTINATION => {
                let header = data.get(..long(data)?)?;
                text.push_str(if next == 0 { "HBH " } else { "DSTOPT " });
                if self.settings.verbose > 0 {
                    hop_by_hop(text, header)?;
                }
                Some(Some((header.len(), true)))
            }
            ROUTING => {
                routing(text, data, self.settings.verbose > 0)?;
                Some(Some((long(data)?, true)))
            }
            FRAGMENT => {
                let (offset, id) = (u16_at(data, 2)?, u32_at(data, 4)?);
                let length = upper.saturating_sub(8);
                let place = offset & 0xfff8;
                if self.settings.verbose > 0 {
                    push(text, format_args!("frag (0x{id:08x}:{place}|{length})"));
                } else {
                    push(text, format_args!("frag ({place}|{length})"));
                }
                if place == 0 {
                    text.push(' ');
                }
                Some(Some((8, place == 0)))
            }
            _ => Some(None),
        }
    }

    /// Appends the upper-layer protocol.
    fn upper(&mut self, text: &mut String, protocol: u8, data: &[u8], ip: &Ip<'_>) {
        let printed = match (protocol, ip.source) {
            (TCP, _) => self.tcp(text, data, ip).ok_or("tcp"),
            (UDP, _) => self.udp(text, data, ip).ok_or("udp"),
            (ICMP, IpAddr::V4(_)) => self.icmp(text, data, ip).ok_or("icmp"),
            (ICMPV6, IpAddr::V6(_)) => self.icmp6(text, data, ip).ok_or("icmp6"),
            (IGMP, IpAddr::V4(_)) => self.igmp(text, data, ip).ok_or("igmp"),
            (SCTP, _) => self.sctp(text, data, ip).ok_or("sctp"),
            (OSPF | PIM | VRRP, _) => routing_protocol(text, protocol, data, ip),
            (GRE, _) => self.gre(text, data, ip.length).ok_or("gre"),
            (ESP, _) => application::esp(text, data, ip.length).ok_or("esp"),
            (AH, _) => match self.authentication_header(text, data) {
                Some(length) => {
                    let Some(next) = data.first() else { return };
                    let upper = Ip { is_next: false, length: ip.length.saturating_sub(length), ..*ip };
                    return self.upper(text, *next, data.get(length..).unwrap_or(&[]), &upper);
                }
                None => Err("ah"),
            },
            (4, _) => {
                self.network(text, IPV4, data, ip.length);
                Ok(())
            }
            (41, _) => {
                self.network(text, IPV6, data, ip.length);
                Ok(())
            }
            (59, IpAddr::V6(_)) => {
                text.push_str("no next header");
                Ok(())
            }
            _ => {
                if has_ports(protocol) && ip.is_next {
                    push(text, format_args!("{} > {}: ", ip.source, ip.destination));
                }
                push(text, format_args!(" ip-proto-{protocol} {}", ip.length));
                Ok(())
            }
        };
        if let Err(layer) = printed {
            if ip.is_next && has_ports(protocol) && data.len() < 4 {
                let space = if layer == "udp" { " " } else { "" };
                push(text, format_args!("{} > {}:{space}", ip.source, ip.destination));
            }
            push(text, format_args!(" [|{layer}]"));
        }
    }
}

/// tcpdump's name of a truncated extension header.
fn extension_name(next: u8) -> &'static str {
    match next {
        0 => "hbhopt",
        ROUTING => "rt6",
        FRAGMENT => "frag6",
        _ => "dstopt",
    }
}

const IGMP: u8 = 2;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const ESP: u8 = 50;
const AH: u8 = 51;
const DESTINATION: u8 = 60;
const SCTP: u8 = 132;

/// Whether the protocol prints the addresses itself, with ports: TCP, UDP, DCCP, SCTP.
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | 33 | 132)
}
