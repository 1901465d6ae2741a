//! Packets of this machine, through the packet monitor that Windows brings: nothing is to be installed.
//!
//! The monitor cannot filter by an expression: every packet comes here, and is filtered here.

mod adapters;
mod api;
mod callbacks;
mod monitor;
mod owners;
mod passed_over;
mod refusal;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use self::adapters::known;
use self::callbacks::{Packets, Seen};
use self::monitor::{Adapter, Monitor, Session};
use self::owners::Owners;
use self::passed_over::{PassedOver, Why};
use self::refusal::Refusal;
pub(super) use self::refusal::status;
use super::children::Children;
use super::descendants;
use crate::events::pktmon::{Kind, Once, Sight};
use crate::events::wifi::to_ethernet;
use net_traffic_capture::{
    CaptureStartError, Ledger, LiveCaptureOptions, StopReason, Take, UserFilter, UserFilterError, now_ns,
};
use net_traffic_snapshot::ProcessId;
use net_traffic_snapshot::{OpenError, Progress};
use pcap_io::LinkType;
use pcap_io::{Interface, Packet};

/// How long to wait for packets before looking at anything else.
const TURN: Duration = Duration::from_millis(100);
/// How many packets to hand over before looking at anything else.
const AT_ONCE: u32 = 1024;
/// What a command sent last may still be in the monitor's buffers.
const LINGER: Duration = Duration::from_millis(300);

/// A capture that runs.
pub struct LiveCapture {
    options: LiveCaptureOptions,
    /// `None` once it was stopped.
    session: Option<Session>,
    packets: Packets,
    filter: UserFilter,
    once: Once,
    owners: Owners,
    /// The adapters in their order, then those that show another kind of packet once more.
    interfaces: Vec<Interface>,
    passed_over: PassedOver,
    children: Option<Children>,
    /// Who is none of them.
    strangers: HashSet<ProcessId>,
    received: u64,
    left_over: u64,
}

impl LiveCapture {
    /// Begins to capture.
    ///
    /// # Errors
    /// When the filter has no meaning, an interface does not exist, or there is no packet monitor to be had.
    pub fn start(
        options: &LiveCaptureOptions,
        expression: &str,
        optimize: bool,
    ) -> Result<Self, CaptureStartError> {
        let mut filter = UserFilter::new(expression.to_owned(), optimize);
        filter.compile(LinkType::ETHERNET).map_err(|error| match error {
            UserFilterError::Filter(error) => CaptureStartError::Filter(error),
            other @ UserFilterError::Link(_) => OpenError::Usage(other.to_string()).into(),
        })?;
        let unknown = [
            ("--container", options.choice.container.is_some()),
            ("--uid", options.choice.user.is_some()),
            ("--netns", options.netns.is_some()),
            ("--xdp", options.xdp),
        ];
        if let Some((flag, _)) = unknown.iter().find(|(_, is_wanted)| *is_wanted) {
            return Err(OpenError::Usage(format!("{flag}: not known on Windows")).into());
        }
        let known = known(&options.interfaces)?;
        let monitor = Monitor::open().map_err(|cause| Refusal::of(&cause).error())?;
        let (adapters, interfaces) = adapters::choose(monitor.adapters(), &known, options, expression)?;
        let started = monitor.start(&adapters).map_err(|cause| Refusal::of(&cause).error())?;
        let (session, packets) = started;
        Ok(Self { session: Some(session), ..Self::of(options, packets, filter, &adapters, interfaces) })
    }

    /// A capture of what comes from anywhere.
    fn of(
        options: &LiveCaptureOptions,
        packets: Packets,
        filter: UserFilter,
        adapters: &[Adapter],
        interfaces: Vec<Interface>,
    ) -> Self {
        let components = adapters.iter().map(|adapter| adapter.components.clone()).collect();
        Self {
            options: options.clone(),
            session: None,
            packets,
            filter,
            once: Once::new(components),
            owners: Owners::default(),
            interfaces,
            passed_over: PassedOver::default(),
            children: None,
            strangers: HashSet::new(),
            received: 0,
            left_over: 0,
        }
    }

    /// Starts a command of which, and of whose children, the packets are wanted.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&mut self, command: &[OsString]) -> io::Result<()> {
        let mut children = Children::adopt()?;
        children.start(command).map_err(|error| io::Error::other(error.to_string()))?;
        self.children = Some(children);
        Ok(())
    }

    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Packets have the owners that the tables know.
    #[must_use]
    pub fn without_owners(&self) -> Option<&str> {
        None
    }

    /// What was reported by now and is not shown.
    pub fn remarks(&mut self) -> Vec<String> {
        self.packets.losses.remark().into_iter().chain(self.passed_over.remarks()).collect()
    }

    /// Waits a moment for packets and hands them over; says if there will be no more.
    pub fn next(&mut self, take: &mut Take<'_>) -> Option<StopReason> {
        if let Some(children) = &mut self.children
            && matches!(children.wait(Duration::ZERO), Ok(Progress::Over) | Err(_))
        {
            std::thread::sleep(LINGER);
            self.owners.meet(descendants::newcomers());
            return Some(StopReason::CommandExited);
        }
        self.owners.meet(descendants::newcomers());
        let mut seen = match self.packets.queue.recv_timeout(TURN) {
            Ok(seen) => Some(seen),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Some(StopReason::ConsumerDone),
        };
        let mut left = AT_ONCE;
        while let Some(mut packet) = seen {
            if let Some(chosen) = self.choose(&mut packet)
                && self.give(&packet, chosen, take).is_break()
            {
                return Some(StopReason::ConsumerDone);
            }
            left -= 1;
            seen = if left > 0 { self.packets.queue.try_recv().ok() } else { None };
        }
        self.packets.losses.ended().map(|why| StopReason::SourceFailed(why.to_owned()))
    }

    /// Stops the capture and hands over what is still on its way; without a taker it is left over.
    pub fn finish(&mut self, mut take: Option<&mut Take<'_>>) {
        // With the session the queue gets its end.
        self.session = None;
        while let Ok(mut seen) = self.packets.queue.try_recv() {
            let Some(chosen) = self.choose(&mut seen) else { continue };
            match &mut take {
                None => self.left_over += 1,
                Some(wanted) => {
                    if self.give(&seen, chosen, *wanted).is_break() {
                        take = None;
                    }
                }
            }
        }
    }

    /// What became of the packets by now, but for what their taker did with them.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let count = |what: &std::sync::atomic::AtomicU64| what.load(Ordering::Relaxed);
        let losses = &self.packets.losses;
        let copy_failed = count(&losses.unreadable) + self.passed_over.lost();
        Ledger {
            received: self.received + losses.monitor() + count(&losses.queue_full) + copy_failed,
            captured: 0,
            ring_full: losses.monitor(),
            copy_failed,
            queue_full: count(&losses.queue_full),
            write_failed: 0,
            left_over: self.left_over,
            map_full: 0,
        }
    }

    /// Where the packet was seen and whose it is, if it is wanted. What came by air is a frame of Ethernet afterwards.
    fn choose(&mut self, seen: &mut Seen) -> Option<Chosen> {
        let direction = self.options.direction;
        let wanted = direction.is_none() || direction == seen.metadata.direction;
        let asked = match self.once.see(&seen.metadata) {
            Sight::First(adapter) if wanted => self.ask(seen, adapter),
            Sight::First(_) | Sight::Repeated => return None,
            Sight::Foreign => Err(Why::Foreign),
        };
        let interface = asked.unwrap_or_else(|why| {
            self.passed_over.count(why);
            None
        })?;
        let Seen { metadata, octets } = seen;
        let LiveCaptureOptions { owners, choice, .. } = &self.options;
        let chooses = !choice.pids.is_empty() || choice.process.is_some() || choice.command;
        let owner = if *owners || chooses { self.owners.of(metadata, octets, now_ns()) } else { None };
        if chooses {
            let Some(owner) = owner else {
                self.passed_over.count(Why::Unowned);
                return None;
            };
            let is_descendant = choice.command && descends(owner, &mut self.strangers, &mut self.children);
            let name = self.owners.get(owner).map(|process| &process.name);
            let is_named = choice.process.is_some() && choice.process.as_ref() == name;
            if !is_descendant && !is_named && !choice.pids.contains(&owner.pid) {
                return None;
            }
        }
        self.received += 1;
        Some(Chosen { interface, owner })
    }

    /// The taker breaks with the last packet that it wants.
    fn give(&mut self, seen: &Seen, chosen: Chosen, take: &mut Take<'_>) -> ControlFlow<()> {
        let Chosen { interface, owner } = chosen;
        let whole = seen.packet(interface);
        let kept = usize::try_from(self.options.snaplen).unwrap_or(usize::MAX);
        let process = owner.and_then(|owner| self.owners.get(owner));
        let data = whole.data.get(..kept).unwrap_or(whole.data);
        take(&self.interfaces, &Packet { data, process, ..whole })
    }

    /// The interface that shows the packet, if the filter accepts it.
    fn ask(&mut self, seen: &mut Seen, adapter: usize) -> Result<Option<usize>, Why> {
        let link = match seen.metadata.kind {
            Kind::Ethernet => LinkType::ETHERNET,
            Kind::Wifi => {
                to_ethernet(&mut seen.metadata, &mut seen.octets).map_err(Why::Air)?;
                LinkType::ETHERNET
            }
            Kind::Ip => LinkType::RAW,
            Kind::Other(kind) => return Err(Why::Kind(kind)),
        };
        let Some(interface) = self.interface(adapter, link) else { return Ok(None) };
        let accepted = self.filter.accepts(&self.interfaces, &seen.packet(interface));
        let accepted = accepted.map_err(|error| Why::Filter(error.to_string()))?;
        Ok(accepted.then_some(interface))
    }

    /// The place of the adapter's interface; one that shows another kind of packets is another.
    fn interface(&mut self, adapter: usize, link: LinkType) -> Option<usize> {
        let first = self.interfaces.get(adapter)?;
        if first.link == link {
            return Some(adapter);
        }
        let interface = Interface { link, ..first.clone() };
        let place = self.interfaces.iter().position(|known| *known == interface);
        Some(place.unwrap_or_else(|| {
            self.interfaces.push(interface);
            self.interfaces.len() - 1
        }))
    }
}

/// Whether a process is of the command's. Who is not known yet may have begun a moment ago: the job is asked once.
fn descends(process: ProcessId, strangers: &mut HashSet<ProcessId>, children: &mut Option<Children>) -> bool {
    if !descendants::has(process)
        && strangers.insert(process)
        && let Some(children) = children
    {
        // How it stands with the command is asked for at the next turn.
        let _progress = children.wait(Duration::ZERO);
    }
    descendants::has(process)
}

/// A packet that is wanted.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    interface: usize,
    owner: Option<ProcessId>,
}

impl std::fmt::Debug for LiveCapture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCapture").field("interfaces", &self.interfaces).finish_non_exhaustive()
    }
}

/// The link type of an interface, if it is there.
#[must_use]
pub fn link_of(name: &str) -> Option<LinkType> {
    super::lookup::interface(name)?.then_some(LinkType::ETHERNET)
}

#[cfg(test)]
mod tests;
