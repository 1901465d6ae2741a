//! A capture file is read to its end, or to an error with a message.

use std::io::Cursor;

use pcap_io::CaptureReader;

/// A small compressed file may hold very many packets. The first ones show whether decompression works.
const MAX_PACKETS: usize = 10_000;

pub fn check(input: &[u8]) {
    let Ok(mut file) = CaptureReader::new(Cursor::new(input.to_vec())) else { return };
    for _ in 0..MAX_PACKETS {
        match file.next_packet() {
            Ok(Some((interfaces, packet))) => {
                assert!(packet.interface < interfaces.len());
                assert!(packet.data.len() <= packet.length as usize);
            }
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
}
