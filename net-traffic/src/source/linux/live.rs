//! The live source: every collector of this machine behind one snapshot.

use super::cgroup::Containers;
use super::ebpf::Ebpf;
use super::host;
use super::interfaces::Interfaces;
use super::load::{LoadError, Sizes};
use super::netns::NetNs;
use super::polling::collect_all;
use super::procfs::ProcFs;
use super::rights;
use super::sock_diag::{SockDiag, States, Wanted as Dump};
use super::wire::Wire;
use crate::snapshot::{Protocol, Snapshot, State, Status};
use crate::source::{Collector, LiveOptions, Netns, OpenError, SourceError, Tier, Wanted};

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
    /// When something that was asked for does not exist, is not allowed, or failed.
    pub fn open(options: &LiveOptions) -> Result<Self, OpenError> {
        let LiveOptions { counting, tier, netns, wanted, wire } = options;
        let netns = namespace(netns.as_ref())?;
        let failed = |attempt: &str| {
            let attempt = attempt.to_owned();
            move |cause| OpenError::Failed { attempt, cause }
        };
        let mut status = Vec::new();
        let watched = wire.then_some(&netns);
        let mut ebpf = if *counting { start_counting(*tier, watched, &mut status)? } else { None };
        let wire = ebpf.as_mut().and_then(Ebpf::take_wire);
        let wire = wire.map(|programs| Wire::start(programs, &netns)).transpose();
        let wire = wire.map_err(failed("watch the interfaces"))?;
        let dumps = dumps(*wanted, ebpf.is_some());
        let sockets = SockDiag::new(&netns, &dumps).map_err(failed("ask the kernel for its sockets"))?;
        let interfaces = Interfaces::new(netns).map_err(failed("enter the network namespace"))?;
        let mut collectors: Vec<Box<dyn Collector>> = vec![Box::new(interfaces)];
        if let Some(ebpf) = ebpf {
            collectors.push(Box::new(ebpf));
        }
        if let Some(wire) = wire {
            collectors.push(Box::new(wire));
        }
        collectors.push(Box::new(sockets));
        collectors.push(Box::new(ProcFs::default()));
        collectors.push(Box::new(Containers::default()));
        Ok(Self { host: host::name().map_err(failed("read the host's name"))?, collectors, status })
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
            ..Snapshot::default()
        };
        collect_all(&mut self.collectors, &mut snapshot);
        let map_bytes = snapshot.cost.map_bytes;
        snapshot.cost = host::cost();
        snapshot.cost.map_bytes = map_bytes;
        Ok(snapshot)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.collectors.iter().map(|collector| collector.name()).collect();
        f.debug_struct("Live").field("collectors", &names).finish_non_exhaustive()
    }
}

/// Loads the programs. Without a tier that the user insists on, a refusal is a fact to show and not an error.
fn start_counting(
    tier: Tier,
    watched: Option<&NetNs>,
    status: &mut Vec<Status>,
) -> Result<Option<Ebpf>, OpenError> {
    if tier == Tier::Polling {
        return Ok(None);
    }
    match Ebpf::start(tier, Sizes::default(), watched) {
        Ok(ebpf) => Ok(Some(ebpf)),
        Err(error) => {
            let lacking =
                rights::effective().ok().and_then(|have| rights::missing_for(rights::COUNTING, have));
            if tier == Tier::Auto {
                status.push(not_counting(&error, lacking));
                return Ok(None);
            }
            Err(match lacking.and_then(|lacking| lacking.remedy) {
                Some(remedy) => OpenError::Privilege {
                    attempt: format!("counting with {}", tier.name()),
                    capability: "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN",
                    remedy,
                },
                None => OpenError::Usage(format!("--tier {}: this kernel refuses it: {error}", tier.name())),
            })
        }
    }
}

fn not_counting(error: &LoadError, lacking: Option<Status>) -> Status {
    let (reason, remedy) = match lacking {
        Some(Status { reason, remedy, .. }) => (reason, remedy),
        None => (None, None),
    };
    Status {
        slot: rights::COUNTING.to_owned(),
        tier: None,
        program: None,
        reason: Some(reason.unwrap_or_else(|| error.to_string())),
        remedy,
    }
}

fn namespace(name: Option<&Netns>) -> Result<NetNs, OpenError> {
    let resolved = match name {
        None => NetNs::own(),
        Some(Netns::Path(path)) => NetNs::resolve(&path.to_string_lossy()),
        Some(Netns::Pid(pid)) => NetNs::resolve(&pid.to_string()),
        Some(Netns::Inode(inode)) => {
            return Err(OpenError::Usage(format!("--netns {inode}: name a live namespace by path or PID")));
        }
    };
    resolved.map_err(|error| OpenError::Usage(format!("--netns: {error}")))
}

/// What netlink is asked for. Where programs count, they see every socket that moved something; netlink adds those
/// that never will.
fn dumps(wanted: Wanted, counting: bool) -> Vec<Dump> {
    let states = if counting {
        States::ALL.without(&[
            State::FinWait1,
            State::FinWait2,
            State::LastAck,
            State::Closing,
            State::CloseWait,
        ])
    } else {
        States::ALL
    };
    let asked = |yes: bool, protocols: &[Protocol]| {
        let dump = |protocol: &Protocol| Dump { protocol: *protocol, states };
        if yes { protocols.iter().map(dump).collect() } else { Vec::new() }
    };
    [
        asked(wanted.tcp, &[Protocol::Tcp, Protocol::Mptcp]),
        asked(wanted.udp, &[Protocol::Udp]),
        asked(wanted.others, &[Protocol::Sctp, Protocol::Raw]),
    ]
    .concat()
}
