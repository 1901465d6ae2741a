//! What was typed: the grammar of the command line, and nothing of its meaning.

mod before;
mod capture;
mod groups;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use self::before::options_after_command;
pub use self::capture::{
    CaptureArgs, CaptureFileArgs, CaptureSourceArgs, ChoiceArgs, DirectionArg, TextArgs,
};
pub use self::groups::{
    ByArg, FormatArg, OutputArgs, PaceArgs, SelectionArgs, SourceArgs, TierArg, UnitsArg, Verbosity,
};

/// Who moves the bytes on this machine: connections, owners, amounts and rates.
#[derive(Debug, Parser)]
#[command(
    name = "net-traffic",
    version,
    override_usage = "net-traffic [COMMAND] [OPTIONS]",
    after_help = AFTER_HELP
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "Without a command: connections. Its options may stand alone (net-traffic -t --json),\n\
    and the options of every view before or after the command.\n\n\
    Exit status: 0 done, 1 failed, 2 usage, 3 missing privilege.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is connected now (the default): interfaces, connections, their states, top destinations
    Connections(ConnectionsArgs),
    /// Who moves the bytes: connections, processes, containers, remote hosts
    Top(ViewArgs),
    /// Throughput per interface and per process, and the balance between them
    #[command(visible_alias = "bw")]
    Bandwidth(ViewArgs),
    /// Packets, chosen by an expression of pcap-filter(7), with the process they belong to
    Capture(Box<CaptureArgs>),
    /// Write snapshots to a file, which every view reads with --replay
    Record(RecordArgs),
    /// What this kernel and these privileges allow, which hook counts what, and why
    Doctor(DoctorArgs),
}

/// What every view understands.
#[derive(Debug, clap::Args)]
pub struct ViewArgs {
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
pub struct ConnectionsArgs {
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
pub struct RecordArgs {
    /// Where to write, - for standard output
    pub file: PathBuf,
    #[command(flatten)]
    pub pace: PaceArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
}
