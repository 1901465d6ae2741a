//! Names of remote hosts for a model, where the user wants them.

use std::time::Duration;

use crate::resolver::Names;
use net_traffic_model::Model;

/// Asks for names once they are wanted; nothing is asked, and no packet leaves the host, before.
#[derive(Debug, Default)]
pub(super) struct Naming {
    names: Option<Names>,
    refused: bool,
}

/// How long a report that is the only one waits for names.
const PATIENCE: Duration = Duration::from_secs(2);

impl Naming {
    /// Gives the model the names that came, and asks for those that it lacks. Never waits.
    pub(super) fn look_up(&mut self, model: &mut Model) {
        let now_ns = model.at().monotonic_ns;
        if self.names.is_none() && !self.refused {
            // Without threads for it there are no names, and numbers are what is shown without names.
            self.names = Names::of_system().ok();
            self.refused = self.names.is_none();
        }
        let Some(names) = &mut self.names else { return };
        model.name_hosts(names.take(now_ns));
        names.ask(model.remotes(), now_ns);
    }

    /// The same for a model that will not be shown again: waits a little for the answers.
    pub(super) async fn look_up_once(&mut self, model: &mut Model) {
        self.look_up(model);
        if let Some(names) = &mut self.names {
            names.all_arrived(PATIENCE).await;
            model.name_hosts(names.take(model.at().monotonic_ns));
        }
    }

    /// Returns once names came that the model does not have; never where none are awaited.
    pub(super) async fn arrived(&mut self) {
        match &mut self.names {
            Some(names) if names.is_waiting() => names.arrived().await,
            _ => std::future::pending().await,
        }
    }
}
