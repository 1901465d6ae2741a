//! The live source: every collector of this machine behind one snapshot.

use super::capture;
use super::cgroup::Containers;
use super::ebpf::Ebpf;
use super::error_chain::chain;
use super::interface_accounting::InterfaceAccounting;
use super::interfaces::Interfaces;
use super::load::{self, LoadError, LoadOptions};
use super::netns::NetNs;
use super::other_namespaces::OtherNamespaces;
use super::procfs::ProcFs;
use super::rights;
use super::sock_diag::{SockDiag, SocketQuery, States};
use crate::platform::host;
use net_traffic_snapshot::{
    Collector, LiveOptions, Netns, OpenError, SourceError, Tier, Wanted, collect_all,
};
use net_traffic_snapshot::{Cost, Protocol, Snapshot, State, Status};

/// The collectors of this machine.
pub struct Live {
    host: String,
    collectors: Vec<Box<dyn Collector>>,
    /// What was found when the source was opened and does not change.
    status: Vec<Status>,
    /// Whether all that is said of a slot is wanted in one place.
    surveys: bool,
    scope: Option<u32>,
}

impl Live {
    /// Opens what the options ask for. Where bytes are to be counted, counting has begun when this returns.
    ///
    /// # Errors
    /// When something that was asked for does not exist, is not allowed, or failed.
    pub fn open(options: &LiveOptions) -> Result<Self, OpenError> {
        let LiveOptions { counting, tier, netns, everywhere, wanted, survey, descendants, wire, .. } =
            options;
        let netns = namespace(netns.as_ref())?;
        let failed = |attempt: &str| {
            let attempt = attempt.to_owned();
            move |cause| OpenError::Failed { attempt, cause }
        };
        let mut status = if *survey { survey_tiers() } else { Vec::new() };
        let watched = wire.then_some(&netns);
        let mut ebpf = if *descendants {
            Some(Ebpf::start(*tier, tracing(), watched).map_err(|error| refusal(*tier, &error))?)
        } else if *counting {
            start_counting(options, watched, &mut status)?
        } else {
            None
        };
        let programs = ebpf.as_mut().and_then(Ebpf::take_interface_programs);
        let xdp = options.arrivals.clone().unwrap_or_default();
        let accounting = programs.map(|programs| InterfaceAccounting::start(programs, &netns, xdp));
        let accounting = accounting.transpose().map_err(failed("watch the interfaces"))?;
        let dumps = dumps(*wanted, ebpf.is_some() && !options.waits);
        let scope = (!everywhere).then(|| netns.inode());
        let everyone = *everywhere && ebpf.is_none();
        let sockets = SockDiag::new(&netns, &dumps).map_err(failed("ask the kernel for its sockets"))?;
        let others = everyone.then(|| OtherNamespaces::new(netns.inode(), dumps));
        let interfaces = Interfaces::new(netns).map_err(failed("enter the network namespace"))?;
        let interfaces = if *everywhere { interfaces.with_stacked() } else { interfaces };
        // The programs' counters first: the time of a snapshot is that of their reading.
        let mut collectors: Vec<Box<dyn Collector>> = Vec::new();
        collectors.extend(ebpf.map(|ebpf| Box::new(ebpf) as Box<dyn Collector>));
        collectors.push(Box::new(interfaces));
        collectors.extend(accounting.map(|accounting| Box::new(accounting) as Box<dyn Collector>));
        collectors.push(Box::new(sockets));
        // Programs see the sockets of all namespaces by themselves.
        collectors.extend(others.map(|others| Box::new(others) as Box<dyn Collector>));
        collectors.push(Box::new(ProcFs::default()));
        collectors.push(Box::new(Containers::default()));
        let host = host::name().map_err(failed("read the host's name"))?;
        Ok(Self { host, collectors, status, surveys: *survey, scope })
    }

    /// The inode of the network namespace that was asked for; `None` if all were.
    #[must_use]
    pub fn scope(&self) -> Option<u32> {
        self.scope
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
        if self.surveys {
            snapshot.status = each_once(snapshot.status);
        }
        let Cost { user_cpu_ms, rss_bytes, .. } = host::cost();
        snapshot.cost = Cost { user_cpu_ms, rss_bytes, ..snapshot.cost };
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
    options: &LiveOptions,
    watched: Option<&NetNs>,
    status: &mut Vec<Status>,
) -> Result<Option<Ebpf>, OpenError> {
    let LiveOptions { tier, lose_one_in, .. } = *options;
    let arrivals = options.arrivals.is_some();
    if tier == Tier::Polling {
        return if arrivals {
            Err(OpenError::Usage("--xdp: polling runs no program that could count".to_owned()))
        } else {
            Ok(None)
        };
    }
    match Ebpf::start(tier, LoadOptions { xdp_rx: arrivals, lose_one_in, ..LoadOptions::default() }, watched)
    {
        Ok(ebpf) => Ok(Some(ebpf)),
        Err(error) => {
            if tier == Tier::Auto && !arrivals {
                status.push(not_counting(&error, lacking()));
                return Ok(None);
            }
            Err(refusal(tier, &error))
        }
    }
}

/// What this kernel and these rights grant: each tier by a trial, and what is missing for everything else.
fn survey_tiers() -> Vec<Status> {
    let lacking = rights::effective().map(rights::missing).unwrap_or_default();
    let tiers = [
        (Tier::TpBtf, "every call, exact to the byte, at the lowest cost"),
        (Tier::Fentry, "every call, exact to the byte, also splice and kernel users as they happen"),
        (Tier::Kprobe, "every call, exact to the byte, at several times the cost"),
    ];
    let trials = tiers.into_iter().map(|(tier, covers)| {
        let refusal = load::load(tier, LoadOptions::default(), None).err().map(|error| chain(&error));
        Status {
            slot: format!("tier {}", tier.name()),
            tier: refusal.is_none().then(|| tier.name().to_owned()),
            program: None,
            covers: Some(covers.to_owned()),
            reason: refusal,
            remedy: None,
        }
    });
    trials.chain([capture::status()]).chain(lacking).collect()
}

/// One entry for each slot: how it is filled, and all that is missing there.
fn each_once(status: Vec<Status>) -> Vec<Status> {
    let mut once: Vec<Status> = Vec::with_capacity(status.len());
    for more in status {
        let Some(known) = once.iter_mut().find(|known| known.slot == more.slot) else {
            once.push(more);
            continue;
        };
        let Status { slot: _, tier, program, covers, reason, remedy } = more;
        let mut reasons: Vec<String> = known.reason.take().into_iter().chain(reason).collect();
        reasons.dedup();
        known.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        known.tier = known.tier.take().or(tier);
        known.program = known.program.take().or(program);
        known.covers = known.covers.take().or(covers);
        known.remedy = known.remedy.take().or(remedy);
    }
    once
}

/// As many descendants as there may be processes on most hosts.
fn tracing() -> LoadOptions {
    LoadOptions { descendants: 65_536, ..LoadOptions::default() }
}

/// Why there is no source where it must count.
fn refusal(tier: Tier, error: &LoadError) -> OpenError {
    match (lacking().and_then(|lacking| lacking.remedy), tier) {
        (Some(remedy), _) => OpenError::Privilege {
            attempt: match tier {
                Tier::Auto => "counting in the kernel".to_owned(),
                _ => format!("counting with {}", tier.name()),
            },
            capability: "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN",
            remedy,
        },
        (None, Tier::Auto) => OpenError::Failed {
            attempt: "count in the kernel".to_owned(),
            cause: std::io::Error::other(chain(error)),
        },
        (None, _) => {
            OpenError::Usage(format!("--tier {}: this kernel refuses it: {}", tier.name(), chain(error)))
        }
    }
}

/// The rights to count that this process lacks.
fn lacking() -> Option<Status> {
    rights::effective().ok().and_then(|have| rights::missing_for(rights::COUNTING, have))
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
        covers: None,
        reason: Some(reason.unwrap_or_else(|| chain(error))),
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

/// What netlink is asked for. Where programs count, they know every TCP socket that a process holds; netlink adds
/// those that nobody holds any more, and those that never move anything.
fn dumps(wanted: Wanted, counting: bool) -> Vec<SocketQuery> {
    // In these states the application has not closed it yet. (A UDP socket with a peer is `established`, too, and has
    // counters only once it has moved something.)
    let counted = [State::Established, State::CloseWait];
    let mut states = States::ALL;
    // A UDP socket without a peer is in the state `closed`.
    let unconnected = [State::Listen, State::Closed];
    if !wanted.unconnected {
        states = states.without(&unconnected);
    }
    if !wanted.connected {
        states = States::of(&unconnected);
    }
    let asked = |yes: bool, protocols: &[Protocol]| {
        let dump = |protocol: &Protocol| {
            let is_counted = counting && *protocol == Protocol::Tcp;
            SocketQuery {
                protocol: *protocol,
                states: if is_counted { states.without(&counted) } else { states },
            }
        };
        if yes { protocols.iter().map(dump).collect() } else { Vec::new() }
    };
    [
        asked(wanted.tcp, &[Protocol::Tcp, Protocol::Mptcp]),
        asked(wanted.udp, &[Protocol::Udp]),
        asked(wanted.others, &[Protocol::Sctp, Protocol::Raw]),
    ]
    .concat()
}
