//! Files of packets: opened, filled in whole packets, and changed for the next as `-C`, `-G` and `-W` of tcpdump say.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use net_traffic_capture::{Ledger, PacketSink};
use pcap_io::{Interface, LinkHeader, Packet, PcapNgWriter, PcapWriter, SectionHeader};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    Pcap,
    PcapNg,
}

/// When a file is changed for the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// After so many bytes.
    pub size: Option<u64>,
    /// After so many seconds.
    pub seconds: Option<u64>,
    /// How many files there may be: with `size` the oldest is overwritten, with `seconds` alone the capture ends.
    pub files: Option<u64>,
}

/// Packets are gathered up to this size, so that a file grows by whole packets.
const GATHERED: usize = 256 << 10;

/// The files of one capture.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    format: FileFormat,
    rotation: Rotation,
    system: String,
    /// There are several interfaces, or will be.
    several: bool,
    out: Option<Target>,
    contents: Contents,
    gathered: Vec<u8>,
    /// Packets in `gathered`.
    waiting: u64,
    written: u64,
    /// How many files were begun, in all, and with the present name.
    begun: u64,
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
    /// Nothing is opened yet.
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
            gathered: Vec::with_capacity(GATHERED + GATHERED / 4),
            waiting: 0,
            written: 0,
            begun: 0,
            numbered: 0,
            begun_ns: 0,
            is_full: false,
        }
    }

    /// Packets come from several interfaces, though there may be one by now.
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
                let mut writer = PcapNgWriter::new(&mut self.gathered, &header);
                writer.interfaces(&mut self.gathered, interfaces);
                Contents::PcapNg(Box::new(writer))
            }
            FileFormat::Pcap => {
                let header = match interfaces {
                    [only] if !self.several => LinkHeader::AsIs(only.link),
                    _ => LinkHeader::Cooked,
                };
                let snaplen = interfaces.iter().map(|interface| interface.snaplen).max().unwrap_or(0);
                Contents::Pcap(PcapWriter::new(&mut self.gathered, header, snaplen))
            }
        };
        Ok(())
    }

    /// As tcpdump names files: a time if the name has a pattern for it, a number if there is a size.
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
                // Always the same one.
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

    /// Changes the file if it is time to.
    fn rotate(&mut self, interfaces: &[Interface], now_ns: u64) -> io::Result<()> {
        let Rotation { size, seconds, files } = self.rotation;
        let too_old = seconds.is_some_and(|seconds| {
            now_ns.saturating_sub(self.begun_ns) >= seconds.saturating_mul(1_000_000_000)
        });
        let so_far = self.written + self.gathered.len() as u64;
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
            Contents::PcapNg(writer) => writer.packet(&mut self.gathered, interfaces, packet),
            Contents::Pcap(writer) => writer.packet(&mut self.gathered, interfaces, packet),
            Contents::Nothing => {}
        }
        self.waiting += 1;
        if self.gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    fn statistics(&mut self, interfaces: &[Interface], ledger: &Ledger, now_ns: u64) -> io::Result<()> {
        if let Contents::PcapNg(writer) = &mut self.contents {
            writer.interfaces(&mut self.gathered, interfaces);
            let without_interface = ledger.without_interface(interfaces);
            let comment = ledger.loss_comment();
            writer.statistics(&mut self.gathered, interfaces, without_interface, &comment, now_ns);
        }
        self.flush()
    }

    fn unwritten(&self) -> u64 {
        self.waiting
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    /// In one piece; if that fails, the file ends where the last piece ended.
    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        match &mut self.out {
            None => return Ok(()),
            Some(Target::Stdout(out)) => {
                let mut out = out.lock();
                out.write_all(&self.gathered)?;
                out.flush()?;
            }
            Some(Target::File(file)) => {
                if let Err(error) = file.write_all(&self.gathered) {
                    // What is in the file stays readable.
                    if file.set_len(self.written).is_ok() {
                        file.seek(io::SeekFrom::End(0))?;
                    }
                    self.gathered.clear();
                    return Err(error);
                }
            }
        }
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        self.waiting = 0;
        Ok(())
    }
}
