//! The options of `capture`: tcpdump's, and those that select processes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

#[derive(Debug, Args)]
#[command(
    override_usage = "net-traffic capture [OPTIONS] [FILTER]...\n       net-traffic capture [OPTIONS] [FILTER]... -- COMMAND...",
    after_help = CAPTURE_HELP
)]
pub(crate) struct CaptureArgs {
    #[command(flatten)]
    pub source: CaptureSourceArgs,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    #[command(flatten)]
    pub file: CaptureFileArgs,
    #[command(flatten)]
    pub text: TextArgs,
    /// A pcap-filter(7) expression that selects packets
    #[arg(help_heading = "Arguments", value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Run this command, capture the packets of it and its descendants, and end with the command
    #[arg(last = true, help_heading = "Arguments", value_name = "COMMAND", conflicts_with_all = ["read", "pids", "processes", "containers", "user", "xdp"])]
    pub command: Vec<OsString>,
}

const CAPTURE_HELP: &str = "FILTER is a pcap-filter(7) expression, as in tcpdump.

Examples:
  net-traffic capture -i eth0 tcp port 443
  net-traffic capture --process nginx -w nginx.pcapng
  net-traffic capture -r nginx.pcapng 'tcp[tcpflags] & tcp-rst != 0'";

/// Interfaces or file, and how packets are taken from there.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct CaptureSourceArgs {
    /// Capture on this interface; any means all interfaces, also later ones [default: any]
    #[arg(
        help_heading = "Selection",
        short = 'i',
        long = "interface",
        value_name = "IFACE|any",
        value_delimiter = ','
    )]
    pub interfaces: Vec<String>,
    /// Read packets from this file; - is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "interfaces")]
    pub read: Option<PathBuf>,
    /// Keep at most this many bytes of each packet; 0 means all [default: 262144]
    #[arg(short, long, value_name = "SNAPLEN")]
    pub snaplen: Option<u32>,
    /// Size of the ring buffer of each CPU, in KiB [default: 4096]
    #[arg(short = 'B', long = "buffer-size", value_name = "KIB", value_parser = clap::value_parser!(u32).range(4..=1_048_576))]
    pub buffer_kib: Option<u32>,
    /// Do not put the interface into promiscuous mode
    #[arg(short = 'p', long)]
    pub no_promiscuous_mode: bool,
    /// Read the filter from this file
    #[arg(help_heading = "Selection", short = 'F', value_name = "FILE", conflicts_with = "filter")]
    pub filter_file: Option<PathBuf>,
    /// Print the compiled filter and exit; -dd as C, -ddd as numbers
    #[arg(help_heading = "Selection", short = 'd', action = ArgAction::Count)]
    pub dump_filter: u8,
    /// Do not optimize the filter
    #[arg(help_heading = "Selection", short = 'O', long)]
    pub no_optimize: bool,
    /// Exit after N packets
    #[arg(short, long, help_heading = "Pace", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Capture received frames by XDP, before another program can drop them; no sent frames, no processes
    #[arg(long, conflicts_with_all = ["read", "pids", "processes", "containers", "user"])]
    pub xdp: bool,
    /// Capture on the interfaces of this network namespace
    #[arg(long, help_heading = "Selection", value_name = "PATH|PID", conflicts_with = "read")]
    pub netns: Option<String>,
    /// Do not look up the processes of packets
    #[arg(long)]
    pub no_process: bool,
    /// Print addresses and ports as numbers (always on)
    #[arg(short = 'n', help_heading = "Text", action = ArgAction::Count)]
    pub numeric: u8,
}

/// Processes and direction of packets.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct ChoiceArgs {
    /// Only packets of this direction
    #[arg(short = 'Q', long, value_name = "in|out|both")]
    pub direction: Option<DirectionArg>,
    /// Only packets of this process
    #[arg(long = "pid", value_name = "PID", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,
    /// Only packets of processes of this name
    #[arg(long = "process", value_name = "NAME")]
    pub processes: Option<String>,
    /// Only packets of this container
    #[arg(long = "container", value_name = "NAME|ID")]
    pub containers: Option<String>,
    /// Only packets of this user's processes
    #[arg(long = "uid", value_name = "USER|UID")]
    pub user: Option<String>,
}

/// Files and formats of the output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct CaptureFileArgs {
    /// Write packets to this file as pcapng, or as pcap if the name ends in .pcap; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Start a new file after SIZE million bytes, or with the suffix k, m, g after SIZE KiB, MiB, GiB
    #[arg(short = 'C', value_name = "SIZE", requires = "write")]
    pub file_size: Option<String>,
    /// Start a new file after SECONDS; FILE is a strftime(3) pattern
    #[arg(short = 'G', value_name = "SECONDS", requires = "write", value_parser = clap::value_parser!(u64).range(1..))]
    pub file_seconds: Option<u64>,
    /// Keep at most N files: with -C overwrite the oldest, with -G alone exit
    #[arg(short = 'W', value_name = "N", requires = "write", value_parser = clap::value_parser!(u64).range(1..))]
    pub file_count: Option<u64>,
    /// Flush the output after each packet
    #[arg(short = 'U', long)]
    pub packet_buffered: bool,
    /// Print one JSON object per packet, and one for the capture at the end
    #[arg(long, conflicts_with = "write")]
    pub json: bool,
    /// Exit with status 1 if a packet was lost
    #[arg(long)]
    pub fail_on_loss: bool,
}

/// How packets are printed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Text")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct TextArgs {
    /// Also print the link-layer header
    #[arg(short = 'e')]
    pub link: bool,
    /// Print less about each packet
    #[arg(short, long)]
    pub quiet: bool,
    /// Print more about each packet
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Also print the bytes in hexadecimal; -xx with the link-layer header
    #[arg(short = 'x', action = ArgAction::Count)]
    pub hex: u8,
    /// Also print the bytes in hexadecimal and ASCII; -XX with the link-layer header
    #[arg(short = 'X', action = ArgAction::Count)]
    pub hex_and_characters: u8,
    /// Also print the bytes in ASCII; -AA with the link-layer header
    #[arg(short = 'A', action = ArgAction::Count)]
    pub ascii: u8,
    /// Print no time; -tt seconds since 1970; -ttt since the previous line; -tttt date and time; -ttttt since the first line
    #[arg(short = 't', action = ArgAction::Count)]
    pub time: u8,
    /// Print absolute TCP sequence numbers
    #[arg(short = 'S', long)]
    pub absolute_tcp_sequence_numbers: bool,
    /// Do not verify checksums
    #[arg(short = 'K', long)]
    pub dont_verify_checksums: bool,
    /// Number the lines
    #[arg(short = '#', long)]
    pub number: bool,
    /// Flush the output after each line
    #[arg(short = 'l')]
    pub line_buffered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DirectionArg {
    In,
    Out,
    #[value(alias = "inout")]
    Both,
}
