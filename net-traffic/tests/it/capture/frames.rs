//! Builds frames by hand, layer by layer.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;

/// Big-endian words of 16 bits.
pub(crate) fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Big-endian words of 32 bits.
pub(crate) fn longs(longs: &[u32]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_be_bytes()).collect()
}

pub(crate) fn join(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

pub(crate) fn ethernet(kind: u16, inside: &[u8]) -> Vec<u8> {
    join(&[&[2, 0, 0, 0, 0, 11, 2, 0, 0, 0, 0, 10], &kind.to_be_bytes(), inside])
}

/// With a valid checksum.
pub(crate) fn ipv4(protocol: u8, inside: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, 0, Ipv4Addr::new(192, 0, 2, 1), inside)
}

pub(crate) fn ipv4_with(protocol: u8, fragment: u16, source: Ipv4Addr, inside: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + inside.len()).unwrap();
    let mut header = join(&[
        &words(&[0x4500, total, 1, fragment, u16::from(protocol) | 64 << 8, 0]),
        &source.octets(),
        &[198, 51, 100, 2],
    ]);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    header[10..12].copy_from_slice(&(!folded).to_be_bytes());
    join(&[&header, inside])
}

pub(crate) fn ipv6(next: u8, inside: &[u8]) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let payload = u16::try_from(inside.len()).unwrap();
    join(&[
        &[0x60, 0, 0, 0],
        &payload.to_be_bytes(),
        &[next, 64],
        &address("2001:db8::1"),
        &address("2001:db8::2"),
        inside,
    ])
}

pub(crate) fn udp(source: u16, destination: u16, inside: &[u8]) -> Vec<u8> {
    join(&[&words(&[source, destination, u16::try_from(8 + inside.len()).unwrap(), 0]), inside])
}

/// With padded options.
pub(crate) fn tcp(ports: (u16, u16), flags: u8, options: &[u8], inside: &[u8]) -> Vec<u8> {
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    let header = u16::try_from(20 + options.len()).unwrap() / 4;
    join(&[
        &words(&[ports.0, ports.1]),
        &longs(&[1000, 2000]),
        &words(&[header << 12 | u16::from(flags), 512, 0, 0]),
        &options,
        inside,
    ])
}

/// Over IPv4 on Ethernet.
pub(crate) fn over_ipv4(protocol: u8, inside: &[u8]) -> Vec<u8> {
    ethernet(IPV4, &ipv4(protocol, inside))
}

/// Over IPv6 on Ethernet.
pub(crate) fn over_ipv6(next: u8, inside: &[u8]) -> Vec<u8> {
    ethernet(IPV6, &ipv6(next, inside))
}

/// An echo request.
pub(crate) fn echo() -> Vec<u8> {
    ipv4(1, &join(&[&words(&[0x0800, 0, 7, 1]), b"xxxxxxxx"]))
}

/// A pcap file with these frames.
pub(crate) fn file(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 262_144, link] {
        file.extend(word.to_le_bytes());
    }
    for (second, frame) in frames.iter().enumerate() {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [1_700_000_000 + u32::try_from(second).unwrap(), 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}
