//! Packets of this machine, through the packet monitor that Windows brings: nothing is to be installed.
//!
//! The monitor cannot filter by an expression: every packet comes here, and is filtered here.

mod adapters;
mod api;
mod monitor;
mod owners;
mod refusal;

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use self::adapters::{known, name_of};
use self::monitor::{Adapter, Monitor, Packets, Seen, Session};
use self::owners::Owners;
use self::refusal::Refusal;
use super::children::Children;
use super::descendants;
use super::host;
use crate::packet::format::LinkType;
use crate::packet::{Interface, Ledger, Packet};
use crate::snapshot::{ProcessId, Status};
use crate::source::capture::{
    End, LiveCaptureOptions, StartError, Take, UserFilter, UserFilterError, now_ns,
};
use crate::source::etw::pktmon::{Kind, Once};
use crate::source::{OpenError, Progress};

/// The slot of the status.
const SLOT: &str = "capture";
/// How long to wait for packets before looking at anything else.
const TURN: Duration = Duration::from_millis(100);

/// A capture that runs.
pub struct LiveCapture {
    options: LiveCaptureOptions,
    /// `None` once it was stopped.
    session: Option<Session>,
    packets: Packets,
    filter: UserFilter,
    adapters: Vec<Adapter>,
    once: Once,
    owners: Owners,
    /// One for each adapter and each kind of packet that it shows.
    interfaces: Vec<Interface>,
    children: Option<Children>,
    received: u64,
    left_over: u64,
}

impl LiveCapture {
    /// Begins to capture.
    ///
    /// # Errors
    /// When the filter has no meaning, an interface does not exist, or there is no packet monitor to be had.
    pub fn start(options: &LiveCaptureOptions, expression: &str, optimize: bool) -> Result<Self, StartError> {
        let mut filter = UserFilter::new(expression.to_owned(), optimize);
        filter.compile(LinkType::ETHERNET).map_err(|error| match error {
            UserFilterError::Filter(error) => StartError::Filter(error),
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
        let mut adapters = monitor.adapters();
        let mut names: Vec<String> = adapters.iter().map(|adapter| name_of(adapter, &known)).collect();
        if !options.interfaces.is_empty() {
            let mut wanted = names.iter().map(|name| options.interfaces.contains(name));
            adapters.retain(|_| wanted.next().unwrap_or(false));
            names.retain(|name| options.interfaces.contains(name));
        }
        if adapters.is_empty() {
            let text =
                "the packet monitor does not know the interface; `pktmon list` has those that it knows";
            return Err(OpenError::Usage(text.to_owned()).into());
        }
        let interfaces = names.into_iter().map(|name| Interface {
            index: known
                .iter()
                .find(|interface| interface.name == name)
                .map_or(0, |interface| interface.index),
            name: Some(name),
            link: LinkType::ETHERNET,
            snaplen: options.snaplen,
            filter: (!expression.is_empty()).then(|| expression.to_owned()),
            ..Interface::default()
        });
        let interfaces = interfaces.collect();
        let started = monitor.start(&adapters).map_err(|cause| Refusal::of(&cause).error())?;
        let (session, packets) = started;
        Ok(Self { session: Some(session), ..Self::of(options, packets, filter, adapters, interfaces) })
    }

    /// A capture of what comes from anywhere.
    fn of(
        options: &LiveCaptureOptions,
        packets: Packets,
        filter: UserFilter,
        adapters: Vec<Adapter>,
        interfaces: Vec<Interface>,
    ) -> Self {
        let components = adapters.iter().flat_map(|adapter| adapter.components.clone()).collect();
        Self {
            options: options.clone(),
            session: None,
            packets,
            filter,
            adapters,
            once: Once::new(components),
            owners: Owners::default(),
            interfaces,
            children: None,
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

    /// There is nothing to say of how packets are captured here.
    pub fn remarks(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Waits a moment for packets and hands them over; says if there will be no more.
    pub fn next(&mut self, take: &mut Take<'_>) -> Option<End> {
        if let Some(children) = &mut self.children
            && matches!(children.wait(Duration::ZERO), Ok(Progress::Over) | Err(_))
        {
            return Some(End::Command);
        }
        self.owners.meet(descendants::newcomers());
        let mut seen = match self.packets.queue.recv_timeout(TURN) {
            Ok(seen) => Some(seen),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Some(End::Enough),
        };
        while let Some(packet) = seen {
            if let Some(chosen) = self.choose(&packet)
                && self.give(&packet, chosen, take).is_break()
            {
                return Some(End::Enough);
            }
            seen = self.packets.queue.try_recv().ok();
        }
        None
    }

    /// Stops the capture and hands over what is still on its way; without a taker it is left over.
    pub fn finish(&mut self, mut take: Option<&mut Take<'_>>) {
        // With the session the queue gets its end.
        self.session = None;
        while let Ok(seen) = self.packets.queue.try_recv() {
            let Some(chosen) = self.choose(&seen) else { continue };
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
        Ledger {
            received: self.received
                + losses.monitor()
                + count(&losses.queue_full)
                + count(&losses.unreadable),
            captured: 0,
            ring_full: losses.monitor(),
            copy_failed: count(&losses.unreadable),
            queue_full: count(&losses.queue_full),
            write_failed: 0,
            left_over: self.left_over,
        }
    }

    /// Where the packet was seen and whose it is, if it is wanted. The monitor reports each packet several times.
    fn choose(&mut self, seen: &Seen) -> Option<Chosen> {
        let Seen { metadata, octets } = seen;
        let direction = self.options.direction;
        if !self.once.is_first(metadata) || (direction.is_some() && direction != metadata.direction) {
            return None;
        }
        let interface = self.interface(metadata.component, metadata.kind)?;
        if !self.filter.accepts(&self.interfaces, &packet(seen, interface)).unwrap_or(false) {
            return None;
        }
        let LiveCaptureOptions { owners, choice, .. } = &self.options;
        let chooses = !choice.pids.is_empty() || choice.process.is_some() || choice.command;
        let owner = if *owners || chooses { self.owners.of(metadata, octets, now_ns()) } else { None };
        if chooses {
            let owner = owner?;
            let is_descendant = choice.command && descendants::has(owner);
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
        let whole = packet(seen, interface);
        let kept = usize::try_from(self.options.snaplen).unwrap_or(usize::MAX);
        let process = owner.and_then(|owner| self.owners.get(owner));
        let data = whole.data.get(..kept).unwrap_or(whole.data);
        take(&self.interfaces, &Packet { data, process, ..whole })
    }

    /// The place of the interface among those that are known; one that shows another kind of packets is another.
    fn interface(&mut self, component: u16, kind: Kind) -> Option<usize> {
        /// Of packets as they are in the air.
        const IEEE802_11: LinkType = LinkType(105);
        let link = match kind {
            Kind::Ethernet => LinkType::ETHERNET,
            Kind::Wifi => IEEE802_11,
            Kind::Ip => LinkType::RAW,
            Kind::Other(_) => return None,
        };
        let adapter = self.adapters.iter().position(|adapter| adapter.components.contains(&component))?;
        let name = self.interfaces.get(adapter)?.name.clone();
        let known = |interface: &Interface| interface.name == name && interface.link == link;
        if let Some(place) = self.interfaces.iter().position(known) {
            return Some(place);
        }
        let interface = Interface { link, ..self.interfaces.get(adapter)?.clone() };
        self.interfaces.push(interface);
        Some(self.interfaces.len() - 1)
    }
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
    super::exists::interface(name)?.then_some(LinkType::ETHERNET)
}

/// Whether packets can be captured here.
pub(super) fn status() -> Status {
    let refusal = Monitor::open().err().map(|cause| Refusal::of(&cause));
    Status {
        slot: SLOT.to_owned(),
        tier: refusal.is_none().then(|| "pktmon".to_owned()),
        program: Some("PktMonApi.dll".to_owned()),
        covers: Some("the packets of network adapters, with the owners that the tables know".to_owned()),
        reason: refusal.as_ref().map(ToString::to_string),
        remedy: refusal.as_ref().and_then(Refusal::remedy),
    }
}

fn packet(seen: &Seen, interface: usize) -> Packet<'_> {
    Packet {
        time_ns: u64::try_from(host::unix_ns(seen.metadata.time)).unwrap_or_default(),
        interface,
        direction: seen.metadata.direction,
        length: seen.metadata.length,
        data: &seen.octets,
        segments: None,
        checksum: None,
        process: None,
        lost_before: 0,
    }
}

#[cfg(test)]
mod tests;
