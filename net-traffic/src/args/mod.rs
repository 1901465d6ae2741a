//! The grammar of the command line. What the arguments mean is in `config`.

mod capture;
mod default_subcommand;
mod groups;
mod iperf;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use self::capture::{CaptureArgs, CaptureFileArgs, ChoiceArgs, DirectionArg, TextArgs};
pub(crate) use self::default_subcommand::insert_default_subcommand;
pub(crate) use self::groups::{
    FormatArg, MachineArgs, OutputArgs, PaceArgs, SelectionArgs, SourceArgs, TableArg, TierArg, UnitsArg,
    VerbosityArgs,
};
pub(crate) use self::iperf::IperfArgs;

/// Network traffic by process, counted in the kernel
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

const AFTER_HELP: &str = "Examples:
  net-traffic -t                       TCP connections now
  net-traffic top                      live: processes, connections, containers and remote hosts by rate
  net-traffic capture -i eth0 port 53  packets with their process

Without a command: connections. Options may stand before or after the command.

Exit status: 0 done, 1 failed, 2 usage, 3 missing privilege.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List interfaces, connections, connections by state, and top destinations (the default)
    Connections(ConnectionsArgs),
    /// Show connections, processes, containers and remote hosts by rate, live
    #[command(after_help = TOP_HELP)]
    Top(ViewArgs),
    /// Show throughput by interface and by process, and the balance between them, live
    #[command(visible_alias = "bw")]
    Bandwidth(BandwidthArgs),
    /// Run a command and report the bytes that it and its descendants sent and received
    Run(RunArgs),
    /// Test throughput with iperf3's protocol, and report the cause that limited the test
    Iperf(Box<IperfArgs>),
    /// Send known traffic and compare it with the counted bytes
    Selftest(SelftestArgs),
    /// Capture packets, each with its process, by a pcap-filter(7) expression
    Capture(Box<CaptureArgs>),
    /// Write snapshots to a file; every view reads the file with --replay
    Record(RecordArgs),
    /// Show what this kernel and these privileges allow, and the reason for each refusal
    Doctor(DoctorArgs),
}

const TOP_HELP: &str = "Examples:
  net-traffic top -i eth0              the full screen; press ? for the keys
  net-traffic top -c 5 -d 2            five reports, two seconds apart
  net-traffic top --container web --format csv --table process";

/// Options of every view.
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
    pub verbosity: VerbosityArgs,
}

const BANDWIDTH_HELP: &str = "Examples:
  net-traffic bandwidth                all interfaces on a full screen
  net-traffic bw -i eth0 -c 2          two reports of eth0 with its balance
  net-traffic bandwidth --xdp --json -c 10";

#[derive(Debug, clap::Args)]
#[command(after_help = BANDWIDTH_HELP)]
pub(crate) struct BandwidthArgs {
    #[command(flatten)]
    pub view: ViewArgs,
    /// Also count received packets by XDP, before another program can drop them
    #[arg(long, help_heading = "Source")]
    pub xdp: bool,
}

const CONNECTIONS_HELP: &str = "Examples:
  net-traffic -a -t                    TCP sockets, also listening ones
  net-traffic --process nginx --json   one JSON object on one line
  net-traffic -d 1                     every second, each byte counted in the kernel";

#[derive(Debug, clap::Args)]
#[command(after_help = CONNECTIONS_HELP)]
pub(crate) struct ConnectionsArgs {
    #[command(flatten)]
    pub view: ViewArgs,
    /// Also listening and unconnected sockets
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
    /// Write the report to this file [default: standard error for tables, standard output for other formats]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub format: OutputArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
    /// The command and its arguments
    #[arg(help_heading = "Arguments", value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

const RUN_HELP: &str = "Examples:
  net-traffic run -- make fetch        a table on standard error at the end
  net-traffic run --json -- curl -sO https://example.org/file > traffic.json
  net-traffic run --output report.csv --format csv -- ./deploy.sh

The report comes when the last descendant of the command has ended. After the command itself has ended, Ctrl-C stops
the wait.

Exit status: the command's own, 128+N if signal N ended the command, 127 if the command was not found, 126 if the
command cannot run. Before the command starts: 1 failed, 2 usage, 3 missing privilege.";

const RECORD_HELP: &str = "Examples:
  net-traffic record day.jsonl -d 10   a snapshot every ten seconds
  net-traffic record - -c 60 | gzip > minute.jsonl.gz
  net-traffic top --replay day.jsonl";

#[derive(Debug, clap::Args)]
#[command(after_help = RECORD_HELP)]
pub(crate) struct RecordArgs {
    /// The recording to write; - is standard output
    #[arg(help_heading = "Arguments")]
    pub file: PathBuf,
    #[command(flatten)]
    pub pace: PaceArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

const DOCTOR_HELP: &str = "Examples:
  net-traffic doctor                   what counts in each slot, and refusals
  net-traffic doctor --json | jq '.slots[] | select(.tier == null)'
  sudo net-traffic doctor --netns 1234";

#[derive(Debug, clap::Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

const SELFTEST_HELP: &str = "Examples:
  net-traffic selftest                 every tier that this kernel grants
  net-traffic selftest --backend fentry --json";

#[derive(Debug, clap::Args)]
#[command(after_help = SELFTEST_HELP)]
pub(crate) struct SelftestArgs {
    /// Total seconds of the speed measurements
    #[arg(long, help_heading = "Pace", value_name = "SECONDS", default_value_t = 2.0)]
    pub duration: f64,
    /// Test only this tier; a refusal is then an error [default: every tier that this kernel grants]
    #[arg(long = "backend", help_heading = "Source", visible_alias = "tier", value_name = "BACKEND")]
    pub tier: Option<TierArg>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}
