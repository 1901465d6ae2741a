//! Reading and printing any bytes never panics.

use std::io::Cursor;

use net_traffic_capture::PacketSink;
use net_traffic_packet_text::JsonPackets;
use net_traffic_packet_text::{Dump, Settings, TextPackets};
use pcap_io::{CaptureReader, Interface, LinkType, Packet};
use proptest::prelude::*;

use super::network::fixture;

/// Reads a file to its end or its first error, and prints its packets.
fn read_and_print(bytes: Vec<u8>) {
    let Ok(mut file) = CaptureReader::new(Cursor::new(bytes)) else { return };
    let settings = Settings { verbose: 3, link: true, ..Settings::default() };
    let mut text = TextPackets::new(Vec::new(), settings);
    while let Ok(Some((interfaces, packet))) = file.next_packet() {
        text.packet(interfaces, &packet).unwrap();
    }
}

fn print(link: LinkType, data: &[u8], length: u32) {
    let interfaces = [Interface { name: Some("x".into()), index: 1, link, ..Interface::default() }];
    let packet = Packet {
        time_ns: u64::from(length) << 32,
        interface: 0,
        direction: None,
        length,
        data,
        segments: None,
        checksum: None,
        process: None,
        lost_before: 0,
    };
    for (verbose, quick) in [(0, false), (1, false), (3, false), (0, true)] {
        let dump = Dump { hex: 1, characters: true, ascii: 1 };
        let settings = Settings { verbose, quick, link: verbose > 0, dump, ..Settings::default() };
        TextPackets::new(Vec::new(), settings).packet(&interfaces, &packet).unwrap();
        JsonPackets::new(Vec::new(), settings).packet(&interfaces, &packet).unwrap();
    }
}

const LINKS: [u16; 8] = [0, 1, 101, 108, 113, 228, 276, 999];

proptest! {
    #[test]
    fn random_bytes_are_no_packet_file(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_and_print(bytes);
    }

    #[test]
    fn damaged_file_is_read_up_to_damage(damage in proptest::collection::vec((0_usize..36_000, any::<u8>()), 1..20), pcapng: bool) {
        let mut bytes = if pcapng { converted() } else { std::fs::read(fixture()).unwrap() };
        for (at, value) in damage {
            if let Some(octet) = bytes.get_mut(at) { *octet = value; }
        }
        read_and_print(bytes);
    }

    #[test]
    fn random_packets_print_without_panic(link in 0_usize..LINKS.len(), data in proptest::collection::vec(any::<u8>(), 0..200), length: u32) {
        print(LinkType(LINKS[link]), &data, length);
    }

    #[test]
    fn random_packets_with_known_headers_print(kind in 0_usize..6, data in proptest::collection::vec(any::<u8>(), 0..120), length in 0_u32..300) {
        let headers: [&[u8]; 6] = [
            &[0x45, 0, 0, 90, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
            &[0x45, 0, 0, 90, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 53, 0, 70, 0, 0],
            &[0x45, 0, 0, 90, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 3],
            &[0x60, 0, 0, 0, 0, 60, 58, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
            &[0x60, 0, 0, 0, 0, 60, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
            &[0x45, 0, 0, 90, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0, 22, 3, 1, 0, 90, 1],
        ];
        print(LinkType::RAW, &[headers[kind], &data].concat(), length);
    }
}

/// The fixture as pcapng.
fn converted() -> Vec<u8> {
    static CONVERTED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    CONVERTED
        .get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("a.pcapng");
            let arguments =
                ["-r", fixture().to_str().unwrap(), "-w", path.to_str().unwrap()].map(str::to_owned);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            assert!(super::network::net_traffic(&arguments).status().unwrap().success());
            std::fs::read(path).unwrap()
        })
        .clone()
}
