//! Opens where snapshots come from, and says no to what the user named and nobody has.

use super::failure::Failure;
use crate::config::{Config, Job, SourceConfig};
use crate::source::Source;
use crate::source::system::{Live, lookup};
use net_traffic_snapshot::{Replay, Snapshot};

/// Opens the source, after what the user named was looked for.
pub(super) fn open(config: &Config) -> Result<Source, Failure> {
    match &config.source {
        SourceConfig::Replay(file) => {
            let replay = Replay::open(file).map_err(|error| Failure::replay(file, &error))?;
            Ok(Source::Replay(replay))
        }
        SourceConfig::Live(options) => {
            if let Job::View(viewing) = &config.job {
                let selection = &viewing.selection;
                // Another namespace has other interfaces; the first snapshot has them.
                let interfaces = if options.netns.is_none() { selection.interfaces.as_slice() } else { &[] };
                if let Some(name) = interfaces.iter().find(|name| lookup::interface(name) == Some(false)) {
                    return Err(no_interface(name));
                }
                if let Some(pid) = selection.pids.iter().find(|pid| lookup::process(**pid) == Some(false)) {
                    return Err(Failure::Usage(format!("--pid {pid}: there is no such process")));
                }
            }
            Ok(Source::Live(Live::open(options)?))
        }
    }
}

/// A recording, or another namespace, shows its interfaces only when it is read. If none could be read, that is not
/// the user's mistake.
pub(super) fn check_interfaces(config: &Config, snapshot: &Snapshot) -> Result<(), Failure> {
    let Job::View(viewing) = &config.job else { return Ok(()) };
    if snapshot.interfaces.is_empty() {
        return Ok(());
    }
    let known = |name: &String| snapshot.interfaces.iter().any(|interface| interface.name == *name);
    match viewing.selection.interfaces.iter().find(|name| !known(name)) {
        Some(name) => Err(no_interface(name)),
        None => Ok(()),
    }
}

fn no_interface(name: &str) -> Failure {
    Failure::Usage(format!("-i {name}: there is no such interface"))
}
