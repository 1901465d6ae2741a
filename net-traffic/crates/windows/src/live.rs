//! The live source: every collector of this machine behind one snapshot.

use super::connections::Connections;
use super::etw::Counting;
use super::host;
use super::interfaces::Interfaces;
use net_traffic_snapshot::{
    Collector, Counting as Wanted, LiveOptions, OpenError, SourceError, Tier, collect_all,
};
use net_traffic_snapshot::{Snapshot, Status};

/// The collectors of this machine.
pub struct Live {
    host: String,
    collectors: Vec<Box<dyn Collector>>,
    /// What was found when the source was opened and does not change.
    status: Vec<Status>,
}

impl Live {
    /// Opens what the options ask for. Where bytes are to be counted, counting has begun when this returns.
    ///
    /// # Errors
    /// When something that was asked for is not there, is not allowed, or failed.
    pub fn open(options: &LiveOptions) -> Result<Self, OpenError> {
        let LiveOptions { counting: wanted, tier, netns, sockets, survey, .. } = options;
        let descendants = *wanted == Wanted::Descendants;
        if netns.is_some() {
            return Err(OpenError::Usage("--netns: Windows has no network namespaces".to_owned()));
        }
        if wanted.xdp().is_some() {
            return Err(OpenError::Usage("--xdp: Windows has no such thing".to_owned()));
        }
        let counts = match tier {
            Tier::Auto => *wanted != Wanted::No,
            Tier::Polling => false,
            Tier::TpBtf | Tier::Fentry | Tier::Kprobe => {
                return Err(OpenError::Usage(format!("--tier {}: Windows has no such thing", tier.name())));
            }
        };
        let mut status = Vec::new();
        let counting = match counts.then(Counting::start) {
            Some(Ok(counting)) => Some(counting),
            Some(Err(refusal)) if descendants => return Err(refusal.error()),
            Some(Err(refusal)) => {
                status.push(refusal.status());
                None
            }
            None => None,
        };
        if *survey {
            status.push(super::capture::status());
        }
        let failed = |cause| OpenError::Failed { attempt: "read the host's name".to_owned(), cause };
        let host = host::name().map_err(failed)?;
        let connections = Connections::new(*sockets, counting, descendants);
        Ok(Self { host, collectors: vec![Box::new(Interfaces), Box::new(connections)], status })
    }

    /// There is one network.
    #[must_use]
    pub fn scope(&self) -> Option<u32> {
        None
    }

    /// Reads the machine.
    ///
    /// # Errors
    /// Never here: what a single collector cannot read is missing and named in `status`.
    pub fn snapshot(&mut self) -> Result<Snapshot, SourceError> {
        let mut snapshot = Snapshot {
            at: host::now(),
            host: self.host.clone(),
            status: self.status.clone(),
            cost: host::cost(),
            ..Snapshot::default()
        };
        collect_all(&mut self.collectors, &mut snapshot);
        Ok(snapshot)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.collectors.iter().map(|collector| collector.name()).collect();
        f.debug_struct("Live").field("collectors", &names).finish_non_exhaustive()
    }
}
