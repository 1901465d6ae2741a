//! Decodes the translations of a conntrack message. Pure: bytes in, flows out.

use net_traffic_common::Flow;

use crate::netlink::{Attributes, read_address, read_u16};

/// Message types: `NFNL_SUBSYS_CTNETLINK << 8`, and `IPCTNL_MSG_CT_NEW`, `_GET` or `_DELETE`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/netfilter/nf_conntrack_netlink.c#L736>).
pub(super) const NEW: u16 = 0x100;
pub(super) const LIST: u16 = 0x101;
pub(super) const DESTROYED: u16 = 0x102;
/// The length of `struct nfgenmsg`; attributes follow.
const HEAD: usize = 4;
pub(super) const EVERY_FAMILY: [u8; HEAD] = [0; HEAD];

// Neither libc nor linux-raw-sys has `linux/netfilter/nfnetlink_conntrack.h`
// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/netfilter/nfnetlink_conntrack.h#L29>).
/// The tuples of a connection, each as packets of that direction arrive.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
/// In a tuple.
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
/// In `CTA_TUPLE_IP`.
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
/// In `CTA_TUPLE_PROTO`.
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTO_ICMP_ID: u16 = 4;
const CTA_PROTO_ICMPV6_ID: u16 = 7;

/// One direction of a connection with a translated destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Translation {
    /// The flow of the packet as it arrives.
    pub(super) arriving: Flow,
    /// The flow of the packet as its receiver reads it.
    pub(super) delivered: Flow,
}

/// The directions of a connection whose destination is translated.
pub(super) fn translations(payload: &[u8]) -> impl Iterator<Item = Translation> {
    let (mut original, mut reply) = (None, None);
    for (kind, value) in attributes(payload.get(HEAD..).unwrap_or_default()) {
        match kind {
            CTA_TUPLE_ORIG => original = flow(value),
            CTA_TUPLE_REPLY => reply = flow(value),
            _ => {}
        }
    }
    let both = original.zip(reply).map(|(original, reply): (Flow, Flow)| {
        [
            Translation { arriving: original, delivered: reply.reversed() },
            Translation { arriving: reply, delivered: original.reversed() },
        ]
    });
    both.into_iter().flatten().filter(|translation| {
        let destination = |flow: &Flow| (flow.destination, flow.destination_port);
        destination(&translation.arriving) != destination(&translation.delivered)
    })
}

/// Decodes one tuple.
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
    let (mut source, mut destination) = (None, None);
    for (kind, value) in attributes(ip) {
        match kind {
            CTA_IP_V4_SRC | CTA_IP_V6_SRC => source = read_address(value),
            CTA_IP_V4_DST | CTA_IP_V6_DST => destination = read_address(value),
            _ => {}
        }
        flow.is_v6 = u8::from(matches!(kind, CTA_IP_V6_SRC | CTA_IP_V6_DST));
    }
    let (Some(source), Some(destination)) = (source, destination) else { return false };
    (flow.source, flow.destination) = (source, destination);
    true
}

/// The ports stay 0 for a protocol without ports.
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

    type Endpoint<'a> = (&'a [u8], u16);

    fn translation(arriving: Flow, delivered: Flow) -> Translation {
        Translation { arriving, delivered }
    }

    fn tuple(kind: u16, protocol: u8, source: Endpoint<'_>, destination: Endpoint<'_>) -> Vec<u8> {
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

    const GUEST: Endpoint<'static> = (&[10, 9, 0, 2], 40_000);
    const HOST: Endpoint<'static> = (&[10, 8, 0, 1], 40_001);
    const SERVER: Endpoint<'static> = (&[10, 7, 0, 2], 443);

    fn flow(source: Endpoint<'_>, destination: Endpoint<'_>) -> Flow {
        Flow {
            source: read_address(source.0).unwrap(),
            destination: read_address(destination.0).unwrap(),
            source_port: source.1.to_be(),
            destination_port: destination.1.to_be(),
            protocol: 6,
            ..Flow::default()
        }
    }

    #[test]
    fn source_nat_translates_the_reply() {
        let message = message(&[tuple(1, 6, GUEST, SERVER), tuple(2, 6, SERVER, HOST)]);
        let found: Vec<_> = translations(&message).collect();
        assert_eq!(found, [translation(flow(SERVER, HOST), flow(SERVER, GUEST))]);
    }

    #[test]
    fn published_port_translates_the_request() {
        let message = message(&[tuple(1, 6, SERVER, HOST), tuple(2, 6, GUEST, SERVER)]);
        let found: Vec<_> = translations(&message).collect();
        assert_eq!(found, [translation(flow(SERVER, HOST), flow(SERVER, GUEST))]);
    }

    #[test]
    fn untranslated_connection_has_no_translation() {
        let untranslated = message(&[tuple(1, 6, GUEST, SERVER), tuple(2, 6, SERVER, GUEST)]);
        assert_eq!(translations(&untranslated).count(), 0);
        assert_eq!(translations(&[]).count(), 0);
        assert_eq!(translations(&message(&[tuple(1, 6, GUEST, SERVER), Vec::new()])).count(), 0);
    }

    #[test]
    fn ipv6_addresses_are_translated() {
        let (guest, host, server) = ([0xfd; 16], [0xfc; 16], [0xfb; 16]);
        let to = [tuple(1, 17, (&guest, 1), (&server, 53)), tuple(2, 17, (&server, 53), (&host, 1))];
        let found: Vec<_> = translations(&message(&to)).collect();
        let [Translation { arriving, delivered }] = found[..] else { panic!("{found:?}") };
        assert_eq!((arriving.is_v6, arriving.protocol), (1, 17));
        assert_eq!((arriving.source, arriving.destination), ([0xfbfb_fbfb; 4], [0xfcfc_fcfc; 4]));
        assert_eq!((delivered.source, delivered.destination), ([0xfbfb_fbfb; 4], [0xfdfd_fdfd; 4]));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(translations(&bytes).count() <= 2);
        }
    }
}
