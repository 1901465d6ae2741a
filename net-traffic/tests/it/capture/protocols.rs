//! Hand-made frames of each protocol on and beside IP print the same text as with `tcpdump -n`.

use std::net::Ipv4Addr;

use super::frames::{
    IPV4, IPV6, echo, ethernet, ipv4, ipv4_with, ipv6, join, longs, over_ipv4, over_ipv6, tcp, udp, words,
};
use super::printer::{USUAL, inner_v6, same};

#[test]
fn igmp_prints_as_tcpdump() {
    let group = [239, 1, 2, 3];
    let mut frames: Vec<Vec<u8>> =
        [(0x11, 0), (0x11, 100), (0x11, 10), (0x12, 0), (0x16, 0), (0x17, 0), (0x99, 0)]
            .map(|(kind, code)| over_ipv4(2, &join(&[&[kind, code, 0, 0], &group])))
            .into();
    for code in [0, 10, 0x8f, 100, 0xff] {
        frames.push(over_ipv4(2, &join(&[&[0x11, code, 0, 0], &group, &[2, 125, 0, 1, 10, 0, 0, 1]])));
        frames.push(over_ipv4(2, &[0x11, code, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0]));
    }
    for kind in 0..8 {
        frames.push(over_ipv4(
            2,
            &join(&[&[0x22, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, 1], &group, &[10, 0, 0, 1]]),
        ));
    }
    frames.push(over_ipv4(2, &join(&[&[0x22, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 9], &group])));
    frames.push(over_ipv4(2, &[0x22, 0, 0, 0, 0, 0, 0, 1]));
    frames.push(over_ipv4(2, &[0x16, 0]));
    same("igmp", &["", "-e", "-q", "-v", "-vv"], &frames);
}

#[test]
fn arp_prints_as_tcpdump() {
    let message = |operation: u16, target: [u8; 6]| {
        let head = words(&[1, IPV4, 0x0604, operation]);
        join(&[&head, &[2, 0, 0, 0, 0, 1, 10, 0, 0, 1], &target, &[10, 0, 0, 2]])
    };
    let mut frames: Vec<Vec<u8>> = [1, 2, 3, 4, 8, 9, 10, 77]
        .into_iter()
        .flat_map(|operation| [message(operation, [0; 6]), message(operation, [2, 0, 0, 0, 0, 9])])
        .map(|message| ethernet(0x0806, &message))
        .collect();
    let unusual = |at: usize, value: u8| {
        let mut message = message(1, [0; 6]);
        message[at] = value;
        ethernet(0x0806, &message)
    };
    frames.extend([unusual(1, 6), unusual(1, 24), unusual(1, 77), unusual(3, 0x23)]);
    frames.push(ethernet(0x8035, &message(3, [0; 6])));
    frames.push(ethernet(0x0806, &join(&[&message(1, [255; 6]), &[0; 18]])));
    frames.push(ethernet(0x0806, &message(1, [0; 6])[..20]));
    same("arp", &USUAL, &frames);
}

#[test]
fn icmp_prints_as_tcpdump() {
    let message = |kind: u8, code: u8, rest: &[u8]| over_ipv4(1, &join(&[&[kind, code, 0, 0], rest]));
    let quoted = |protocol| ipv4_with(protocol, 0, Ipv4Addr::new(10, 0, 0, 1), &tcp((5, 80), 16, &[], &[]));
    let mut frames = Vec::new();
    for code in 0..17 {
        frames.push(message(3, code, &join(&[&[0; 4], &quoted(6)])));
    }
    frames.push(message(3, 4, &join(&[&words(&[0, 1400]), &quoted(6)])));
    frames.push(message(3, 3, &join(&[&[0; 4], &ipv4(17, &udp(7, 9, b"abc"))])));
    for code in 0..5 {
        frames.push(message(5, code, &join(&[&[10, 0, 0, 9], &quoted(6)])));
        frames.push(message(11, code, &join(&[&[0; 4], &quoted(6)])));
    }
    frames.push(message(4, 0, &join(&[&[0; 4], &quoted(6)])));
    frames.push(message(12, 0, &join(&[&[5, 0, 0, 0], &quoted(6)])));
    frames.push(message(12, 1, &join(&[&[5, 0, 0, 0], &quoted(6)])));
    for lifetime in [30, 1800, 7300] {
        frames.push(message(
            9,
            0,
            &join(&[&words(&[0x0202, lifetime]), &longs(&[0x0a00_0001, 5, 0x0a00_0002, 0])]),
        ));
    }
    frames.push(message(13, 0, &join(&[&words(&[1, 2]), &[0; 12]])));
    frames.push(message(14, 0, &join(&[&words(&[1, 2]), &longs(&[3_661_001, 3_661_002, 3_661_003])])));
    frames.push(message(18, 0, &longs(&[0, 0xffff_ff00])));
    for kind in [0, 8, 10, 15, 16, 17, 30, 40] {
        frames.push(message(kind, 0, &[0; 8]));
    }
    frames.push(over_ipv4(1, &[8, 0]));
    same("icmp", &USUAL, &frames);
}

#[test]
fn icmp6_prints_as_tcpdump() {
    let message = |kind: u8, code: u8, rest: &[u8]| over_ipv6(58, &join(&[&[kind, code, 0, 0], rest]));
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3];
    let target = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    let source_address = [1, 1, 2, 0, 0, 0, 0, 1];
    let mut frames = Vec::new();
    for code in 0..7 {
        frames.push(message(1, code, &join(&[&[0; 4], &inner_v6()])));
    }
    frames.push(message(1, 4, &join(&[&[0; 4], &ipv6(6, &tcp((5, 80), 16, &[], &[]))])));
    frames.push(message(2, 0, &join(&[&longs(&[1280]), &inner_v6()])));
    for code in 0..4 {
        frames.push(message(4, code, &join(&[&longs(&[40]), &inner_v6()])));
    }
    for code in 0..3 {
        frames.push(message(3, code, &join(&[&[0; 4], &inner_v6()])));
    }
    for kind in [128, 129] {
        frames.push(message(kind, 0, &join(&[&words(&[7, 1]), b"abcd"])));
    }
    for kind in [130, 131, 132] {
        frames.push(message(kind, 0, &join(&[&words(&[1000, 0]), &group])));
    }
    for delay in [1000, 0x9234] {
        frames.push(message(130, 0, &join(&[&words(&[delay, 0]), &group, &[10, 125, 0, 0]])));
        frames.push(message(130, 0, &join(&[&words(&[delay, 0]), &group, &[2, 0x8f, 0, 1], &target])));
    }
    frames.push(message(133, 0, &join(&[&[0; 4], &source_address])));
    let router = |flags: u8, options: &[&[u8]]| {
        message(134, 0, &join(&[&[64, flags], &words(&[1800]), &longs(&[5, 6]), &options.concat()]))
    };
    let prefix = join(&[&[3, 4, 64, 0xc0], &longs(&[7200, u32::MAX, 0]), &[0x20, 1, 0xd, 0xb8], &[0; 12]]);
    frames.push(router(0xc0, &[&source_address, &join(&[&[5, 1, 0, 0], &longs(&[1500])]), &prefix]));
    frames.push(router(0x08, &[&join(&[&[25, 3, 0, 0], &longs(&[600]), &target])]));
    frames.push(router(0x18, &[&join(&[&[31, 2, 0, 0], &longs(&[600]), b"\x03lan\0\0\0\0"])]));
    frames.push(router(0, &[&join(&[&[24, 1, 0, 0x18], &longs(&[60])])]));
    frames.push(message(135, 0, &join(&[&[0; 4], &target, &source_address])));
    frames.push(message(136, 0, &join(&[&longs(&[0xe000_0000]), &target, &[2, 1, 2, 0, 0, 0, 0, 1]])));
    frames.push(message(137, 0, &join(&[&[0; 4], &target, &group])));
    for kind in 1..7 {
        frames.push(message(143, 0, &join(&[&words(&[0, 1]), &[kind, 0, 0, 1], &group, &target])));
    }
    for kind in [100, 141, 142, 153] {
        frames.push(message(kind, 0, &[0; 12]));
    }
    same("icmp6", &["", "-e", "-q", "-v", "-vv"], &frames);
}

#[test]
fn ip_extension_headers_print_as_tcpdump() {
    let signed = join(&[&[6, 4, 0, 0], &longs(&[0x1234, 5, 0, 0, 0]), &tcp((1, 2), 0x18, &[], &[])]);
    let route = |kind: u8| {
        let words = join(&[&[17, 2, kind, 1, 0, 0, 0, 0], &[0; 15], &[1], &udp(1, 2, b"ab")]);
        over_ipv6(43, &words)
    };
    let fragment = |offset: u16| join(&[&[17, 0], &words(&[offset]), &longs(&[9]), &udp(1, 2, b"abcd")]);
    let source = Ipv4Addr::new(192, 0, 2, 9);
    let frames = vec![
        over_ipv4(4, &echo()),
        over_ipv4(41, &inner_v6()),
        over_ipv6(41, &inner_v6()),
        over_ipv6(4, &echo()),
        over_ipv4(50, &join(&[&longs(&[0x1234, 5]), &[0; 24]])),
        over_ipv6(50, &join(&[&longs(&[0x1234, 5]), &[0; 24]])),
        over_ipv4(50, &[0; 4]),
        over_ipv4(51, &signed),
        over_ipv6(51, &signed),
        over_ipv4(253, b"abcd"),
        over_ipv6(253, b"abcd"),
        route(0),
        route(4),
        over_ipv6(60, &join(&[&[17, 0, 1, 4, 0, 0, 0, 0], &udp(1, 2, b"ab")])),
        over_ipv6(0, &join(&[&[17, 0, 5, 2, 0, 0, 1, 0], &udp(1, 2, b"ab")])),
        over_ipv6(44, &fragment(1)),
        over_ipv6(44, &fragment(0x40)),
        ethernet(IPV4, &ipv4_with(17, 0x2000, source, &udp(1, 2, &[0; 100]))),
        ethernet(IPV4, &ipv4_with(17, 5, source, &[0; 100])),
        ethernet(IPV4, &inner_v6()),
        ethernet(IPV6, &echo()),
        ethernet(IPV4, &echo()[..15]),
        ethernet(IPV4, b""),
        ethernet(IPV6, &inner_v6()[..30]),
        over_ipv4(17, b"\0\x01\0\x02\0\x09"),
        over_ipv4(6, b"\0\x01"),
    ];
    same("ip", &USUAL, &frames);
}

#[test]
fn tcp_flags_and_options_print_as_tcpdump() {
    let mut frames = Vec::new();
    for flags in (0..=255).step_by(7) {
        frames.push(over_ipv4(6, &tcp((1, 2), flags, &[], &[])));
    }
    let options: [&[u8]; 19] = [
        b"\x02\x04\x05\xb4\x01\x03\x03\x07\x04\x02\x08\x0a\0\0\0\x01\0\0\0\x02",
        b"\x05\x0a\0\0\x04\0\0\0\x05\0",
        b"\x13\x12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x1c\x04\x80\x05",
        b"\x22\x02",
        b"\x22\x0aabcdefgh",
        b"\xfe\x04\xf9\x89",
        b"\xfe\x0a\xf9\x89abcdef",
        b"\x77\x04ab",
        b"\x1d\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x06\x06abcd",
        b"\x0b\x06\0\0\0\x01",
        b"\x0e\x03\x01",
        b"\x08\x05abc",
        b"\x02",
        b"\x02\x00",
        b"\x05\x04ab",
        b"\x02\x04\x05\xb4\x08\x02",
        b"\x01\x08\x0a\0",
    ];
    for options in options {
        for flags in [0x10, 0x02] {
            frames.push(over_ipv4(6, &tcp((1, 2), flags, options, &[])));
        }
    }
    same("tcp", &USUAL, &frames);
}

#[test]
fn text_protocols_print_as_tcpdump() {
    let messages: [&[u8]; 17] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\nServer: y\r\n\r\nbody",
        b"POST /a",
        b"\0\x01",
        b"hello world\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"220 mail ESMTP\r\n",
        b"HELO x\r\n",
        b"USER me\r\n",
        b"PUT",
        b"200 ok \x01\xff x\r\n",
        b"NOTIFY x HTTP/1.1\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"SSH-2.0-without-an-end",
        b"SSH-\n",
        b"DESCRIBE rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n",
    ];
    let mut frames = Vec::new();
    for port in [80, 8080, 25, 21, 443, 22, 554, 8554] {
        frames.extend(messages.iter().map(|text| over_ipv4(6, &tcp((40_000, port), 0x18, &[], text))));
    }
    same("text", &["", "-e", "-q"], &frames);
}

#[test]
fn ntp_and_dhcp_print_as_tcpdump() {
    let mut frames = Vec::new();
    for version_and_mode in (0..64).chain([0xc3, 0xdc]) {
        let packet = join(&[&[version_and_mode, 2, 6, 0xec], &[0; 44]]);
        frames.push(over_ipv4(17, &udp(123, 123, &packet)));
    }
    for operation in 1..4 {
        let head = join(&[&[operation, 1, 6, 0], &longs(&[0x1234, 5 << 16, 0, 0x0a00_0001, 0, 0])]);
        let packet = join(&[&head, &[2, 0, 0, 0, 0, 9], &[0; 202], &longs(&[0x6382_5363]), &[53, 1, 1, 255]]);
        frames.push(over_ipv4(17, &udp(68, 67, &packet)));
        frames.push(over_ipv4(17, &udp(67, 68, &packet[..30])));
    }
    same("time", &["", "-e", "-q"], &frames);
}

#[test]
fn spanning_tree_prints_as_tcpdump() {
    let unit = |version: u8, kind: u8, flags: u8| {
        let bridges = [0x80, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0x90, 0x0a, 2, 0, 0, 0, 0, 2];
        let times = words(&[0x8001, 256, 20 * 256, 2 * 256, 15 * 256]);
        let unit = join(&[&[0x42, 0x42, 3, 0, 0, version, kind, flags], &bridges, &times, &[0]]);
        ethernet(u16::try_from(unit.len()).unwrap(), &join(&[&unit, &[0; 7]]))
    };
    let mut frames = vec![unit(0, 0, 0x81), unit(0, 0x80, 0), unit(0, 5, 0), unit(9, 0, 0)];
    frames.extend([0x7c, 0x3c, 0x0e, 0x04, 0x08].map(|flags| unit(2, 2, flags)));
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &echo()]);
    frames.push(ethernet(u16::try_from(snap.len()).unwrap(), &snap));
    same("llc", &["", "-e", "-v"], &frames);
}
