//! Any packet prints, in every way, on as many lines as were asked for.

use std::sync::Arc;

use net_traffic_capture::PacketSink;
use net_traffic_packet_text::{Dump, Settings, Stamp, TextPackets};
use net_traffic_packet_text::JsonPackets;
use pcap_io::{Interface, LinkType, Packet, Process};

const LINKS: [u16; 8] = [1, 101, 113, 276, 0, 108, 228, 229];

/// The link type, how to print, how much was cut off, the packet.
pub fn check(input: &[u8]) {
    let [link, switches, missing, data @ ..] = input else { return };
    let has = |bit: u8| switches & bit != 0;
    let link = LinkType(LINKS[usize::from(link % 8)]);
    let interfaces = [Interface { name: Some("x".into()), index: 1, link, ..Interface::default() }];
    let process = Arc::new(Process { pid: 1, name: "y".into(), ..Process::default() });
    let packet = Packet {
        time_ns: 1_700_000_000_123_456_789,
        interface: 0,
        direction: None,
        length: u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_add(u32::from(*missing)),
        data,
        segments: None,
        checksum: None,
        process: has(64).then_some(&process),
        lost_before: 0,
    };
    let settings = Settings {
        stamp: Stamp::None,
        link: has(1),
        quick: has(2),
        verbose: switches >> 2 & 3,
        absolute: has(16),
        unchecked: has(32),
        dump: Dump { hex: u8::from(has(128)), characters: true, ascii: 0 },
        ..Settings::default()
    };
    // Twice by the same: the second time it remembers the stream.
    let mut text = TextPackets::new(Vec::new(), settings);
    for _ in 0..2 {
        assert!(text.packet(&interfaces, &packet).is_ok());
    }
    assert!(JsonPackets::new(Vec::new(), settings).packet(&interfaces, &packet).is_ok());
}
