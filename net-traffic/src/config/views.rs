//! The configuration of `connections`, `top`, `bandwidth` and `doctor`.

use std::time::Duration;

use super::{
    ConfigError, Pace, ReportConfig, SeriesConfig, SourceConfig, Terminal, ViewConfig, output, pace,
    recorded_netns, refuse, selection, source, view_options,
};
use crate::args::{BandwidthArgs, ConnectionsArgs, DoctorArgs, OutputArgs, ViewArgs};
use net_traffic_model::Selection;
use net_traffic_output::Format;
use net_traffic_snapshot::{Counting, Tier};
use net_traffic_view::{Bandwidth, Connections, Doctor, Options, Screen, States, Top, View};

/// One report, unless a pace or a recording asks for more.
pub(super) fn connections(args: &ConnectionsArgs, terminal: Terminal) -> Result<ViewConfig, ConfigError> {
    let pace = &args.view.pace;
    let paced = pace.interval.or(pace.interval_position).is_some();
    let once = !paced && pace.count.is_none() && args.view.source.replay.is_none();
    let mut states = selection::states(&args.view.selection.states)?;
    states.all = args.all;
    states.listening = args.listening;
    states.established = args.established;
    let (connected, unconnected) = socket_kinds(&states);
    let mut config = view(&args.view, &Connections, states, terminal)?;
    if let SourceConfig::Live(live) = &mut config.series.source {
        // A chosen tier counts, or is refused, even where one report needs no programs.
        let chosen = !matches!(live.tier, Tier::Auto | Tier::Polling);
        let counts = chosen || !once && config.series.pace.count != Some(1);
        live.counting = if counts { Counting::Sockets } else { Counting::No };
        (live.sockets.connected, live.sockets.unconnected) = (connected, unconnected);
    }
    if once {
        config.series.pace.count = Some(1);
        config.report.output.series = false;
    }
    Ok(config)
}

pub(super) fn top(args: &ViewArgs, terminal: Terminal) -> Result<ViewConfig, ConfigError> {
    let mut config = view(args, &Top, States::default(), terminal)?;
    cover_all_namespaces(&mut config.series.source);
    Ok(config)
}

pub(super) fn bandwidth(args: &BandwidthArgs, terminal: Terminal) -> Result<ViewConfig, ConfigError> {
    let mut config = view(&args.view, &Bandwidth, States::default(), terminal)?;
    cover_all_namespaces(&mut config.series.source);
    match &mut config.series.source {
        SourceConfig::Live(live) => {
            let chosen = args.view.selection.interfaces.iter().filter(|name| *name != "any");
            let xdp = args.xdp.then(|| chosen.cloned().collect());
            live.counting = Counting::SocketsAndInterfaces { xdp };
        }
        SourceConfig::Replay(_) if args.xdp => {
            return refuse("--xdp needs this machine, not a recording");
        }
        SourceConfig::Replay(_) => {}
    }
    Ok(config)
}

pub(super) fn doctor(args: &DoctorArgs, terminal: Terminal) -> Result<ViewConfig, ConfigError> {
    let mut source = source(&args.source)?;
    if let SourceConfig::Live(live) = &mut source {
        live.survey = true;
        live.counting = Counting::SocketsAndInterfaces { xdp: None };
    }
    let report = ReportConfig {
        view: &Doctor,
        options: Options::default(),
        selection: Selection::default(),
        output: output(&args.output, terminal, false)?,
    };
    let pace = Pace { interval: Duration::from_secs(1), chosen: false, count: Some(1) };
    let series = SeriesConfig { source, pace, verbosity: args.verbosity.into() };
    Ok(ViewConfig { report, screen: None, series })
}

fn view(
    args: &ViewArgs,
    view: &'static dyn View,
    states: States,
    terminal: Terminal,
) -> Result<ViewConfig, ConfigError> {
    let ViewArgs { pace: pace_args, output: output_args, selection: chosen, source: source_args, verbosity } =
        args;
    let states = if states == States::default() { selection::states(&chosen.states)? } else { states };
    let pace = pace(pace_args)?;
    let output = output(output_args, terminal, pace.count != Some(1))?;
    let mut selection = selection::selection(chosen)?;
    let mut source = source(source_args)?;
    match &mut source {
        SourceConfig::Live(live) => {
            selection::narrow(live, &selection);
            live.counting = Counting::Sockets;
        }
        SourceConfig::Replay(_) => selection.netns = recorded_netns(source_args)?,
    }
    let brief = matches!(output.format, Format::Table | Format::Markdown);
    let options = Options { states, brief, names: output_args.resolve, ..view_options(chosen, view)? };
    Ok(ViewConfig {
        screen: screen(view, pace, output_args, terminal),
        report: ReportConfig { view, options, selection, output },
        series: SeriesConfig { source, pace, verbosity: (*verbosity).into() },
    })
}

/// The full screen: on a terminal, where neither a format nor a number of reports is chosen.
fn screen(view: &dyn View, pace: Pace, output: &OutputArgs, terminal: Terminal) -> Option<Screen> {
    let reports_chosen = output.format.is_some() || output.json || pace.count.is_some();
    if terminal.width.is_none() || reports_chosen {
        return None;
    }
    [Screen::Top, Screen::Bandwidth].into_iter().find(|screen| screen.name() == view.name())
}

/// A live source covers every network namespace unless the user chooses one.
fn cover_all_namespaces(source: &mut SourceConfig) {
    if let SourceConfig::Live(live) = source {
        live.everywhere = live.netns.is_none();
    }
}

/// Which kinds of sockets these states need: (connected, unconnected).
fn socket_kinds(states: &States) -> (bool, bool) {
    let unconnected = states.all || states.listening || !states.named.is_empty();
    let only_listening = states.listening && !states.all && !states.established && states.named.is_empty();
    (!only_listening, unconnected)
}
