//! What was typed: the grammar of the command line, and nothing of its meaning.

mod before;
mod capture;
mod groups;
mod iperf;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use self::before::options_after_command;
pub(crate) use self::capture::{CaptureArgs, CaptureFileArgs, ChoiceArgs, DirectionArg, TextArgs};
pub(crate) use self::groups::{
    ByArg, FormatArg, MachineArgs, OutputArgs, PaceArgs, SelectionArgs, SourceArgs, TierArg, UnitsArg,
    Verbosity,
};
pub(crate) use self::iperf::IperfArgs;

/// Who moves the bytes on this machine: connections, owners, amounts and rates.
#[derive(Debug, Parser)]
#[command(
    name = "net-traffic",
    version,
    override_usage = "net-traffic [COMMAND] [OPTIONS]",
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "Without a command: connections. Its options may stand alone (net-traffic -t --json),\n\
    and the options of every view before or after the command.\n\n\
    Exit status: 0 done, 1 failed, 2 usage, 3 missing privilege.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What is connected now (the default): interfaces, connections, their states, top destinations
    Connections(ConnectionsArgs),
    /// Who moves the bytes: connections, processes, containers, remote hosts
    Top(ViewArgs),
    /// Throughput per interface and per process, and the balance between them
    #[command(visible_alias = "bw")]
    Bandwidth(BandwidthArgs),
    /// Run a command and say what it and its children sent and received
    Run(RunArgs),
    /// How fast the link is and why not faster: a throughput test, wire-compatible with iperf3
    Iperf(Box<IperfArgs>),
    /// Send known traffic, compare it with what was counted, print the error and the cost
    Selftest(SelftestArgs),
    /// Packets, chosen by an expression of pcap-filter(7), with the process they belong to
    Capture(Box<CaptureArgs>),
    /// Write snapshots to a file, which every view reads with --replay
    Record(RecordArgs),
    /// What this kernel and these privileges allow, which hook counts what, and why
    Doctor(DoctorArgs),
}

/// What every view understands.
#[derive(Debug, clap::Args)]
pub(crate) struct ViewArgs {
    #[command(flatten)]
    pub pace: PaceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BandwidthArgs {
    #[command(flatten)]
    pub view: ViewArgs,
    /// Count what arrives by XDP too, before anything can drop it
    #[arg(long, help_heading = "Source")]
    pub xdp: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConnectionsArgs {
    #[command(flatten)]
    pub view: ViewArgs,
    /// Listening and unconnected sockets too
    #[arg(short, long, help_heading = "Selection")]
    pub all: bool,
    /// Only listening sockets
    #[arg(short, long, help_heading = "Selection")]
    pub listening: bool,
    /// Only established connections
    #[arg(short, long, help_heading = "Selection")]
    pub established: bool,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "net-traffic run [OPTIONS] -- COMMAND...", after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// Write the report to this file [default: tables to standard error, other formats to standard output]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub format: OutputArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

const RUN_HELP: &str = "Ends when the last process that the command started has ended, or with Ctrl-C once the command \
    itself has.\n\n\
    Exit status: that of the command, 128+N if signal N ended it, 127 if it is not there, 126 if it cannot be run; \
    before it is started 1 failed, 2 usage, 3 missing privilege.";

#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    /// Where to write, - for standard output
    pub file: PathBuf,
    #[command(flatten)]
    pub pace: PaceArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SelftestArgs {
    /// Seconds for the measurements of speed, together
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub duration: f64,
    /// Only this way of counting; a refusal is then an error [default: all that this kernel grants]
    #[arg(long, value_name = "TIER")]
    pub tier: Option<TierArg>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
}
