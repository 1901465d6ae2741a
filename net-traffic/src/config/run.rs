//! The configuration of `run`: the command, what to trace, and where the report goes.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{
    ConfigError, ReportConfig, Terminal, Verbosity, machine, output, refuse, selection, view_options,
};
use crate::args::RunArgs;
use net_traffic_output::Format;
use net_traffic_snapshot::{Counting, LiveOptions, Tier};
use net_traffic_view::{Options, Run};

/// A command to run, and the report on its traffic.
#[derive(Debug)]
pub(crate) struct RunConfig {
    pub command: Vec<OsString>,
    pub live: LiveOptions,
    /// Its view is that of exit status 0; the report has the real one.
    pub report: ReportConfig,
    pub target: ReportTarget,
    pub verbosity: Verbosity,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReportTarget {
    StandardOutput,
    StandardError,
    File(PathBuf),
}

pub(super) fn config(args: &RunArgs, terminal: Terminal) -> Result<RunConfig, ConfigError> {
    let mut live = machine(&args.machine)?;
    if live.tier == Tier::Polling {
        return refuse("--tier polling: cannot count processes that end between two reports");
    }
    let mut selection = selection::selection(&args.selection)?;
    selection.traced = true;
    selection::narrow(&mut live, &selection);
    live.counting = Counting::Descendants;
    live.everywhere = live.netns.is_none();

    let mut output = output(&args.format, terminal, false)?;
    let format_chosen = args.format.format.is_some() || args.format.json;
    let target = match &args.output {
        Some(file) => {
            if !format_chosen {
                output.format = Format::Json;
            }
            ReportTarget::File(file.clone())
        }
        None if format_chosen => ReportTarget::StandardOutput,
        None => ReportTarget::StandardError,
    };
    let view = &Run { exit_status: 0 };
    let states = selection::states(&args.selection.states)?;
    let options = Options { states, names: args.format.resolve, ..view_options(&args.selection, view)? };
    Ok(RunConfig {
        command: args.command.clone(),
        live,
        report: ReportConfig { view, options, selection, output },
        target,
        verbosity: args.verbosity.into(),
    })
}
