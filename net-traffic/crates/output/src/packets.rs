//! Capture files: pcap or pcapng, written in whole packets, with the rotation of tcpdump's `-C`, `-G` and `-W`
//! (<https://man7.org/linux/man-pages/man1/tcpdump.1.html>).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use net_traffic_capture::{Ledger, PacketSink};
use pcap_io::{Interface, LinkHeader, Packet, PcapNgWriter, PcapWriter, SectionHeader};

/// The format of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    Pcap,
    PcapNg,
}

/// The limits at which the next file starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of a file (`-C`).
    pub size: Option<u64>,
    /// Seconds of a file (`-G`).
    pub seconds: Option<u64>,
    /// The number of files (`-W`). With `size`, the oldest is overwritten; with `seconds` alone, the capture ends.
    pub files: Option<u64>,
}

/// The size of the buffer. It is written whole, so that a file ends at a packet boundary.
const BUFFER: usize = 256 << 10;

/// The files of one capture.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    format: FileFormat,
    rotation: Rotation,
    system: String,
    /// The capture can have several interfaces, though the first file may list one.
    several: bool,
    out: Option<Target>,
    contents: Contents,
    buffer: Vec<u8>,
    /// Packets in `buffer`.
    buffered: u64,
    /// Bytes in the current file.
    written: u64,
    /// The number of files so far.
    begun: u64,
    /// The number in the name of the current file.
    numbered: u64,
    begun_ns: u64,
    is_full: bool,
}

#[derive(Debug)]
enum Target {
    File(File),
    Stdout(io::Stdout),
}

#[derive(Debug)]
enum Contents {
    Nothing,
    Pcap(PcapWriter),
    PcapNg(Box<PcapNgWriter>),
}

impl Files {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(path: PathBuf, format: FileFormat, rotation: Rotation, system: String) -> Self {
        Self {
            path,
            format,
            rotation,
            system,
            several: false,
            out: None,
            contents: Contents::Nothing,
            buffer: Vec::with_capacity(BUFFER + BUFFER / 4),
            buffered: 0,
            written: 0,
            begun: 0,
            numbered: 0,
            begun_ns: 0,
            is_full: false,
        }
    }

    /// Sets whether the capture can have several interfaces; a pcap file then has the cooked link type.
    #[must_use]
    pub fn several(self, several: bool) -> Self {
        Self { several, ..self }
    }

    fn begin(&mut self, interfaces: &[Interface], now_ns: u64) -> io::Result<()> {
        self.begun_ns = now_ns;
        let path = self.name(now_ns)?;
        self.out = Some(if path == Path::new("-") {
            Target::Stdout(io::stdout())
        } else {
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            Target::File(File::create(&path).map_err(named)?)
        });
        self.written = 0;
        self.begun += 1;
        self.contents = match self.format {
            FileFormat::PcapNg => {
                let header = SectionHeader {
                    hardware: std::env::consts::ARCH,
                    os: &self.system,
                    application: concat!("net-traffic ", env!("CARGO_PKG_VERSION")),
                };
                let mut writer = PcapNgWriter::new(&mut self.buffer, &header);
                writer.interfaces(&mut self.buffer, interfaces);
                Contents::PcapNg(Box::new(writer))
            }
            FileFormat::Pcap => {
                let header = match interfaces {
                    [only] if !self.several => LinkHeader::AsIs(only.link),
                    _ => LinkHeader::Cooked,
                };
                let snaplen = interfaces.iter().map(|interface| interface.snaplen).max().unwrap_or(0);
                Contents::Pcap(PcapWriter::new(&mut self.buffer, header, snaplen))
            }
        };
        Ok(())
    }

    /// The name of the current file, as tcpdump forms it: a time for a pattern with `seconds`, a number with `size`.
    fn name(&self, now_ns: u64) -> io::Result<PathBuf> {
        let mut name = OsString::from(&self.path);
        if self.rotation.seconds.is_some() {
            let time = i128::from(now_ns);
            let local = Timestamp::from_nanosecond(time)
                .map_err(io::Error::other)?
                .to_zoned_datetime(TimeZone::system());
            let pattern = self.path.to_string_lossy().into_owned();
            name = jiff::fmt::strtime::format(pattern, &local).map_err(io::Error::other)?.into();
        }
        if self.rotation.size.is_some() {
            match self.rotation.files {
                // A single file keeps its name.
                Some(1) => {}
                Some(files) => {
                    let width = files.saturating_sub(1).max(1).ilog10() as usize + 1;
                    name.push(format!("{:0width$}", self.numbered));
                }
                None if self.numbered > 0 => name.push(self.numbered.to_string()),
                None => {}
            }
        }
        Ok(name.into())
    }

    /// Starts the next file if a limit is reached.
    fn rotate(&mut self, interfaces: &[Interface], now_ns: u64) -> io::Result<()> {
        let Rotation { size, seconds, files } = self.rotation;
        let too_old = seconds.is_some_and(|seconds| {
            now_ns.saturating_sub(self.begun_ns) >= seconds.saturating_mul(1_000_000_000)
        });
        let so_far = self.written + self.buffer.len() as u64;
        let too_long = size.is_some_and(|size| so_far > size);
        if !too_old && !too_long {
            return Ok(());
        }
        if too_old && size.is_none() && files.is_some_and(|files| self.begun >= files) {
            self.is_full = true;
            return Ok(());
        }
        self.flush()?;
        self.numbered = match (too_long, files) {
            (false, _) => 0,
            (true, Some(files)) => (self.numbered + 1) % files.max(1),
            (true, None) => self.numbered + 1,
        };
        self.begin(interfaces, now_ns)
    }
}

impl PacketSink for Files {
    fn open(&mut self, interfaces: &[Interface], now_ns: u64) -> io::Result<()> {
        if self.out.is_some() {
            return Ok(());
        }
        self.begin(interfaces, now_ns)?;
        self.flush()
    }

    fn packet(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> io::Result<()> {
        if self.out.is_none() {
            self.begin(interfaces, packet.time_ns)?;
        }
        self.rotate(interfaces, packet.time_ns)?;
        if self.is_full {
            return Ok(());
        }
        match &mut self.contents {
            Contents::PcapNg(writer) => writer.packet(&mut self.buffer, interfaces, packet),
            Contents::Pcap(writer) => writer.packet(&mut self.buffer, interfaces, packet),
            Contents::Nothing => {}
        }
        self.buffered += 1;
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn statistics(&mut self, interfaces: &[Interface], ledger: &Ledger, now_ns: u64) -> io::Result<()> {
        if let Contents::PcapNg(writer) = &mut self.contents {
            writer.interfaces(&mut self.buffer, interfaces);
            let without_interface = ledger.without_interface(interfaces);
            let comment = ledger.loss_comment();
            writer.statistics(&mut self.buffer, interfaces, without_interface, &comment, now_ns);
        }
        self.flush()
    }

    fn unwritten(&self) -> u64 {
        self.buffered
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    /// Writes the buffer at once. After an error, the file is cut back to the previous write.
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        match &mut self.out {
            None => return Ok(()),
            Some(Target::Stdout(out)) => {
                let mut out = out.lock();
                out.write_all(&self.buffer)?;
                out.flush()?;
            }
            Some(Target::File(file)) => {
                if let Err(error) = file.write_all(&self.buffer) {
                    // The packets before the failed write stay readable.
                    if file.set_len(self.written).is_ok() {
                        file.seek(io::SeekFrom::End(0))?;
                    }
                    self.buffer.clear();
                    return Err(error);
                }
            }
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffered = 0;
        Ok(())
    }
}
