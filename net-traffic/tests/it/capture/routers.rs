//! Protocols of routers, switches and bridges print with name and length, as with `tcpdump -n` without `-v`.

use super::frames::{ethernet, join, longs, over_ipv4, over_ipv6, words};
use super::printer::same;

const BRIEF: [&str; 3] = ["", "-e", "-q"];

#[test]
fn ospf_prints_as_tcpdump() {
    let message = |version: u8, kind: u8| join(&[&[version, kind], &words(&[44]), &longs(&[7, 0]), &[0; 32]]);
    let mut frames: Vec<Vec<u8>> =
        (0..=8).chain([255]).map(|kind| over_ipv4(89, &message(2, kind))).collect();
    frames.extend((0..=8).map(|kind| over_ipv6(89, &message(3, kind))));
    frames.extend([over_ipv4(89, &message(3, 1)), over_ipv6(89, &message(2, 1))]);
    frames.extend((0..4).map(|length| over_ipv4(89, &message(2, 1)[..length])));
    frames.extend([over_ipv6(89, &[3]), over_ipv6(89, &[3, 1])]);
    same("ospf", &BRIEF, &frames);
}

#[test]
fn pim_prints_as_tcpdump() {
    let mut frames: Vec<Vec<u8>> =
        (0..=15).map(|kind| over_ipv4(103, &join(&[&[0x20 | kind], &[0; 23]]))).collect();
    frames.extend([0, 1, 3].map(|version| over_ipv4(103, &join(&[&[version << 4 | 1], &[0; 23]]))));
    frames.extend([over_ipv6(103, &[0x20; 24]), over_ipv4(103, &[]), over_ipv4(103, &[0x20])]);
    same("pim", &BRIEF, &frames);
}

#[test]
fn vrrp_prints_as_tcpdump() {
    let message = |first: u8, priority: u8, times: u16| {
        join(&[&[first, 5, priority, 1], &words(&[times, 0x1234]), &longs(&[0x0a00_0001, 0, 0])])
    };
    let mut frames = Vec::new();
    for version in 0..5 {
        frames.extend((0..3).map(|kind| over_ipv4(112, &message(version << 4 | kind, 100, 1))));
    }
    frames.extend((0..4).map(|kind| over_ipv4(112, &message(0x21, 255, kind << 8 | 3))));
    frames.push(over_ipv4(112, &message(0x31, 0, 0x0fa0)));
    frames.push(over_ipv6(112, &message(0x31, 100, 0xf064)));
    frames.extend([0, 2, 6].map(|length| over_ipv4(112, &message(0x31, 100, 100)[..length])));
    same("vrrp", &BRIEF, &frames);
}

#[test]
fn lldp_prints_as_tcpdump() {
    let item =
        |kind: u16, value: &[u8]| join(&[&words(&[kind << 9 | u16::try_from(value.len()).unwrap()]), value]);
    let head = [item(1, &[4, 2, 0, 0, 0, 0, 1]), item(2, b"\x05eth0"), item(3, &[0, 120])].concat();
    let mut inside = vec![
        join(&[&head, &item(0, b"")]),
        join(&[&head, &item(5, b"switch-1"), &item(6, b"text"), &item(0, b""), &[0; 10]]),
        join(&[&head, &item(5, b"sw\x01\xff")]),
        join(&[&head, &item(5, b""), &item(0, b"")]),
        item(5, b"switch-1")[..7].to_vec(),
        join(&[&head, &item(127, &[0, 0x12, 0x0f, 1]), &item(9, b"ab"), &item(5, b"x"), &item(0, b"")]),
        join(&[&item(5, b"a"), &item(5, b"b")]),
        vec![],
        vec![2],
    ];
    for kind in 0..10 {
        inside
            .extend([0, 1, 2, 12].map(|length| join(&[&item(kind, &vec![1; length]), &item(5, b"behind")])));
    }
    let frames: Vec<_> = inside.iter().map(|inside| ethernet(0x88cc, inside)).collect();
    same("lldp", &BRIEF, &frames);
}

#[test]
fn truncated_spanning_tree_units_print_as_tcpdump() {
    let unit = |version: u8, kind: u8, rest: &[u8]| {
        let bridges = [0x80, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0x90, 0x0a, 2, 0, 0, 0, 0, 2];
        let times = words(&[0x8001, 256, 20 * 256, 2 * 256, 15 * 256]);
        join(&[&[0x42, 0x42, 3, 0, 0, version, kind, 0x7c], &bridges, &times, rest])
    };
    let several = |old: u8, more: u16| unit(3, 2, &join(&[&[old], &words(&[more]), b"region", &[0; 58]]));
    let mut units = vec![several(0, 64), several(0, 0), several(1, 64), several(0, 65), unit(3, 2, &[0])];
    units.extend([unit(4, 2, &[0]), unit(3, 0, b""), unit(3, 0x80, b"")]);
    for kind in [0, 2, 0x80] {
        units.extend([4, 6, 7, 8, 20, 37].map(|length| unit(2, kind, &[0])[..length].to_vec()));
    }
    let frame = |unit: &Vec<u8>| ethernet(u16::try_from(unit.len()).unwrap(), unit);
    same("trees", &["", "-e", "-q"], &units.iter().map(frame).collect::<Vec<_>>());
}
