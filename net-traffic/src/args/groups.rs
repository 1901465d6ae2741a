//! Groups of options that several commands share.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// Interval and number of reports.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceArgs {
    /// Seconds between reports [default: 1]
    #[arg(short = 'd', long = "interval", value_name = "SECONDS")]
    pub interval: Option<f64>,
    /// Exit after N reports
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Seconds between reports, as in vmstat
    #[arg(help_heading = "Arguments", value_name = "INTERVAL", conflicts_with = "interval")]
    pub interval_position: Option<f64>,
    /// Number of reports, as in vmstat
    #[arg(help_heading = "Arguments", value_name = "COUNT", conflicts_with = "count", value_parser = clap::value_parser!(u64).range(1..))]
    pub count_position: Option<u64>,
}

/// Format of the reports.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct OutputArgs {
    /// Format of the reports [default: table]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// Short for --format json
    #[arg(long)]
    pub json: bool,
    /// Units of data [default: si-bits for interfaces, bin-bytes for everything else]
    #[arg(long, value_name = "UNITS")]
    pub units: Option<UnitsArg>,
    /// Leave headings out
    #[arg(long)]
    pub no_header: bool,
    #[arg(long, help = "Leave colours out, as with the variable NO_COLOR")]
    pub no_color: bool,
    /// Show addresses and ports as numbers (the default)
    #[arg(short = 'n', long, overrides_with = "resolve")]
    pub no_resolve: bool,
    /// Show names of remote hosts, by reverse DNS
    #[arg(long, overrides_with = "no_resolve")]
    pub resolve: bool,
}

/// Which traffic is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct SelectionArgs {
    /// Only this interface, and connections that use it
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
    /// Only processes with this name, as `ps -o comm` prints it
    #[arg(long = "process", value_name = "NAME")]
    pub processes: Vec<String>,
    /// Only this container, by name or beginning of the id
    #[arg(long = "container", value_name = "NAME|ID")]
    pub containers: Vec<String>,
    /// Only sockets in this state
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    pub states: Vec<String>,
    /// Only connections with this remote address or network
    #[arg(long = "remote", value_name = "ADDR[/LEN]", value_delimiter = ',')]
    pub remotes: Vec<String>,
    /// Only this port, local or remote
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,
    /// Sort by this column, largest value first
    #[arg(long, help_heading = "Output", value_name = "COLUMN")]
    pub sort: Option<String>,
    /// Show at most N rows of each table
    #[arg(long, help_heading = "Output", value_name = "N")]
    pub limit: Option<usize>,
    /// The table that --format csv writes
    #[arg(long, help_heading = "Output", visible_alias = "by", value_name = "TABLE")]
    pub table: Option<TableArg>,
}

/// The machine or a recording.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// Read this recording instead of this machine
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// How the running machine is read.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct MachineArgs {
    /// Count bytes by this tier; a refusal is then an error [default: auto]
    #[arg(long = "backend", visible_alias = "tier", value_name = "BACKEND")]
    pub tier: Option<TierArg>,
    /// Only this network namespace
    #[arg(long, help_heading = "Selection", value_name = "PATH|PID")]
    pub netns: Option<PathBuf>,
}

/// Amount of notes on standard error.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct VerbosityArgs {
    /// Print no notes on standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// Print more notes on standard error, such as each refusal of the kernel
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
pub(crate) enum TableArg {
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
