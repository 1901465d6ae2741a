//! What `run` means: the command, whom to watch, and where the report goes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Config, ConfigError, Job, Pace, SourceConfig, Terminal, Viewing, count_bytes, machine, messages, options,
    output, refuse, selection,
};
use crate::args::RunArgs;
use net_traffic_output::Format;
use net_traffic_snapshot::Tier;
use net_traffic_view::{Options, Run};

/// A command to run, and how to report on it.
#[derive(Debug)]
pub(crate) struct Running {
    pub command: Vec<OsString>,
    /// The view is that of a command that ended well.
    pub viewing: Viewing,
    pub to: Target,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    StandardOutput,
    StandardError,
    File(PathBuf),
}

/// One report, when all is over.
pub(super) fn config(args: &RunArgs, terminal: Terminal) -> Result<Config, ConfigError> {
    let mut source = machine(&args.machine)?;
    let mut selection = selection::selection(&args.selection)?;
    selection.traced = true;
    if let SourceConfig::Live(live) = &mut source {
        if live.tier == Tier::Polling {
            return refuse("--tier polling: what a short command moved is gone before it could be asked for");
        }
        selection::narrow(live, &selection);
        live.descendants = true;
        live.everywhere = live.netns.is_none();
    }
    count_bytes(&mut source);
    let mut output = output(&args.format, terminal, false)?;
    let chosen = args.format.format.is_some() || args.format.json;
    let to = match &args.output {
        Some(file) => {
            if !chosen {
                output.format = Format::Json;
            }
            Target::File(file.clone())
        }
        None if chosen => Target::StandardOutput,
        None => Target::StandardError,
    };
    let view = &Run { exit_status: 0 };
    let states = selection::states(&args.selection.states)?;
    let options = Options { states, names: args.format.resolve, ..options(&args.selection, view)? };
    let (quiet, verbose) = messages(&args.verbosity);
    let viewing = Viewing { view, options, selection, output, screen: None };
    let pace = Pace { interval: Duration::from_secs(1), chosen: false, count: None };
    let job = Job::Run(Box::new(Running { command: args.command.clone(), viewing, to }));
    Ok(Config { job, source, pace, quiet, verbose })
}
