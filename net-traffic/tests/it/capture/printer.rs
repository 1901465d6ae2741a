//! Hand-made frames of each encapsulation print the same text as with `tcpdump -n`.

use std::process::Command;

use super::frames::{IPV4, IPV6, echo, ethernet, file, ipv6, join, longs, over_ipv4, over_ipv6, udp, words};
use super::network::{has, net_traffic, text_of};

pub(crate) const USUAL: [&str; 4] = ["", "-e", "-q", "-v"];

/// Reads the frames with both programs, with each of the flags.
pub(crate) fn same(name: &str, flags: &[&str], frames: &[Vec<u8>]) {
    if !has("tcpdump") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(format!("{name}.pcap"));
    std::fs::write(&path, file(1, frames)).unwrap();
    for flags in flags {
        // The number at the start of a line identifies the frame.
        let arguments = ["-n", "-t", "-#", flags, "-r", path.to_str().unwrap()];
        let arguments: Vec<&str> = arguments.into_iter().filter(|word| !word.is_empty()).collect();
        let ours = text_of(&net_traffic(&arguments).output().unwrap());
        let theirs = text_of(&Command::new("tcpdump").args(&arguments).output().unwrap());
        assert!(theirs.lines().count() >= frames.len(), "tcpdump {flags}: {theirs}");
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            assert_eq!(ours, theirs, "{name} with {flags}");
        }
        assert_eq!(ours.lines().count(), theirs.lines().count(), "{name} with {flags}");
    }
}

/// UDP over IPv6 without the mandatory checksum.
pub(crate) fn inner_v6() -> Vec<u8> {
    ipv6(17, &udp(1000, 2000, b"abc"))
}

fn label(label: u32, class: u32, is_last: bool, life: u32) -> Vec<u8> {
    longs(&[label << 12 | class << 9 | u32::from(is_last) << 8 | life])
}

#[test]
fn vlan_prints_as_tcpdump() {
    let mut frames: Vec<Vec<u8>> = [0x8100, 0x88a8, 0x9100, 0x9200]
        .map(|kind| ethernet(kind, &join(&[&words(&[5 | 0x6000, IPV4]), &echo()])))
        .into();
    frames.push(ethernet(0x88a8, &join(&[&words(&[100, 0x8100, 0x10c8, IPV6]), &inner_v6()])));
    frames.push(ethernet(0x8100, &[0]));
    same("vlan", &USUAL, &frames);
}

#[test]
fn mpls_prints_as_tcpdump() {
    let stack = |labels: &[Vec<u8>], inside: &[u8]| join(&[&labels.concat(), inside]);
    let frames: Vec<Vec<u8>> = [
        (0x8847, stack(&[label(100, 3, true, 64)], &echo())),
        (0x8848, stack(&[label(100, 3, false, 64), label(16, 0, true, 1)], &inner_v6())),
        (0x8847, stack(&[label(0, 0, true, 64)], &echo())),
        (0x8847, stack(&[label(1, 0, true, 64)], &echo())),
        (0x8847, stack(&[label(2, 0, true, 64)], &inner_v6())),
        (0x8847, stack(&[label(3, 0, true, 64)], &echo())),
        (0x8847, stack(&[label(7, 0, true, 64)], b"")),
        (0x8847, stack(&[label(1, 0, false, 64), label(99, 0, false, 5)], b"")),
        (0x8847, vec![0, 0]),
    ]
    .map(|(kind, inside)| ethernet(kind, &inside))
    .into();
    same("mpls", &USUAL, &frames);
}

#[test]
fn pppoe_prints_as_tcpdump() {
    let discovery = |code: u16, session: u16, tags: &[(u16, &[u8])]| {
        let tags: Vec<u8> = tags
            .iter()
            .flat_map(|(kind, value)| join(&[&words(&[*kind, u16::try_from(value.len()).unwrap()]), value]))
            .collect();
        let header = words(&[0x1100 | code, session, u16::try_from(tags.len()).unwrap()]);
        ethernet(0x8863, &join(&[&header, &tags]))
    };
    let session = |protocol: u16, inside: &[u8]| {
        let header = words(&[0x1100, 0x27, u16::try_from(inside.len() + 2).unwrap(), protocol]);
        ethernet(0x8864, &join(&[&header, inside]))
    };
    let mut frames = vec![
        discovery(9, 0, &[(0x101, b""), (0x103, &[1, 2, 3, 4])]),
        discovery(7, 0, &[(0x101, b"internet"), (0x102, b"ac-name"), (0x104, &[0, 1, 2, 3, 4, 5])]),
        discovery(0x19, 0, &[(0x101, b"x"), (0x777, b"?")]),
        discovery(0x65, 5, &[(0x101, b"x"), (0x201, b"error")]),
        discovery(0xa7, 5, &[(0x203, b"bye")]),
        discovery(0x44, 5, &[(0, b"")]),
        session(0x0021, &echo()),
        session(0x0057, &inner_v6()),
        session(0x0281, &join(&[&label(9, 0, true, 2), &echo()])),
        session(0xc023, b"\x01\x01\0\x0a\x02ab\x02cd"),
        session(0xc023, b"\x02\x01\0\x07\x02ok"),
        session(0xc223, b"\x01\x01\0\x0c\x04abcdnam"),
        session(0xc223, b"\x04\x01\0\x06no"),
        session(0x1234, b"abcdef"),
        ethernet(0x8864, &[0x11, 0]),
    ];
    same("pppoe", &USUAL, &frames);
    frames.clear();
    for code in 1..=15 {
        frames.push(session(0xc021, &[code, 1, 0, 4]));
    }
    for protocol in [0x8021, 0x8057, 0x80fd, 0x8281] {
        frames.push(session(protocol, &[1, 2, 0, 4]));
    }
    // net-traffic does not print negotiated options, which tcpdump prints with -v.
    same("ppp", &["", "-e", "-q"], &frames);
}

#[test]
fn gre_prints_as_tcpdump() {
    let bridged = ethernet(IPV4, &echo());
    let over_ppp = join(&[&words(&[0x21]), &echo()]);
    let frames = vec![
        over_ipv4(47, &join(&[&words(&[0, IPV4]), &echo()])),
        over_ipv4(47, &join(&[&words(&[0x2000, IPV4]), &longs(&[77]), &echo()])),
        over_ipv4(47, &join(&[&words(&[0xb000, IPV6, 0, 0]), &longs(&[77, 5]), &inner_v6()])),
        over_ipv4(47, &join(&[&words(&[0, 0x6558]), &bridged])),
        over_ipv4(47, &join(&[&words(&[0x3001, 0x880b, 38, 9]), &longs(&[3]), &over_ppp])),
        over_ipv4(47, &join(&[&words(&[0x3081, 0x880b, 38, 9]), &longs(&[3, 4]), &over_ppp])),
        over_ipv4(47, &join(&[&words(&[0x2081, 0x880b, 0, 9]), &longs(&[4])])),
        over_ipv4(47, &join(&[&words(&[0, 0x8847]), &label(5, 0, true, 6), &echo()])),
        over_ipv4(47, &join(&[&words(&[0, 0x1234]), b"abc"])),
        over_ipv4(47, &join(&[&words(&[2, IPV4]), b"abc"])),
        over_ipv6(47, &join(&[&words(&[0, IPV4]), &echo()])),
        over_ipv4(47, &[0]),
    ];
    same("gre", &USUAL, &frames);
}

#[test]
fn udp_tunnels_print_as_tcpdump() {
    let to = |port, inside: &[u8]| over_ipv4(17, &udp(40_000, port, inside));
    let bridged = ethernet(IPV4, &echo());
    let tagged = ethernet(0x8100, &join(&[&words(&[5, IPV4]), &echo()]));
    let geneve = |flags: u16, protocol: u16, options: &[u8], inside: &[u8]| {
        let units = u16::try_from(options.len() / 4).unwrap();
        to(6081, &join(&[&words(&[units << 8 | flags, protocol]), &longs(&[10 << 8]), options, inside]))
    };
    let gpe = |next: u32, inside: &[u8]| to(4790, &join(&[&longs(&[0x0c00_0000 | next, 7 << 8]), inside]));
    let mut frames = vec![
        to(4789, &join(&[&longs(&[0x0800_0000, 123 << 8]), &bridged])),
        to(4789, &join(&[&longs(&[0, 123 << 8]), &tagged])),
        to(4789, &[8, 0, 0]),
        gpe(1, &echo()),
        gpe(2, &inner_v6()),
        gpe(3, &bridged),
        gpe(9, b""),
        geneve(0, 0x6558, b"", &bridged),
        geneve(0x40, IPV4, b"\x01\x02\x80\x01abcd", &echo()),
        geneve(0, IPV4, b"\x01\0\x01\0\xff\xff\x02\x02aaaabbbb", &echo()),
        geneve(0x80, IPV6, b"", &inner_v6()),
        geneve(0x3f, 0x1234, b"", b"abc"),
        geneve(0, 0x8847, b"", &join(&[&label(9, 0, true, 2), &echo()])),
        to(6081, &[0x40, 0, 0x12, 0x34, 0, 0, 10, 0]),
        to(6081, &[5, 0, 8, 0, 0, 0, 1, 7]),
        to(6081, &[0, 0]),
    ];
    frames.push(over_ipv6(17, &udp(40_000, 4789, &join(&[&longs(&[0x0800_0000, 123 << 8]), &bridged]))));
    same("tunnels", &["", "-e", "-q", "-v", "-vv"], &frames);
}

#[test]
fn sctp_prints_as_tcpdump() {
    let chunk = |kind: u8, flags: u8, body: &[u8]| {
        let mut chunk = join(&[&[kind, flags], &words(&[u16::try_from(4 + body.len()).unwrap()]), body]);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    };
    let packet = |chunks: &[u8]| over_ipv4(132, &join(&[&words(&[5000, 6000]), &longs(&[7, 0]), chunks]));
    let data = |flags, protocol| {
        chunk(0, flags, &join(&[&longs(&[77]), &words(&[1, 2]), &longs(&[protocol]), b"hello"]))
    };
    let mut frames = vec![packet(&[]), packet(&[data(3, 0), chunk(8, 0, &[]), data(3, 60)].concat())];
    frames.extend((0..8).map(|flags| packet(&data(flags, 0))));
    frames.extend((4..75).filter(|protocol| !(21..=23).contains(protocol)).map(|it| packet(&data(3, it))));
    for kind in [1, 2] {
        frames.push(packet(&chunk(kind, 0, &longs(&[5, 65_535, 0x000a_0014, 99]))));
    }
    frames.push(packet(&chunk(3, 0, &longs(&[77, 1000, 1 << 16 | 1, 2 << 16 | 3, 5]))));
    for kind in (4..=15).chain([0xc0, 0xc1, 0xc2, 0x80, 0x4d]) {
        frames.push(packet(&chunk(kind, 0, &longs(&[8, 9]))));
    }
    frames.push(packet(&data(3, 0)[..9]));
    frames.push(over_ipv4(132, &[0; 7]));
    frames.push(over_ipv6(132, &join(&[&words(&[5000, 6000]), &longs(&[7, 0]), &data(3, 0)])));
    same("sctp", &["", "-e", "-q", "-v", "-vv"], &frames);
}
