//! The options of `capture`: those of tcpdump, and whose packets.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

#[derive(Debug, Args)]
#[command(
    override_usage = "net-traffic capture [OPTIONS] [FILTER]...\n       net-traffic capture [OPTIONS] [FILTER]... -- COMMAND...",
    after_help = "FILTER is an expression of pcap-filter(7), as tcpdump has it: net-traffic capture -i eth0 tcp port 443"
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
    /// Which packets: an expression of pcap-filter(7)
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Run this, capture what it and its children send and receive, and end with it
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["read", "pids", "processes", "containers", "user", "xdp"])]
    pub command: Vec<OsString>,
}

/// Where from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct CaptureSourceArgs {
    /// Only this interface; any is all, the ones to come too [default: any]
    #[arg(short = 'i', long = "interface", value_name = "IFACE|any", value_delimiter = ',')]
    pub interfaces: Vec<String>,
    /// Read packets from a file, - for standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "interfaces")]
    pub read: Option<PathBuf>,
    /// The most octets that are kept of a packet, 0 for all [default: 262144]
    #[arg(short, long, value_name = "SNAPLEN")]
    pub snaplen: Option<u32>,
    /// The room for packets on their way from the kernel, for each CPU [default: 4096]
    #[arg(short = 'B', long = "buffer-size", value_name = "KIB", value_parser = clap::value_parser!(u32).range(4..=1_048_576))]
    pub buffer_kib: Option<u32>,
    /// Do not ask the interface for packets to other hosts
    #[arg(short = 'p', long)]
    pub no_promiscuous_mode: bool,
    /// Read the filter from a file
    #[arg(short = 'F', value_name = "FILE", conflicts_with = "filter")]
    pub filter_file: Option<PathBuf>,
    /// Print the compiled filter and end
    #[arg(short = 'd', action = ArgAction::Count)]
    pub dump_filter: u8,
    /// Do not optimize the filter
    #[arg(short = 'O', long)]
    pub no_optimize: bool,
    /// End after so many packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// See frames where they arrive, before anything can drop them: incoming ones only, without their processes
    #[arg(long, conflicts_with_all = ["read", "pids", "processes", "containers", "user"])]
    pub xdp: bool,
    /// Interfaces of this network namespace
    #[arg(long, value_name = "PATH|PID", conflicts_with = "read")]
    pub netns: Option<String>,
    /// Do not look for the processes that packets belong to
    #[arg(long)]
    pub no_process: bool,
    /// Numbers for addresses and ports (always so)
    #[arg(short = 'n', action = ArgAction::Count)]
    pub numeric: u8,
}

/// Whose packets.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct ChoiceArgs {
    /// Only this direction
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
    /// Only packets of processes of this user
    #[arg(long = "uid", value_name = "USER|UID")]
    pub user: Option<String>,
}

/// Where to.
#[derive(Debug, Args)]
#[command(next_help_heading = "File")]
pub(crate) struct CaptureFileArgs {
    /// Write packets to a file, - for standard output: pcapng, or pcap if the name ends in .pcap
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Begin another file after so many million bytes (or with k, m, g: KiB, MiB, GiB)
    #[arg(short = 'C', value_name = "SIZE", requires = "write")]
    pub file_size: Option<String>,
    /// Begin another file after so many seconds; the name is a pattern of strftime(3)
    #[arg(short = 'G', value_name = "SECONDS", requires = "write", value_parser = clap::value_parser!(u64).range(1..))]
    pub file_seconds: Option<u64>,
    /// So many files: -C overwrites the oldest, -G alone ends
    #[arg(short = 'W', value_name = "N", requires = "write", value_parser = clap::value_parser!(u64).range(1..))]
    pub file_count: Option<u64>,
    /// Write each packet at once
    #[arg(short = 'U', long)]
    pub packet_buffered: bool,
    /// An object of JSON for each packet, and one at the end
    #[arg(long, conflicts_with = "write")]
    pub json: bool,
    /// Exit with status 1 if a packet was lost
    #[arg(long)]
    pub fail_on_loss: bool,
}

/// How to print.
#[derive(Debug, Args)]
#[command(next_help_heading = "Text")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct TextArgs {
    /// The link layer too
    #[arg(short = 'e')]
    pub link: bool,
    /// Less about each packet
    #[arg(short, long)]
    pub quiet: bool,
    /// More about each packet
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// The octets in hexadecimal; twice with the link layer
    #[arg(short = 'x', action = ArgAction::Count)]
    pub hex: u8,
    /// The octets in hexadecimal and as characters; twice with the link layer
    #[arg(short = 'X', action = ArgAction::Count)]
    pub hex_and_characters: u8,
    /// The octets as characters; twice with the link layer
    #[arg(short = 'A', action = ArgAction::Count)]
    pub ascii: u8,
    /// No time; -tt since 1970; -ttt since the line before; -tttt with the date; -ttttt since the first line
    #[arg(short = 't', action = ArgAction::Count)]
    pub time: u8,
    /// Sequence numbers of TCP as they are in the packet
    #[arg(short = 'S', long)]
    pub absolute_tcp_sequence_numbers: bool,
    /// Do not verify checksums
    #[arg(short = 'K', long)]
    pub dont_verify_checksums: bool,
    /// Number the lines
    #[arg(short = '#', long)]
    pub number: bool,
    /// Write each line at once
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
