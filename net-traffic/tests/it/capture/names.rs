//! DNS messages of each type, class and code print as with `tcpdump -n`.

use std::slice::from_ref;

use super::frames::{join, longs, over_ipv4, tcp, udp, words};
use super::printer::same;

fn name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut octets: Vec<u8> =
        labels.flat_map(|label| join(&[&[u8::try_from(label.len()).unwrap()], label.as_bytes()])).collect();
    octets.push(0);
    octets
}

fn question(of: &str, kind: u16, class: u16) -> Vec<u8> {
    join(&[&name(of), &words(&[kind, class])])
}

fn record(kind: u16, class: u16, lifetime: u32, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    join(&[&name("www.example.com"), &words(&[kind, class]), &longs(&[lifetime]), &words(&[length]), content])
}

/// Questions, and three sections of records.
fn message(flags: u16, sections: [&[Vec<u8>]; 4]) -> Vec<u8> {
    let counts = sections.map(|section| u16::try_from(section.len()).unwrap());
    let head = words(&[0x1234, flags, counts[0], counts[1], counts[2], counts[3]]);
    join(&[&head, &sections.concat().concat()])
}

fn asked(message: &[u8]) -> Vec<u8> {
    over_ipv4(17, &udp(5000, 53, message))
}

fn answered(message: &[u8]) -> Vec<u8> {
    over_ipv4(17, &udp(53, 5000, message))
}

const ASK: u16 = 0x0100;
const ANSWER: u16 = 0x8180;

#[test]
fn dns_queries_print_as_tcpdump() {
    // Left out: types 49 to 53, 64, 65 and 257, which the tcpdump of Debian 12 prints as numbers.
    let kinds = (1..=48).chain([54, 99, 100, 103, 108, 249, 250, 251, 252, 253, 254, 255, 256, 32_768]);
    let mut frames: Vec<Vec<u8>> = kinds
        .map(|kind| asked(&message(ASK, [&[question("www.example.com", kind, 1)], &[], &[], &[]])))
        .collect();
    for class in [3, 4, 5, 254, 255] {
        frames.push(asked(&message(ASK, [&[question("x.y", 1, class)], &[], &[], &[]])));
    }
    let usual = [question("www.example.com", 1, 1)];
    for operation in 0..16 {
        frames.push(asked(&message(ASK | operation << 11, [&usual, &[], &[], &[]])));
    }
    for flags in [0, 0x110, 0x120, 0x140, 0x300, 0x103] {
        frames.push(asked(&message(flags, [&usual, &[], &[], &[]])));
    }
    frames.push(asked(&message(ASK, [&[], &[], &[], &[]])));
    frames.push(asked(&message(ASK, [&[usual[0].clone(), question(".", 2, 1)], &[], &[], &[]])));
    let address = [record(1, 1, 90_061, &[10, 0, 0, 1])];
    let extension = [join(&[&[0], &words(&[41, 1232]), &longs(&[0x8000]), &words(&[0])])];
    frames.push(asked(&message(ASK, [&usual, &[], &[], &extension])));
    frames.push(asked(&message(ASK, [&usual, &address, &address, &[]])));
    frames.push(asked(&message(0x2800, [&[question("example.com", 6, 1)], &address, &address, &[]])));
    frames.push(asked(&[0; 5]));
    frames.push(asked(&message(ASK, [&usual, &[], &[], &[]])[..14]));
    same("questions", &["", "-e", "-q", "-v", "-vv", "-vvv"], &frames);
}

#[test]
fn dns_answers_print_as_tcpdump() {
    let asked_for = [question("www.example.com", 1, 1)];
    let address = record(1, 1, 90_061, &[10, 0, 0, 1]);
    let mut frames: Vec<Vec<u8>> = (0..16)
        .map(|code| answered(&message(ANSWER | code, [&asked_for, from_ref(&address), &[], &[]])))
        .collect();
    for flags in [0x8580, 0x8380, 0x81a0, 0x8100, 0x8190, 0x8000] {
        frames.push(answered(&message(flags, [&asked_for, from_ref(&address), &[], &[]])));
    }
    let authority = join(&[&name("ns.x"), &name("mail.x"), &longs(&[1, 2, 3, 4, 5])]);
    let contents: Vec<(u16, Vec<u8>)> = vec![
        (2, name("ns.x")),
        (5, name("c.x")),
        (6, authority.clone()),
        (12, name("p.x")),
        (13, b"\x03cpu\x02os".to_vec()),
        (15, join(&[&words(&[10]), &name("mx.x")])),
        (16, b"\x03abc\x04d\"\x01\xff".to_vec()),
        (28, vec![0; 16]),
        (33, join(&[&words(&[1, 2, 80]), &name("srv.x")])),
        (35, join(&[&words(&[1, 2]), b"\x01u\x03sip\0", &name(".")])),
        (39, name("d.x")),
        (43, vec![0; 8]),
        (46, vec![0; 20]),
        (48, vec![0; 8]),
        (10, b"xyz".to_vec()),
        (32_769, b"ab".to_vec()),
    ];
    for (kind, content) in contents {
        frames.push(answered(&message(ANSWER, [&asked_for, &[record(kind, 1, 60, &content)], &[], &[]])));
    }
    let several = [record(5, 1, 60, &name("c.x")), address.clone(), address.clone()];
    let servers = [record(2, 1, 60, &name("ns.x"))];
    let extension = join(&[&[0], &words(&[41, 4096]), &longs(&[0x8000]), &words(&[0])]);
    let more = [address.clone(), extension];
    frames.push(answered(&message(ANSWER, [&asked_for, &several, &servers, &more])));
    frames.push(answered(&message(ANSWER | 3, [&asked_for, &[], &[record(6, 1, 60, &authority)], &[]])));
    frames.push(answered(&message(ANSWER, [&asked_for, from_ref(&address), &[], &[]])[..60]));
    let found = message(ANSWER, [&asked_for, from_ref(&address), &[], &[]]);
    let length = u16::try_from(found.len()).unwrap();
    for stated in [length, length * 2] {
        let stream = join(&[&words(&[stated]), &found]);
        frames.push(over_ipv4(6, &tcp((53, 5000), 0x18, &[], &stream)));
    }
    frames.push(over_ipv4(6, &tcp((5000, 53), 0x18, &[], &[0])));
    same("answers", &["", "-e", "-q", "-v", "-vv", "-vvv"], &frames);
}

#[test]
fn mdns_prints_as_tcpdump() {
    let asked_for = [question("_http._tcp.local", 12, 1), question("x.local", 255, 0x8001)];
    let told = [
        record(12, 1, 60, &name("p.local")),
        record(1, 0x8001, 60, &[10, 0, 0, 1]),
        record(16, 0x8001, 60, &[0]),
    ];
    let frames = vec![
        over_ipv4(17, &udp(5353, 5353, &message(0, [&asked_for, &[], &[], &[]]))),
        over_ipv4(17, &udp(5353, 5353, &message(0x8400, [&[], &told, &[], &[]]))),
    ];
    same("mdns", &["", "-v", "-vv"], &frames);
}
