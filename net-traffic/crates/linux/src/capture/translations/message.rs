//! What the kernel tells of a tracked connection. Pure: bytes in, flows out.

use net_traffic_common::Flow;

use crate::netlink::{Attributes, read_address, read_u16};

/// The kinds of messages: `NFNL_SUBSYS_CTNETLINK`, and what is asked for or told.
pub(super) const NEW: u16 = 0x100;
pub(super) const LIST: u16 = 0x101;
pub(super) const DESTROYED: u16 = 0x102;
/// The length of `struct nfgenmsg`; attributes follow.
const HEAD: usize = 4;
pub(super) const EVERY_FAMILY: [u8; HEAD] = [0; HEAD];

/// The attributes of a connection: both directions, as each is sent.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
/// Of a direction.
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
/// Of the former.
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
/// Of the latter.
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTO_ICMP_ID: u16 = 4;
const CTA_PROTO_ICMPV6_ID: u16 = 7;

/// The flows of a connection whose destination is translated: what arrives, and what its receiver gets.
pub(super) fn translations(payload: &[u8]) -> impl Iterator<Item = (Flow, Flow)> {
    let (mut original, mut reply) = (None, None);
    for (kind, value) in attributes(payload.get(HEAD..).unwrap_or_default()) {
        match kind {
            CTA_TUPLE_ORIG => original = flow(value),
            CTA_TUPLE_REPLY => reply = flow(value),
            _ => {}
        }
    }
    let both = original
        .zip(reply)
        .map(|(original, reply)| [(original, reply.reversed()), (reply, original.reversed())]);
    both.into_iter().flatten().filter(|(arriving, delivered)| {
        let end = |flow: &Flow| (flow.destination, flow.destination_port);
        end(arriving) != end(delivered)
    })
}

/// One direction.
fn flow(tuple: &[u8]) -> Option<Flow> {
    let (mut flow, mut has_addresses, mut has_protocol) = (Flow::default(), false, false);
    for (kind, value) in attributes(tuple) {
        match kind {
            CTA_TUPLE_IP => has_addresses = addresses(value, &mut flow),
            CTA_TUPLE_PROTO => has_protocol = ports(value, &mut flow),
            _ => {}
        }
    }
    (has_addresses && has_protocol).then_some(flow)
}

fn addresses(ip: &[u8], flow: &mut Flow) -> bool {
    let mut ends = (None, None);
    for (kind, value) in attributes(ip) {
        match kind {
            CTA_IP_V4_SRC | CTA_IP_V6_SRC => ends.0 = read_address(value),
            CTA_IP_V4_DST | CTA_IP_V6_DST => ends.1 = read_address(value),
            _ => {}
        }
        flow.is_v6 = u8::from(matches!(kind, CTA_IP_V6_SRC | CTA_IP_V6_DST));
    }
    let (Some(source), Some(destination)) = ends else { return false };
    (flow.source, flow.destination) = (source, destination);
    true
}

/// Protocols without ports have none in a key either.
fn ports(protocol: &[u8], flow: &mut Flow) -> bool {
    let mut has_number = false;
    for (kind, value) in attributes(protocol) {
        match (kind, read_u16(value, 0), value.first()) {
            (CTA_PROTO_NUM, _, Some(number)) => {
                flow.protocol = *number;
                has_number = true;
            }
            (CTA_PROTO_SRC_PORT, Some(port), _) => flow.source_port = port,
            (CTA_PROTO_DST_PORT, Some(port), _) => flow.destination_port = port,
            (CTA_PROTO_ICMP_ID | CTA_PROTO_ICMPV6_ID, Some(id), _) => {
                (flow.source_port, flow.destination_port) = (id, id);
            }
            _ => {}
        }
    }
    has_number
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    Attributes(bytes).filter_map(Result::ok)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::encode_attribute;

    type End<'a> = (&'a [u8], u16);

    fn word(address: [u8; 4]) -> [u32; 4] {
        [u32::from_ne_bytes(address), 0, 0, 0]
    }

    fn tuple(kind: u16, protocol: u8, source: End<'_>, destination: End<'_>) -> Vec<u8> {
        let family = if source.0.len() == 4 { 1 } else { 3 };
        let ip = [encode_attribute(family, source.0), encode_attribute(family + 1, destination.0)].concat();
        let ports = [
            encode_attribute(CTA_PROTO_NUM, &[protocol]),
            encode_attribute(CTA_PROTO_SRC_PORT, &source.1.to_be_bytes()),
            encode_attribute(CTA_PROTO_DST_PORT, &destination.1.to_be_bytes()),
        ];
        let both = [encode_attribute(1 | 0x8000, &ip), encode_attribute(2 | 0x8000, &ports.concat())];
        encode_attribute(kind | 0x8000, &both.concat())
    }

    fn message(tuples: &[Vec<u8>; 2]) -> Vec<u8> {
        [vec![2, 0, 0, 0], tuples.concat(), encode_attribute(3, &[0, 0, 1, 0x1e])].concat()
    }

    const GUEST: End<'static> = (&[10, 9, 0, 2], 40_000);
    const HOST: End<'static> = (&[10, 8, 0, 1], 40_001);
    const SERVER: End<'static> = (&[10, 7, 0, 2], 443);

    fn flow(source: End<'_>, destination: End<'_>) -> Flow {
        let words = |end: End<'_>| word(end.0.try_into().unwrap());
        Flow {
            source: words(source),
            destination: words(destination),
            source_port: source.1.to_be(),
            destination_port: destination.1.to_be(),
            protocol: 6,
            ..Flow::default()
        }
    }

    #[test]
    fn the_answers_go_to_whom_the_source_was_translated_of() {
        let told = message(&[tuple(1, 6, GUEST, SERVER), tuple(2, 6, SERVER, HOST)]);
        let found: Vec<_> = translations(&told).collect();
        assert_eq!(found, [(flow(SERVER, HOST), flow(SERVER, GUEST))]);
    }

    #[test]
    fn what_comes_to_a_published_port_goes_to_whom_it_stands_for() {
        let told = message(&[tuple(1, 6, SERVER, HOST), tuple(2, 6, GUEST, SERVER)]);
        let found: Vec<_> = translations(&told).collect();
        assert_eq!(found, [(flow(SERVER, HOST), flow(SERVER, GUEST))]);
    }

    #[test]
    fn a_connection_that_is_not_translated_gives_nothing() {
        let told = message(&[tuple(1, 6, GUEST, SERVER), tuple(2, 6, SERVER, GUEST)]);
        assert_eq!(translations(&told).count(), 0);
        assert_eq!(translations(&[]).count(), 0);
        assert_eq!(translations(&message(&[tuple(1, 6, GUEST, SERVER), Vec::new()])).count(), 0);
    }

    #[test]
    fn addresses_of_ipv6() {
        let (guest, host, server) = ([0xfd; 16], [0xfc; 16], [0xfb; 16]);
        let to = [tuple(1, 17, (&guest, 1), (&server, 53)), tuple(2, 17, (&server, 53), (&host, 1))];
        let found: Vec<_> = translations(&message(&to)).collect();
        let [(arriving, delivered)] = found[..] else { panic!("{found:?}") };
        assert_eq!((arriving.is_v6, arriving.protocol), (1, 17));
        assert_eq!((arriving.source, arriving.destination), ([0xfbfb_fbfb; 4], [0xfcfc_fcfc; 4]));
        assert_eq!((delivered.source, delivered.destination), ([0xfbfb_fbfb; 4], [0xfdfd_fdfd; 4]));
    }

    proptest! {
        #[test]
        fn garbage_ends_and_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(translations(&bytes).count() <= 2);
        }
    }
}
