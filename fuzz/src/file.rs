//! Any file is read to its end or to an error that says what is wrong with it.

use std::io::Cursor;
use std::ops::ControlFlow;

use pcap_io::{Interface, Packet};
use pcap_io::CaptureFile;

/// Compressed files may hold a lot; that they are read at all is seen in the beginning.
const MOST_PACKETS: usize = 10_000;

pub fn check(input: &[u8]) {
    let Ok(mut file) = CaptureFile::new(Cursor::new(input.to_vec())) else { return };
    let mut packets = 0;
    let mut take = |interfaces: &[Interface], packet: &Packet<'_>| {
        assert!(packet.interface < interfaces.len());
        packets += 1;
        if packets < MOST_PACKETS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    loop {
        match file.next(&mut take) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
}
