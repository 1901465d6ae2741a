//! The live source: every collector of this machine.

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
    Collector, Counting, LiveOptions, Netns, OpenError, SocketFilter, SourceError, Tier, collect_all,
};
use net_traffic_snapshot::{Cost, Protocol, Snapshot, State, Status};

/// The collectors of this machine.
pub struct Live {
    host: String,
    collectors: Vec<Box<dyn Collector>>,
    /// The entries of the opening, which do not change.
    status: Vec<Status>,
    /// Merge the status entries of a slot, for `doctor`.
    surveys: bool,
    scope: Option<u32>,
}

impl Live {
    /// Opens the collectors. The programs count when this returns.
    ///
    /// # Errors
    /// When an option names something that does not exist, a privilege is missing, or a call failed.
    pub fn open(options: &LiveOptions) -> Result<Self, OpenError> {
        Self::open_with_faults(options, 0)
    }

    /// The same, with programs that skip one event in `lose_one_in`; 0 skips none. A self-test must find the difference.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_with_faults(options: &LiveOptions, lose_one_in: u32) -> Result<Self, OpenError> {
        let LiveOptions { counting, netns, everywhere, sockets, survey, .. } = options;
        let netns = namespace(netns.as_ref())?;
        let failed = |attempt: &str| {
            let attempt = attempt.to_owned();
            move |cause| OpenError::Failed { attempt, cause }
        };
        let mut status = if *survey { survey_tiers() } else { Vec::new() };
        let mut ebpf = start_counting(options, lose_one_in, &netns, &mut status)?;
        let programs = ebpf.as_mut().and_then(Ebpf::take_interface_programs);
        let xdp = counting.xdp().unwrap_or_default().to_vec();
        let accounting = programs.map(|programs| InterfaceAccounting::start(programs, &netns, xdp));
        let accounting = accounting.transpose().map_err(failed("watch the interfaces"))?;
        let dumps = dumps(*sockets, ebpf.is_some() && !options.waits);
        let scope = (!everywhere).then(|| netns.inode());
        let everyone = *everywhere && ebpf.is_none();
        let sockets = SockDiag::new(&netns, &dumps).map_err(failed("ask the kernel for its sockets"))?;
        let others = everyone.then(|| OtherNamespaces::new(netns.inode(), dumps));
        let interfaces = Interfaces::new(netns).map_err(failed("enter the network namespace"))?;
        let interfaces = if *everywhere { interfaces.with_stacked() } else { interfaces };
        // The counters of the programs come first: the time of the snapshot is the time of their reading.
        let mut collectors: Vec<Box<dyn Collector>> = Vec::new();
        collectors.extend(ebpf.map(|ebpf| Box::new(ebpf) as Box<dyn Collector>));
        collectors.push(Box::new(interfaces));
        collectors.extend(accounting.map(|accounting| Box::new(accounting) as Box<dyn Collector>));
        collectors.push(Box::new(sockets));
        // Programs count the sockets of every namespace.
        collectors.extend(others.map(|others| Box::new(others) as Box<dyn Collector>));
        collectors.push(Box::new(ProcFs::default()));
        collectors.push(Box::new(Containers::default()));
        let host = host::name().map_err(failed("read the host's name"))?;
        Ok(Self { host, collectors, status, surveys: *survey, scope })
    }

    /// The inode of the selected network namespace; `None`: all of them.
    #[must_use]
    pub fn scope(&self) -> Option<u32> {
        self.scope
    }

    /// Reads the machine.
    ///
    /// # Errors
    /// None on Linux: `status` names the parts that a collector could not read.
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

/// Loads the programs. Unless the user chose a tier, a refusal is an entry of the status and no error.
fn start_counting(
    options: &LiveOptions,
    lose_one_in: u32,
    netns: &NetNs,
    status: &mut Vec<Status>,
) -> Result<Option<Ebpf>, OpenError> {
    let LiveOptions { counting, tier, .. } = options;
    let tier = *tier;
    let interfaces = match counting {
        Counting::No => return Ok(None),
        Counting::Descendants => {
            return Ebpf::start(tier, tracing(), None).map(Some).map_err(|error| refusal(tier, &error));
        }
        Counting::Sockets => None,
        Counting::SocketsAndInterfaces { .. } => Some(netns),
    };
    let xdp_rx = counting.xdp().is_some();
    if tier == Tier::Polling {
        return if xdp_rx {
            Err(OpenError::Usage("--xdp: polling runs no program that could count".to_owned()))
        } else {
            Ok(None)
        };
    }
    match Ebpf::start(tier, LoadOptions { xdp_rx, lose_one_in, ..LoadOptions::default() }, interfaces) {
        Ok(ebpf) => Ok(Some(ebpf)),
        Err(error) => {
            if tier == Tier::Auto && !xdp_rx {
                status.push(not_counting(&error, lacking()));
                return Ok(None);
            }
            Err(refusal(tier, &error))
        }
    }
}

/// The tiers that this kernel and these privileges grant, by a trial of each, and the missing capabilities.
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

/// One entry for each slot.
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

/// Room for as many descendants as most hosts have processes.
fn tracing() -> LoadOptions {
    LoadOptions { descendants: 65_536, ..LoadOptions::default() }
}

/// The error of a source that must count and cannot.
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

/// The capabilities for counting that this process lacks.
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

/// The `sock_diag` queries. Programs that count have every TCP socket that a process has open. `sock_diag` adds the
/// sockets that no process has open, and listening ones.
fn dumps(wanted: SocketFilter, counting: bool) -> Vec<SocketQuery> {
    // A process has the socket open in these states. A UDP socket with a peer is `established`, too, but has counters
    // only after its first datagram.
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
