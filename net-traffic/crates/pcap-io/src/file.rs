//! Reads files of packets: pcap and pcapng, of either byte order, compressed with gzip or not.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::pcap::Pcap;
use super::pcapng::PcapNg;
use super::reading::read_all;
use super::{CaptureError, Take};
use crate::Interface;
use crate::format::SECTION_HEADER;

/// A file that is being read.
pub struct CaptureFile {
    input: Box<dyn Read + Send>,
    format: Format,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

impl CaptureFile {
    /// Opens a file, or standard input for `-`, and reads its beginning.
    ///
    /// # Errors
    /// When it cannot be read, or is neither format.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        if path == Path::new("-") {
            return Self::new(io::stdin());
        }
        Self::new(File::open(path)?)
    }

    /// Reads from anything.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn new(input: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        const GZIP: [u8; 2] = [0x1f, 0x8b];
        let mut input = BufReader::with_capacity(1 << 18, input);
        let mut magic = [0; 4];
        read_all(&mut input, &mut magic)?;
        let begin = io::Cursor::new(magic);
        if magic.starts_with(&GZIP) {
            let mut unpacked = BufReader::with_capacity(1 << 18, MultiGzDecoder::new(begin.chain(input)));
            read_all(&mut unpacked, &mut magic)?;
            return Self::of_format(magic, Box::new(unpacked));
        }
        Self::of_format(magic, Box::new(input))
    }

    fn of_format(magic: [u8; 4], mut input: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let format = if magic == SECTION_HEADER.to_be_bytes() {
            Format::PcapNg(PcapNg::begin(&mut input)?)
        } else {
            Format::Pcap(Pcap::begin(magic, &mut input)?)
        };
        Ok(Self { input, format })
    }

    /// The interfaces that are known by now.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        match &self.format {
            Format::Pcap(pcap) => pcap.interfaces(),
            Format::PcapNg(pcapng) => pcapng.interfaces(),
        }
    }

    /// Reads up to the next packet and hands it over; breaks at the end of the file, or if `take` does.
    ///
    /// # Errors
    /// When the file ends too early or has no sense from here on.
    pub fn next(&mut self, take: &mut Take<'_>) -> Result<ControlFlow<()>, CaptureError> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input, take),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.input, take),
        }
    }
}

impl std::fmt::Debug for CaptureFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureFile").field("interfaces", &self.interfaces()).finish_non_exhaustive()
    }
}
