//! The configuration of `capture`: where packets come from, which are kept, where they go.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{ConfigError, refuse};
use crate::args::{CaptureArgs, CaptureFileArgs, ChoiceArgs, DirectionArg, TextArgs};
use net_traffic_capture::{LiveCaptureOptions, OwnerFilter};
use net_traffic_output::packets::{FileFormat, Rotation};
use net_traffic_packet_text::{Dump, Settings, Stamp};
use pcap_io::Direction;
use pcap_io::MAX_SNAPLEN;

/// One capture.
#[derive(Clone, Debug)]
pub(crate) struct CaptureConfig {
    pub from: CaptureSource,
    pub filter: Filter,
    pub to: CaptureSink,
    /// `None`: until the source ends or the user stops it.
    pub count: Option<u64>,
    pub fail_on_loss: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum CaptureSource {
    File {
        path: PathBuf,
        direction: Option<Direction>,
    },
    Live(LiveCaptureOptions),
    /// The packets of this command and its descendants, until it ends.
    Command {
        command: Vec<OsString>,
        options: LiveCaptureOptions,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub text: FilterText,
    pub optimize: bool,
    /// Print the compiled program in this form and capture nothing.
    pub dump: Option<DumpForm>,
}

#[derive(Clone, Debug)]
pub(crate) enum FilterText {
    Expression(String),
    File(PathBuf),
}

/// What `-d`, `-dd` and `-ddd` print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DumpForm {
    Assembly,
    C,
    Decimal,
}

#[derive(Clone, Debug)]
pub(crate) enum CaptureSink {
    Text { settings: Settings, flush_each: bool },
    Json(Settings),
    Files { path: PathBuf, format: FileFormat, rotation: Rotation, flush_each: bool, several: bool },
}

impl CaptureConfig {
    /// The meaning of the arguments.
    ///
    /// # Errors
    /// When a value is out of its range, or two contradict each other.
    pub(crate) fn new(args: &CaptureArgs) -> Result<Self, ConfigError> {
        let CaptureArgs { source, choice, file, text, filter, command } = args;
        let filter_text = match &source.filter_file {
            Some(path) => FilterText::File(path.clone()),
            None => FilterText::Expression(filter.join(" ")),
        };
        let dump = match source.dump_filter {
            0 => None,
            1 => Some(DumpForm::Assembly),
            2 => Some(DumpForm::C),
            _ => Some(DumpForm::Decimal),
        };
        let from = capture_source(args, choice, command)?;
        let several = match &from {
            CaptureSource::File { .. } => false,
            CaptureSource::Live(options) | CaptureSource::Command { options, .. } => {
                options.interfaces.len() != 1
            }
        };
        Ok(Self {
            from,
            filter: Filter { text: filter_text, optimize: !source.no_optimize, dump },
            to: capture_sink(file, text, several)?,
            count: source.count,
            fail_on_loss: file.fail_on_loss,
        })
    }
}

fn capture_source(
    args: &CaptureArgs,
    choice: &ChoiceArgs,
    command: &[OsString],
) -> Result<CaptureSource, ConfigError> {
    let direction = match choice.direction {
        None | Some(DirectionArg::Both) => None,
        Some(DirectionArg::In) => Some(Direction::In),
        Some(DirectionArg::Out) => Some(Direction::Out),
    };
    let chosen = !choice.pids.is_empty()
        || choice.processes.is_some()
        || choice.containers.is_some()
        || choice.user.is_some();
    if let Some(path) = &args.source.read {
        if chosen {
            return refuse("--pid, --process, --container and --uid need a live capture, not -r");
        }
        return Ok(CaptureSource::File { path: path.clone(), direction });
    }
    if args.source.no_process && (chosen || !command.is_empty()) {
        return refuse("--no-process contradicts --pid, --process, --container, --uid and COMMAND");
    }
    if args.source.xdp && direction == Some(Direction::Out) {
        return refuse("--xdp captures received frames only, not -Q out");
    }
    let any = args.source.interfaces.is_empty() || args.source.interfaces.iter().any(|name| name == "any");
    let options = LiveCaptureOptions {
        interfaces: if any { Vec::new() } else { args.source.interfaces.clone() },
        snaplen: match args.source.snaplen {
            None | Some(0) => MAX_SNAPLEN,
            Some(snaplen) if snaplen <= MAX_SNAPLEN => snaplen,
            Some(snaplen) => {
                return refuse(format!(
                    "-s {snaplen}: no packet is longer than {MAX_SNAPLEN}; 0 keeps all of it"
                ));
            }
        },
        direction,
        ring_kib: args.source.buffer_kib.unwrap_or(4096),
        promiscuous: !any && !args.source.no_promiscuous_mode,
        owners: !args.source.no_process && !args.source.xdp,
        xdp: args.source.xdp,
        netns: args.source.netns.clone(),
        choice: OwnerFilter {
            pids: choice.pids.clone(),
            process: choice.processes.clone(),
            container: choice.containers.clone(),
            user: choice.user.clone(),
            command: !command.is_empty(),
        },
    };
    if command.is_empty() {
        return Ok(CaptureSource::Live(options));
    }
    Ok(CaptureSource::Command { command: command.to_vec(), options })
}

fn capture_sink(file: &CaptureFileArgs, text: &TextArgs, several: bool) -> Result<CaptureSink, ConfigError> {
    if let Some(path) = &file.write {
        let is_pcap = path.extension().is_some_and(|extension| extension == "pcap");
        let rotation = Rotation {
            size: file.file_size.as_deref().map(size).transpose()?,
            seconds: file.file_seconds,
            files: file.file_count,
        };
        if rotation.files.is_some() && rotation.size.is_none() && rotation.seconds.is_none() {
            return refuse("-W needs -C or -G");
        }
        let rotates = rotation.size.is_some() || rotation.seconds.is_some();
        if rotates && path.as_os_str() == "-" {
            return refuse("-C and -G need a file name, not standard output");
        }
        let format = if is_pcap { FileFormat::Pcap } else { FileFormat::PcapNg };
        return Ok(CaptureSink::Files {
            path: path.clone(),
            format,
            rotation,
            flush_each: file.packet_buffered,
            several,
        });
    }
    let settings = Settings {
        stamp: match text.time {
            0 => Stamp::TimeOfDay,
            1 => Stamp::None,
            2 => Stamp::Epoch,
            3 => Stamp::SincePrevious,
            4 => Stamp::Date,
            _ => Stamp::SinceFirst,
        },
        link: text.link,
        quick: text.quiet,
        verbose: text.verbose,
        absolute: text.absolute_tcp_sequence_numbers,
        unchecked: text.dont_verify_checksums,
        number: text.number,
        interface: several,
        dump: Dump {
            hex: text.hex.max(text.hex_and_characters),
            characters: text.hex_and_characters > 0,
            ascii: text.ascii,
        },
    };
    if file.json {
        return Ok(CaptureSink::Json(settings));
    }
    Ok(CaptureSink::Text { settings, flush_each: text.line_buffered || file.packet_buffered })
}

/// As tcpdump reads `-C`: millions of bytes, or with a letter KiB, MiB or GiB.
fn size(text: &str) -> Result<u64, ConfigError> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1_000_000),
    };
    match digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)) {
        Some(size) if size > 0 => Ok(size),
        _ => refuse(format!(
            "-C {text}: not a size; it is a number of millions of bytes, or one with k, m or g"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn rotation_size_is_read_as_by_tcpdump() {
        assert_eq!(size("3"), Ok(3_000_000));
        assert_eq!(size("4k"), Ok(4096));
        assert_eq!(size("1G"), Ok(1 << 30));
        for wrong in ["", "k", "0", "-1", "1x", "99999999999999999g"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
