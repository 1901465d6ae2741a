//! What was typed means: validated settings for every part of the program. Pure; what only the system knows, such as
//! whether an interface exists, is checked when the source is opened.

pub(crate) mod capture;
mod iperf;
mod running;
mod selection;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::running::{Running, Target};
use crate::args::{
    Args, Command, ConnectionsArgs, FormatArg, MachineArgs, OutputArgs, PaceArgs, SelectionArgs, SourceArgs,
    TierArg, UnitsArg, Verbosity, ViewArgs,
};
use net_traffic_model::Selection;
use net_traffic_output::{Format, Settings, Units};
use net_traffic_snapshot::{LiveOptions, Netns, Tier};
use net_traffic_throughput::IperfOptions;
use net_traffic_view::{Bandwidth, Connections, Doctor, Options, Screen, States, Top, View};

/// Something that was typed cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub String);

/// What the program is to do.
#[derive(Debug)]
pub(crate) struct Config {
    pub job: Job,
    pub source: SourceConfig,
    pub pace: Pace,
    pub quiet: bool,
    pub verbose: bool,
}

#[derive(Debug)]
pub(crate) enum Job {
    View(Box<Viewing>),
    Record(PathBuf),
    Capture(Box<capture::Capture>),
    Run(Box<Running>),
    Iperf(IperfOptions),
    Selftest(SelftestConfig),
}

/// How long the self-test measures, and how it is shown.
#[derive(Clone, Debug)]
pub(crate) struct SelftestConfig {
    pub duration: Duration,
    pub output: Settings,
}

/// A view and how to show it.
pub(crate) struct Viewing {
    pub view: &'static dyn View,
    pub options: Options,
    pub selection: Selection,
    pub output: Settings,
    /// The full screen to draw, where somebody watches and asked for no reports.
    pub screen: Option<Screen>,
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
    /// Chosen by the user, so that a replay keeps it too.
    pub chosen: bool,
    /// `None`: until the user, or the recording, ends.
    pub count: Option<u64>,
}

/// What standard output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Characters in a line; `None` if it is no terminal.
    pub width: Option<u16>,
    /// `NO_COLOR` is set to something.
    pub no_color: bool,
}

impl Config {
    /// The meaning of the arguments.
    ///
    /// # Errors
    /// When a value is out of its range or unknown, or two contradict each other.
    pub(crate) fn new(args: &Args, terminal: Terminal) -> Result<Self, ConfigError> {
        match &args.command {
            Command::Connections(args) => connections(args, terminal),
            Command::Top(args) => Ok(everywhere(view(args, &Top, States::default(), terminal)?)),
            Command::Bandwidth(args) => {
                let mut config = everywhere(view(&args.view, &Bandwidth, States::default(), terminal)?);
                watch_interfaces(&mut config.source);
                if args.xdp {
                    count_arrivals(&args.view.selection.interfaces, &mut config.source)?;
                }
                Ok(config)
            }
            Command::Record(args) => {
                let pace = pace(&args.pace)?;
                let (quiet, verbose) = messages(&args.verbosity);
                let mut source = machine(&args.machine)?;
                count_bytes(&mut source);
                watch_interfaces(&mut source);
                Ok(everywhere(Self { job: Job::Record(args.file.clone()), source, pace, quiet, verbose }))
            }
            Command::Run(args) => running::config(args, terminal),
            Command::Iperf(args) => {
                let mut source = machine(&MachineArgs { tier: args.tier, netns: None })?;
                count_bytes(&mut source);
                ask_for_waits(&mut source);
                let (quiet, verbose) = messages(&args.verbosity);
                let pace = Pace { interval: Duration::from_secs(1), chosen: false, count: None };
                Ok(Self { job: Job::Iperf(iperf::options(args)?), source, pace, quiet, verbose })
            }
            Command::Selftest(args) => {
                if !SELFTEST_S.contains(&args.duration) {
                    let (least, most) = (SELFTEST_S.start(), SELFTEST_S.end());
                    return refuse(format!("--duration {}: it is from {least} to {most}", args.duration));
                }
                let source = machine(&MachineArgs { tier: args.tier, netns: None })?;
                let duration = Duration::from_secs_f64(args.duration);
                let output = output(&args.output, terminal, false)?;
                let (quiet, verbose) = messages(&args.verbosity);
                let pace = Pace { interval: Duration::from_secs(1), chosen: false, count: None };
                Ok(Self {
                    job: Job::Selftest(SelftestConfig { duration, output }),
                    source,
                    pace,
                    quiet,
                    verbose,
                })
            }
            Command::Capture(args) => {
                let job = Job::Capture(Box::new(capture::Capture::new(args)?));
                let pace = Pace { interval: Duration::from_secs(1), chosen: false, count: None };
                let source = SourceConfig::Live(LiveOptions::default());
                Ok(Self { job, source, pace, quiet: false, verbose: false })
            }
            Command::Doctor(args) => {
                let output = output(&args.output, terminal, false)?;
                let options = Options::default();
                let viewing =
                    Viewing { view: &Doctor, options, selection: Selection::default(), output, screen: None };
                let mut source = source(&args.source)?;
                if let SourceConfig::Live(live) = &mut source {
                    (live.counting, live.survey) = (true, true);
                }
                watch_interfaces(&mut source);
                let (quiet, verbose) = messages(&args.verbosity);
                let pace = Pace { interval: Duration::from_secs(1), chosen: false, count: Some(1) };
                Ok(Self { job: Job::View(Box::new(viewing)), source, pace, quiet, verbose })
            }
        }
    }
}

/// Who moves the bytes of this machine may be in any of its network namespaces, unless one is named.
fn everywhere(mut config: Config) -> Config {
    if let SourceConfig::Live(live) = &mut config.source {
        live.everywhere = live.netns.is_none();
    }
    config
}

/// One list and no more, unless a pace or a recording says otherwise.
fn connections(args: &ConnectionsArgs, terminal: Terminal) -> Result<Config, ConfigError> {
    let paced = args.view.pace.interval.or(args.view.pace.interval_position).is_some();
    let once = !paced && args.view.pace.count.is_none() && args.view.source.replay.is_none();
    let mut states = selection::states(&args.view.selection.states)?;
    states.all = args.all;
    states.listening = args.listening;
    states.established = args.established;
    let wanted = wanted_states(&states);
    let mut config = view(&args.view, &Connections, states, terminal)?;
    if let SourceConfig::Live(live) = &mut config.source {
        // Who names a tier wants to see it at work, or refused.
        let named = !matches!(live.tier, Tier::Auto | Tier::Polling);
        live.counting = named || !once && config.pace.count != Some(1);
        (live.wanted.connected, live.wanted.unconnected) = wanted;
    }
    if once {
        config.pace.count = Some(1);
        if let Job::View(viewing) = &mut config.job {
            viewing.output.series = false;
        }
    }
    Ok(config)
}

fn view(
    args: &ViewArgs,
    view: &'static dyn View,
    states: States,
    terminal: Terminal,
) -> Result<Config, ConfigError> {
    let ViewArgs {
        pace: pace_args,
        output: output_args,
        selection: selection_args,
        source: source_args,
        verbosity,
    } = args;
    let named = if states == States::default() { selection::states(&selection_args.states)? } else { states };
    let pace = pace(pace_args)?;
    let output = output(output_args, terminal, pace.count != Some(1))?;
    let mut selection = selection::selection(selection_args)?;
    let mut source = source(source_args)?;
    match &mut source {
        SourceConfig::Live(live) => selection::narrow(live, &selection),
        SourceConfig::Replay(_) => selection.netns = recorded_netns(source_args)?,
    }
    count_bytes(&mut source);
    let brief = matches!(output.format, Format::Table | Format::Markdown);
    let options =
        Options { states: named, brief, names: output_args.resolve, ..options(selection_args, view)? };
    let (quiet, verbose) = messages(verbosity);
    let screen = screen(view, pace, output_args, terminal);
    Ok(Config {
        job: Job::View(Box::new(Viewing { view, options, selection, output, screen })),
        source,
        pace,
        quiet,
        verbose,
    })
}

/// A full screen is for somebody who watches: on a terminal, without a format, without an end.
fn screen(view: &dyn View, pace: Pace, output: &OutputArgs, terminal: Terminal) -> Option<Screen> {
    let asked_for_reports = output.format.is_some() || output.json || pace.count.is_some();
    if terminal.width.is_none() || asked_for_reports {
        return None;
    }
    [Screen::Top, Screen::Bandwidth].into_iter().find(|screen| screen.name() == view.name())
}

/// Sockets of which kind have to be read for these states: connected, unconnected.
fn wanted_states(states: &States) -> (bool, bool) {
    let unconnected = states.all || states.listening || !states.named.is_empty();
    let only_listening = states.listening && !states.all && !states.established && states.named.is_empty();
    (!only_listening, unconnected)
}

fn options(args: &SelectionArgs, view: &dyn View) -> Result<Options, ConfigError> {
    let by = args.by.map(selection::by);
    let tables = net_traffic_view::columns(view);
    if let Some(by) = by
        && !tables.iter().any(|(key, _)| *key == by.key())
    {
        return refuse(format!("--by: {} has no table of {}", view.name(), by.key()));
    }
    let sort =
        args.sort.as_deref().map(|name| selection::column(name, view.name(), &tables, by)).transpose()?;
    if args.limit == Some(0) {
        return refuse("--limit 0: nothing would be left to show");
    }
    Ok(Options { sort, limit: args.limit, table: by, ..Options::default() })
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

/// Seconds for the self-test's measurements.
const SELFTEST_S: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// The shortest and the longest interval: below, the tool would mostly watch itself; above, nobody is waiting.
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

fn source(args: &SourceArgs) -> Result<SourceConfig, ConfigError> {
    let Some(file) = &args.replay else { return machine(&args.machine) };
    if args.machine.tier.is_some() {
        return refuse("--tier chooses how this machine is counted; a recording has been counted");
    }
    Ok(SourceConfig::Replay(file.clone()))
}

fn machine(args: &MachineArgs) -> Result<SourceConfig, ConfigError> {
    let MachineArgs { tier, netns } = args;
    let tier = match tier {
        None | Some(TierArg::Auto) => Tier::Auto,
        Some(TierArg::TpBtf) => Tier::TpBtf,
        Some(TierArg::Fentry) => Tier::Fentry,
        Some(TierArg::Kprobe) => Tier::Kprobe,
        Some(TierArg::Polling) => Tier::Polling,
    };
    let netns = netns.as_deref().map(selection::netns).transpose()?;
    Ok(SourceConfig::Live(LiveOptions { tier, netns, ..LiveOptions::default() }))
}

/// A recording knows namespaces by their inodes only.
fn recorded_netns(args: &SourceArgs) -> Result<Option<u32>, ConfigError> {
    match args.machine.netns.as_deref().map(selection::netns).transpose()? {
        None => Ok(None),
        Some(Netns::Inode(inode)) => Ok(Some(inode)),
        Some(_) => refuse("--netns: a recording names network namespaces by inode, as in its reports"),
    }
}

/// Takes counting.
fn watch_interfaces(source: &mut SourceConfig) {
    if let SourceConfig::Live(live) = source {
        live.wire = true;
    }
}

fn count_arrivals(interfaces: &[String], source: &mut SourceConfig) -> Result<(), ConfigError> {
    match source {
        SourceConfig::Live(live) => {
            let wanted = interfaces.iter().filter(|name| *name != "any").cloned().collect();
            live.arrivals = Some(wanted);
        }
        SourceConfig::Replay(_) => {
            return refuse("--xdp counts on this machine; a recording has been counted");
        }
    }
    Ok(())
}

fn count_bytes(source: &mut SourceConfig) {
    if let SourceConfig::Live(live) = source {
        live.counting = true;
    }
}

fn ask_for_waits(source: &mut SourceConfig) {
    if let SourceConfig::Live(live) = source {
        live.waits = true;
    }
}

fn messages(args: &Verbosity) -> (bool, bool) {
    (args.quiet, args.verbose > 0)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(message.into()))
}

impl std::fmt::Debug for Viewing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { view, options, selection, output, screen } = self;
        out.debug_struct("Viewing")
            .field("view", &view.name())
            .field("options", options)
            .field("selection", selection)
            .field("output", output)
            .field("screen", screen)
            .finish()
    }
}
