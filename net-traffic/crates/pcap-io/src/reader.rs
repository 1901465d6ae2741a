//! Reads a capture file of either format.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::input::Input;
use crate::pcap::PcapReader;
use crate::pcapng::{self, PcapNgReader};
use crate::{Interface, Packet, ReadError};

/// Reads the packets of a pcap or pcapng file, of either byte order, compressed with gzip or not.
///
/// The format is recognised by the first bytes of the file.
pub struct CaptureReader {
    input: Input,
    format: Format,
}

enum Format {
    Pcap(PcapReader),
    PcapNg(PcapNgReader),
}

impl CaptureReader {
    /// Opens a file and reads its header. The path `-` is standard input.
    ///
    /// # Errors
    /// If the file cannot be opened or read, or its header is of neither format.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        if path == Path::new("-") {
            return Self::new(io::stdin());
        }
        Self::new(File::open(path)?)
    }

    /// Reads the header of a file from any source of bytes. The source needs no buffer.
    ///
    /// # Errors
    /// If the source returns an error, ends within the header, or is of neither format.
    pub fn new(source: impl Read + Send + 'static) -> Result<Self, ReadError> {
        const GZIP: [u8; 2] = [0x1f, 0x8b];
        let mut input = Input::new(source);
        if input.peek()?.starts_with(&GZIP) {
            input = Input::new(MultiGzDecoder::new(input));
        }
        let magic = input.peek()?;
        let format = if magic == pcapng::SECTION_HEADER.to_be_bytes() {
            Format::PcapNg(PcapNgReader::new(&mut input)?)
        } else {
            Format::Pcap(PcapReader::new(&mut input)?)
        };
        Ok(Self { input, format })
    }

    /// The interfaces that the file has described so far. A pcap file has one, a pcapng file any number.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        match &self.format {
            Format::Pcap(pcap) => pcap.interfaces(),
            Format::PcapNg(pcapng) => pcapng.interfaces(),
        }
    }

    /// Reads the next packet, and returns it with all interfaces described before it. `None` at the end of the file.
    ///
    /// The packet's bytes are borrowed from the reader's buffer.
    ///
    /// # Errors
    /// If the source returns an error, or the file is truncated or malformed from here on. No packet follows an error.
    pub fn next_packet(&mut self) -> Result<Option<(&[Interface], Packet<'_>)>, ReadError> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next_packet(&mut self.input),
            Format::PcapNg(pcapng) => pcapng.next_packet(&mut self.input),
        }
    }
}

impl std::fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureReader").field("interfaces", &self.interfaces()).finish_non_exhaustive()
    }
}
