//! Opens the source of snapshots, and refuses interfaces and processes that do not exist.

use super::failure::Failure;
use crate::config::{SourceConfig, ViewConfig};
use crate::source::Source;
use crate::source::system::{Live, lookup};
use net_traffic_model::Selection;
use net_traffic_snapshot::{Replay, Snapshot};

/// Opens the source of a view, after a check that the selected interfaces and processes exist.
pub(super) fn open_for(config: &ViewConfig) -> Result<Source, Failure> {
    if let SourceConfig::Live(live) = &config.series.source {
        let selection = &config.report.selection;
        // The interfaces of another namespace are checked with the first snapshot.
        let interfaces = if live.netns.is_none() { selection.interfaces.as_slice() } else { &[] };
        if let Some(name) = interfaces.iter().find(|name| lookup::interface(name) == Some(false)) {
            return Err(no_interface(name));
        }
        if let Some(pid) = selection.pids.iter().find(|pid| lookup::process(**pid) == Some(false)) {
            return Err(Failure::Usage(format!("--pid {pid}: there is no such process")));
        }
    }
    open(&config.series.source)
}

pub(super) fn open(source: &SourceConfig) -> Result<Source, Failure> {
    Ok(match source {
        SourceConfig::Replay(file) => {
            Source::Replay(Replay::open(file).map_err(|error| Failure::replay(file, &error))?)
        }
        SourceConfig::Live(options) => Source::Live(Live::open(options)?),
    })
}

/// A recording, or another namespace, has its interfaces in the first snapshot. If that has none, they could not be
/// read, and the selection is not refused.
pub(super) fn check_interfaces(selection: &Selection, snapshot: &Snapshot) -> Result<(), Failure> {
    if snapshot.interfaces.is_empty() {
        return Ok(());
    }
    let exists = |name: &String| snapshot.interfaces.iter().any(|interface| interface.name == *name);
    match selection.interfaces.iter().find(|name| !exists(name)) {
        Some(name) => Err(no_interface(name)),
        None => Ok(()),
    }
}

fn no_interface(name: &str) -> Failure {
    Failure::Usage(format!("-i {name}: there is no such interface"))
}
