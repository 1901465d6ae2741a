//! Host names for the addresses of a model, with `--resolve`.

use std::time::Duration;

use crate::resolver::Resolver;
use net_traffic_model::Model;

/// Starts the resolver at the first use. No packet leaves the host before that.
#[derive(Debug, Default)]
pub(super) struct HostNames {
    resolver: Option<Resolver>,
    unavailable: bool,
}

/// How long a single report waits for names.
const TIMEOUT: Duration = Duration::from_secs(2);

impl HostNames {
    /// Adds resolved names to the model and queues the addresses that lack one. Never waits.
    pub(super) fn resolve(&mut self, model: &mut Model) {
        let now_ns = model.at().monotonic_ns;
        if self.resolver.is_none() && !self.unavailable {
            // Without its threads there are no names; addresses are shown as numbers.
            self.resolver = Resolver::of_system().ok();
            self.unavailable = self.resolver.is_none();
        }
        let Some(resolver) = &mut self.resolver else { return };
        model.name_hosts(resolver.resolved(now_ns));
        resolver.queue(model.remotes(), now_ns);
    }

    /// The same for a model that is shown once: waits up to [`TIMEOUT`] for the names.
    pub(super) async fn resolve_all(&mut self, model: &mut Model) {
        self.resolve(model);
        if let Some(resolver) = &mut self.resolver {
            resolver.wait_for_all(TIMEOUT).await;
            model.name_hosts(resolver.resolved(model.at().monotonic_ns));
        }
    }

    /// Returns once there are names that the model lacks; never if no address is queued.
    pub(super) async fn resolved(&mut self) {
        match &mut self.resolver {
            Some(resolver) if resolver.is_waiting() => resolver.wait().await,
            _ => std::future::pending().await,
        }
    }
}
