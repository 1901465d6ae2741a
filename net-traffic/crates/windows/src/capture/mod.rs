//! Captures packets by the packet monitor of Windows 11 and Server 2022, which needs no installed driver
//! (<https://learn.microsoft.com/en-us/windows-server/networking/technologies/pktmon/pktmon>).
//!
//! The monitor has no pcap filters: this process filters every packet.

mod adapters;
mod api;
mod callbacks;
mod monitor;
mod owners;
mod refusal;
mod skipped;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use self::callbacks::{PacketQueue, ReportedPacket};
use self::monitor::{Adapter, Monitor, Session};
use self::owners::PacketOwners;
use self::refusal::Refusal;
pub(super) use self::refusal::status;
use self::skipped::{SkipReason, Skipped};
use crate::events::ends::PacketType;
use crate::events::pktmon::{Appearance, Deduplicator};
use crate::events::wifi::to_ethernet;
use crate::platform::children::Children;
use crate::platform::{descendants, lookup};
use net_traffic_capture::{
    CaptureStartError, Ledger, LiveCaptureOptions, StopReason, Take, UserFilter, UserFilterError, now_ns,
};
use net_traffic_snapshot::ProcessId;
use net_traffic_snapshot::{OpenError, Progress};
use pcap_io::LinkType;
use pcap_io::{Interface, Packet};

/// How long [`LiveCapture::next`] waits for a packet.
const WAIT: Duration = Duration::from_millis(100);
/// The maximum number of packets per call of [`LiveCapture::next`].
const BATCH: u32 = 1024;
/// How long the last packets of a command may stay in the monitor's buffers.
const LINGER: Duration = Duration::from_millis(300);

/// A running capture.
pub struct LiveCapture {
    options: LiveCaptureOptions,
    /// `None` after the stop.
    session: Option<Session>,
    packets: PacketQueue,
    filter: UserFilter,
    deduplicator: Deduplicator,
    owners: PacketOwners,
    /// One interface per adapter, then further ones for adapters with packets of another link type.
    interfaces: Vec<Interface>,
    skipped: Skipped,
    children: Option<Children>,
    /// Processes that are no descendants of the command.
    non_descendants: HashSet<ProcessId>,
    received: u64,
    left_over: u64,
}

impl LiveCapture {
    /// Starts the capture.
    ///
    /// # Errors
    /// When the filter does not compile, an option does not exist on Windows, an interface does not exist, or the packet
    /// monitor cannot be used.
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
        let known = adapters::interfaces(&options.interfaces)?;
        let monitor = Monitor::open().map_err(|cause| Refusal::of(&cause).error())?;
        let (adapters, interfaces) = adapters::choose(monitor.adapters(), &known, options, expression)?;
        let started = monitor.start(&adapters).map_err(|cause| Refusal::of(&cause).error())?;
        let (session, packets) = started;
        Ok(Self {
            session: Some(session),
            ..Self::with_packets(options, packets, filter, &adapters, interfaces)
        })
    }

    /// A capture of queued packets.
    fn with_packets(
        options: &LiveCaptureOptions,
        packets: PacketQueue,
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
            deduplicator: Deduplicator::new(components),
            owners: PacketOwners::default(),
            interfaces,
            skipped: Skipped::default(),
            children: None,
            non_descendants: HashSet::new(),
            received: 0,
            left_over: 0,
        }
    }

    /// Starts a command. The capture keeps the packets of the command and its descendants.
    ///
    /// # Errors
    /// When the command cannot be started.
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

    /// Always `None`: packets have the owners of the socket tables.
    #[must_use]
    pub fn without_owners(&self) -> Option<&str> {
        None
    }

    /// Remarks about the reports that were not shown.
    pub fn remarks(&mut self) -> Vec<String> {
        self.packets.losses.remark().into_iter().chain(self.skipped.remarks()).collect()
    }

    /// Waits briefly for packets, and passes them to `take`. Returns the reason if the capture is to stop.
    pub fn next(&mut self, take: &mut Take<'_>) -> Option<StopReason> {
        if let Some(children) = &mut self.children
            && matches!(children.wait(Duration::ZERO), Ok(Progress::Over) | Err(_))
        {
            std::thread::sleep(LINGER);
            self.owners.insert_new(descendants::take_new());
            return Some(StopReason::CommandExited);
        }
        self.owners.insert_new(descendants::take_new());
        let mut next = match self.packets.queue.recv_timeout(WAIT) {
            Ok(packet) => Some(packet),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Some(StopReason::ConsumerDone),
        };
        let mut left = BATCH;
        while let Some(mut packet) = next {
            if let Some(selected) = self.select(&mut packet)
                && self.pass(&packet, selected, take).is_break()
            {
                return Some(StopReason::ConsumerDone);
            }
            left -= 1;
            next = if left > 0 { self.packets.queue.try_recv().ok() } else { None };
        }
        self.packets.losses.ended().map(|why| StopReason::SourceFailed(why.to_owned()))
    }

    /// Stops the capture, and passes the queued packets to `take`. Without it they count as left over.
    pub fn finish(&mut self, mut take: Option<&mut Take<'_>>) {
        // The end of the session drops the sender of the queue.
        self.session = None;
        while let Ok(mut packet) = self.packets.queue.try_recv() {
            let Some(selected) = self.select(&mut packet) else { continue };
            match &mut take {
                None => self.left_over += 1,
                Some(consumer) => {
                    if self.pass(&packet, selected, *consumer).is_break() {
                        take = None;
                    }
                }
            }
        }
    }

    /// The numbers of packets by fate, without those that the consumer counts.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let count = |what: &std::sync::atomic::AtomicU64| what.load(Ordering::Relaxed);
        let losses = &self.packets.losses;
        let copy_failed = count(&losses.unreadable) + self.skipped.lost();
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

    /// The interface and the owner of a wanted packet. Converts an 802.11 frame to Ethernet.
    fn select(&mut self, packet: &mut ReportedPacket) -> Option<Selected> {
        let direction = self.options.direction;
        let wanted = direction.is_none() || direction == packet.metadata.direction;
        let filtered = match self.deduplicator.classify(&packet.metadata) {
            Appearance::First(adapter) if wanted => self.apply_filter(packet, adapter),
            Appearance::First(_) | Appearance::Repeated => return None,
            Appearance::Foreign => Err(SkipReason::Foreign),
        };
        let interface = filtered.unwrap_or_else(|reason| {
            self.skipped.count(reason);
            None
        })?;
        let ReportedPacket { metadata, octets } = packet;
        let LiveCaptureOptions { owners, choice, .. } = &self.options;
        let by_process = !choice.pids.is_empty() || choice.process.is_some() || choice.command;
        let owner = if *owners || by_process { self.owners.find(metadata, octets, now_ns()) } else { None };
        if by_process {
            let Some(owner) = owner else {
                self.skipped.count(SkipReason::Unowned);
                return None;
            };
            let is_descendant =
                choice.command && descends(owner, &mut self.non_descendants, &mut self.children);
            let name = self.owners.get(owner).map(|process| &process.name);
            let is_named = choice.process.is_some() && choice.process.as_ref() == name;
            if !is_descendant && !is_named && !choice.pids.contains(&owner.pid) {
                return None;
            }
        }
        self.received += 1;
        Some(Selected { interface, owner })
    }

    /// Passes a packet to the consumer, which breaks after the last one that it wants.
    fn pass(&mut self, packet: &ReportedPacket, selected: Selected, take: &mut Take<'_>) -> ControlFlow<()> {
        let Selected { interface, owner } = selected;
        let whole = packet.packet(interface);
        let kept = usize::try_from(self.options.snaplen).unwrap_or(usize::MAX);
        let process = owner.and_then(|owner| self.owners.get(owner));
        let data = whole.data.get(..kept).unwrap_or(whole.data);
        take(&self.interfaces, &Packet { data, process, ..whole })
    }

    /// The interface of the packet if the filter accepts it.
    fn apply_filter(
        &mut self,
        packet: &mut ReportedPacket,
        adapter: usize,
    ) -> Result<Option<usize>, SkipReason> {
        let link = match packet.metadata.kind {
            PacketType::Ethernet => LinkType::ETHERNET,
            PacketType::Wifi => {
                to_ethernet(&mut packet.metadata, &mut packet.octets).map_err(SkipReason::Wifi)?;
                LinkType::ETHERNET
            }
            PacketType::Ip => LinkType::RAW,
            PacketType::Other(number) => return Err(SkipReason::PacketType(number)),
        };
        let Some(interface) = self.interface(adapter, link) else { return Ok(None) };
        let accepted = self.filter.accepts(&self.interfaces, &packet.packet(interface));
        let accepted = accepted.map_err(|error| SkipReason::Filter(error.to_string()))?;
        Ok(accepted.then_some(interface))
    }

    /// The index of the adapter's interface with this link type. A capture file has one link type per interface.
    fn interface(&mut self, adapter: usize, link: LinkType) -> Option<usize> {
        let first = self.interfaces.get(adapter)?;
        if first.link == link {
            return Some(adapter);
        }
        let interface = Interface { link, ..first.clone() };
        let index = self.interfaces.iter().position(|known| *known == interface);
        Some(index.unwrap_or_else(|| {
            self.interfaces.push(interface);
            self.interfaces.len() - 1
        }))
    }
}

/// Whether a process descends from the command. The job's messages are read once for each unknown process, because it may
/// have just started.
fn descends(
    process: ProcessId,
    non_descendants: &mut HashSet<ProcessId>,
    children: &mut Option<Children>,
) -> bool {
    if !descendants::contains(process)
        && non_descendants.insert(process)
        && let Some(children) = children
    {
        // The next call of `LiveCapture::next` handles the progress.
        let _progress = children.wait(Duration::ZERO);
    }
    descendants::contains(process)
}

/// The interface and the owner of a wanted packet.
#[derive(Clone, Copy, Debug)]
struct Selected {
    interface: usize,
    owner: Option<ProcessId>,
}

impl std::fmt::Debug for LiveCapture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCapture").field("interfaces", &self.interfaces).finish_non_exhaustive()
    }
}

/// The link type of an interface; `None` if it does not exist.
#[must_use]
pub fn link_of(name: &str) -> Option<LinkType> {
    lookup::interface(name)?.then_some(LinkType::ETHERNET)
}

#[cfg(test)]
mod tests;
