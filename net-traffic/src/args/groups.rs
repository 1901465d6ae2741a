//! Groups of options that several commands share.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// How often.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceArgs {
    /// Seconds between reports [default: 1]
    #[arg(short = 'd', long = "interval", value_name = "SECONDS")]
    pub interval: Option<f64>,
    /// End after so many reports
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Seconds between reports, as vmstat has them
    #[arg(value_name = "INTERVAL", conflicts_with = "interval")]
    pub interval_position: Option<f64>,
    /// How many reports
    #[arg(value_name = "COUNT", conflicts_with = "count", value_parser = clap::value_parser!(u64).range(1..))]
    pub count_position: Option<u64>,
}

/// How to write.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct OutputArgs {
    /// How to write reports [default: table]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// Short for --format json
    #[arg(long)]
    pub json: bool,
    /// Units of data [default: bits for links, bytes for all else]
    #[arg(long, value_name = "UNITS")]
    pub units: Option<UnitsArg>,
    /// No headings
    #[arg(long)]
    pub no_header: bool,
    #[arg(long, help = "No colours; NO_COLOR does the same")]
    pub no_color: bool,
    /// Show addresses and ports as numbers (the default)
    #[arg(short = 'n', long, overrides_with = "resolve")]
    pub no_resolve: bool,
    /// Show remote hosts by name: reverse DNS, in the background
    #[arg(long, overrides_with = "no_resolve")]
    pub resolve: bool,
}

/// What to show. The same in every view.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct SelectionArgs {
    /// Only this interface
    #[arg(short = 'i', long = "interface", value_name = "IFACE", value_delimiter = ',')]
    pub interfaces: Vec<String>,
    /// Only TCP
    #[arg(short, long)]
    pub tcp: bool,
    /// Only UDP
    #[arg(short, long)]
    pub udp: bool,
    /// Only IPv4
    #[arg(short = '4', long)]
    pub ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Only this process
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,
    /// Only processes of this name
    #[arg(long = "process", value_name = "NAME")]
    pub processes: Vec<String>,
    /// Only this container
    #[arg(long = "container", value_name = "NAME|ID")]
    pub containers: Vec<String>,
    /// Only sockets in this state
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    pub states: Vec<String>,
    /// Only connections to this address or network
    #[arg(long = "remote", value_name = "ADDR[/LEN]", value_delimiter = ',')]
    pub remotes: Vec<String>,
    /// Only this port, local or remote
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,
    /// Order by this column, largest first
    #[arg(long, value_name = "COLUMN")]
    pub sort: Option<String>,
    /// At most so many rows of each table
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The table that --format csv writes
    #[arg(long, value_name = "TABLE")]
    pub by: Option<ByArg>,
}

/// Where from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// Read a recording instead of this machine
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// How this machine is read.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct MachineArgs {
    /// How bytes are counted [default: auto]
    #[arg(long, value_name = "TIER")]
    pub tier: Option<TierArg>,
    /// The network namespace to read
    #[arg(long, value_name = "PATH|PID")]
    pub netns: Option<PathBuf>,
}

/// How much to say on standard error.
#[derive(Debug, Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct Verbosity {
    /// No notes on standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// More notes on standard error
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    Table,
    Markdown,
    Json,
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitsArg {
    BinBytes,
    BinBits,
    SiBytes,
    SiBits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ByArg {
    Connection,
    Process,
    Container,
    Destination,
    Interface,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TierArg {
    Auto,
    TpBtf,
    Fentry,
    Kprobe,
    Polling,
}
