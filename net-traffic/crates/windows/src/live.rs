//! The live source: runs all collectors of this machine for each snapshot.

use super::connections::Connections;
use super::etw::EtwCounter;
use super::interfaces::Interfaces;
use super::platform::host;
use net_traffic_snapshot::{Collector, Counting, LiveOptions, OpenError, SourceError, Tier, collect_all};
use net_traffic_snapshot::{Snapshot, Status};

/// The collectors of this machine.
pub struct Live {
    host: String,
    collectors: Vec<Box<dyn Collector>>,
    /// The status entries that are fixed when the source opens.
    status: Vec<Status>,
}

impl Live {
    /// Opens the collectors. If the options ask for byte counts, the ETW session runs when this returns.
    ///
    /// # Errors
    /// When an option does not exist on Windows, a privilege is missing, or a call fails.
    pub fn open(options: &LiveOptions) -> Result<Self, OpenError> {
        let LiveOptions { counting: wanted, tier, netns, sockets, survey, .. } = options;
        let descendants = *wanted == Counting::Descendants;
        if netns.is_some() {
            return Err(OpenError::Usage("--netns: Windows has no network namespaces".to_owned()));
        }
        if wanted.xdp().is_some() {
            return Err(OpenError::Usage("--xdp: Windows has no XDP hook".to_owned()));
        }
        let counts = match tier {
            Tier::Auto => *wanted != Counting::No,
            Tier::Polling => false,
            Tier::TpBtf | Tier::Fentry | Tier::Kprobe => {
                return Err(OpenError::Usage(format!(
                    "--tier {}: this tier exists on Linux only",
                    tier.name()
                )));
            }
        };
        let mut status = Vec::new();
        let counting = match counts.then(EtwCounter::start) {
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

    /// Always `None`: Windows has no network namespaces.
    #[must_use]
    pub fn scope(&self) -> Option<u32> {
        None
    }

    /// Takes a snapshot.
    ///
    /// # Errors
    /// None here: data that a collector cannot read is absent, and `status` has the reason.
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
