//! What the command line means: one complete, validated configuration for each command.
//!
//! Pure. What only the operating system knows, such as whether an interface exists, is checked when the source is
//! opened.

pub(crate) mod capture;
mod iperf;
mod run;
mod selection;
mod views;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::capture::CaptureConfig;
pub(crate) use self::run::{ReportTarget, RunConfig};
use crate::args::{
    Args, Command, FormatArg, MachineArgs, OutputArgs, PaceArgs, RecordArgs, SelectionArgs, SelftestArgs,
    SourceArgs, TierArg, UnitsArg, VerbosityArgs,
};
use net_traffic_model::Selection;
use net_traffic_output::{Format, Settings, Units};
use net_traffic_snapshot::{Counting, LiveOptions, Netns, Tier};
use net_traffic_throughput::IperfOptions;
use net_traffic_view::{Options, Screen, View};

/// An argument is out of its range, unknown, or contradicts another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub String);

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Config {
    View(Box<ViewConfig>),
    Record(RecordConfig),
    Run(Box<RunConfig>),
    Capture(Box<CaptureConfig>),
    Iperf(IperfConfig),
    Selftest(SelftestConfig),
}

/// A view, as reports or as the full screen.
#[derive(Debug)]
pub(crate) struct ViewConfig {
    pub report: ReportConfig,
    /// The full screen to draw instead of reports.
    pub screen: Option<Screen>,
    pub series: SeriesConfig,
}

/// A view and how its reports look.
pub(crate) struct ReportConfig {
    pub view: &'static dyn View,
    pub options: Options,
    pub selection: Selection,
    pub output: Settings,
}

/// Snapshots, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct SeriesConfig {
    pub source: SourceConfig,
    pub pace: Pace,
    pub verbosity: Verbosity,
}

#[derive(Clone, Debug)]
pub(crate) enum SourceConfig {
    Live(LiveOptions),
    Replay(PathBuf),
}

/// When reports come, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub interval: Duration,
    /// The user chose the interval, so a replay keeps to it too.
    pub chosen: bool,
    /// `None`: until the user stops the program, or the recording ends.
    pub count: Option<u64>,
}

/// Which notes go to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    #[default]
    Normal,
    Verbose,
}

/// A recording to write.
#[derive(Debug)]
pub(crate) struct RecordConfig {
    pub file: PathBuf,
    pub series: SeriesConfig,
}

/// A throughput test, with the collectors that find its cause.
#[derive(Debug)]
pub(crate) struct IperfConfig {
    pub options: IperfOptions,
    pub live: LiveOptions,
    pub verbosity: Verbosity,
}

/// How long the self-test measures, and how its report looks.
#[derive(Clone, Debug)]
pub(crate) struct SelftestConfig {
    pub tier: Tier,
    pub duration: Duration,
    pub output: Settings,
    pub verbosity: Verbosity,
}

/// What standard output and the environment say about the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Characters in a line; `None` if standard output is no terminal.
    pub width: Option<u16>,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
}

impl Config {
    /// The meaning of the arguments.
    ///
    /// # Errors
    /// When a value is out of its range or unknown, or two values contradict each other.
    pub(crate) fn new(args: &Args, terminal: Terminal) -> Result<Self, ConfigError> {
        Ok(match &args.command {
            Command::Connections(args) => Self::View(Box::new(views::connections(args, terminal)?)),
            Command::Top(args) => Self::View(Box::new(views::top(args, terminal)?)),
            Command::Bandwidth(args) => Self::View(Box::new(views::bandwidth(args, terminal)?)),
            Command::Doctor(args) => Self::View(Box::new(views::doctor(args, terminal)?)),
            Command::Record(args) => Self::Record(record(args)?),
            Command::Run(args) => Self::Run(Box::new(run::config(args, terminal)?)),
            Command::Iperf(args) => Self::Iperf(iperf::config(args)?),
            Command::Selftest(args) => Self::Selftest(selftest(args, terminal)?),
            Command::Capture(args) => Self::Capture(Box::new(CaptureConfig::new(args)?)),
        })
    }
}

fn record(args: &RecordArgs) -> Result<RecordConfig, ConfigError> {
    let mut live = machine(&args.machine)?;
    live.counting = Counting::SocketsAndInterfaces { xdp: None };
    live.everywhere = live.netns.is_none();
    let source = SourceConfig::Live(live);
    let series = SeriesConfig { source, pace: pace(&args.pace)?, verbosity: args.verbosity.into() };
    Ok(RecordConfig { file: args.file.clone(), series })
}

fn selftest(args: &SelftestArgs, terminal: Terminal) -> Result<SelftestConfig, ConfigError> {
    if !SELFTEST_S.contains(&args.duration) {
        let (least, most) = (SELFTEST_S.start(), SELFTEST_S.end());
        return refuse(format!("--duration {}: it is from {least} to {most}", args.duration));
    }
    Ok(SelftestConfig {
        tier: tier(args.tier),
        duration: Duration::from_secs_f64(args.duration),
        output: output(&args.output, terminal, false)?,
        verbosity: args.verbosity.into(),
    })
}

/// Seconds for the self-test's measurements.
const SELFTEST_S: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// The shortest interval costs more than it shows; the longest is a day.
const INTERVAL_S: std::ops::RangeInclusive<f64> = 0.01..=86_400.0;

fn pace(args: &PaceArgs) -> Result<Pace, ConfigError> {
    let seconds = args.interval.or(args.interval_position);
    if let Some(seconds) = seconds
        && !INTERVAL_S.contains(&seconds)
    {
        let (least, most) = (INTERVAL_S.start(), INTERVAL_S.end());
        return refuse(format!(
            "an interval of {seconds} seconds is not possible; it is from {least} to {most}"
        ));
    }
    let interval = Duration::from_secs_f64(seconds.unwrap_or(1.0));
    Ok(Pace { interval, chosen: seconds.is_some(), count: args.count.or(args.count_position) })
}

fn output(args: &OutputArgs, terminal: Terminal, series: bool) -> Result<Settings, ConfigError> {
    let format = match (args.format, args.json) {
        (None | Some(FormatArg::Json), true) | (Some(FormatArg::Json), false) => Format::Json,
        (Some(_), true) => return refuse("--json contradicts --format; give one of them"),
        (None | Some(FormatArg::Table), false) => Format::Table,
        (Some(FormatArg::Markdown), false) => Format::Markdown,
        (Some(FormatArg::Csv), false) => Format::Csv,
    };
    let units = args.units.map(|units| match units {
        UnitsArg::BinBytes => Units::BinBytes,
        UnitsArg::BinBits => Units::BinBits,
        UnitsArg::SiBytes => Units::SiBytes,
        UnitsArg::SiBits => Units::SiBits,
    });
    let color = terminal.width.is_some() && !terminal.no_color && !args.no_color;
    Ok(Settings { format, units, header: !args.no_header, color, width: terminal.width, series })
}

fn view_options(args: &SelectionArgs, view: &dyn View) -> Result<Options, ConfigError> {
    let table = args.table.map(selection::table);
    let tables = net_traffic_view::columns(view);
    if let Some(table) = table
        && !tables.iter().any(|(key, _)| *key == table.key())
    {
        return refuse(format!("--table: {} has no table of {}", view.name(), table.key()));
    }
    let sort =
        args.sort.as_deref().map(|name| selection::column(name, view.name(), &tables, table)).transpose()?;
    if args.limit == Some(0) {
        return refuse("--limit 0: the limit is at least 1");
    }
    Ok(Options { sort, limit: args.limit, table, ..Options::default() })
}

fn source(args: &SourceArgs) -> Result<SourceConfig, ConfigError> {
    let Some(file) = &args.replay else { return machine(&args.machine).map(SourceConfig::Live) };
    if args.machine.tier.is_some() {
        return refuse("--tier needs this machine, not a recording");
    }
    Ok(SourceConfig::Replay(file.clone()))
}

fn machine(args: &MachineArgs) -> Result<LiveOptions, ConfigError> {
    let netns = args.netns.as_deref().map(selection::netns).transpose()?;
    Ok(LiveOptions { tier: tier(args.tier), netns, ..LiveOptions::default() })
}

/// A recording has network namespaces by inode only.
fn recorded_netns(args: &SourceArgs) -> Result<Option<u32>, ConfigError> {
    match args.machine.netns.as_deref().map(selection::netns).transpose()? {
        None => Ok(None),
        Some(Netns::Inode(inode)) => Ok(Some(inode)),
        Some(_) => refuse("--netns: a recording names network namespaces by inode, as in its reports"),
    }
}

fn tier(tier: Option<TierArg>) -> Tier {
    match tier {
        None | Some(TierArg::Auto) => Tier::Auto,
        Some(TierArg::TpBtf) => Tier::TpBtf,
        Some(TierArg::Fentry) => Tier::Fentry,
        Some(TierArg::Kprobe) => Tier::Kprobe,
        Some(TierArg::Polling) => Tier::Polling,
    }
}

impl From<VerbosityArgs> for Verbosity {
    fn from(args: VerbosityArgs) -> Self {
        match args {
            VerbosityArgs { quiet: true, .. } => Self::Quiet,
            VerbosityArgs { verbose: 0, .. } => Self::Normal,
            VerbosityArgs { .. } => Self::Verbose,
        }
    }
}

fn refuse<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(message.into()))
}

impl std::fmt::Debug for ReportConfig {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { view, options, selection, output } = self;
        out.debug_struct("ReportConfig")
            .field("view", &view.name())
            .field("options", options)
            .field("selection", selection)
            .field("output", output)
            .finish()
    }
}
