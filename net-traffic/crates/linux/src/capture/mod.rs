//! Captures packets from the kernel: filtered there, carried by a ring for each CPU, with the process they belong to.

mod attach;
mod child;
mod choice;
mod counters;
mod filters;
mod inside;
mod interfaces;
mod kernel;
mod losses;
mod owners;
mod program;
mod promiscuous;
mod reader;
mod record;
mod request;
mod ring;
mod translations;
mod watching;

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::process::Child;
use std::time::Duration;

use self::attach::Attached;
use self::interfaces::Found;
use self::kernel::{Kernel, KernelError};
use self::losses::Losses;
use self::owners::Owners;
use self::program::ProgramError;
use self::reader::{Batch, Reader};
use self::request::{netns, refusal, wanted};
pub(super) use self::watching::status;
use net_traffic_capture::{CaptureStartError, Ledger, LiveCaptureOptions, StopReason, Take, now_ns};
use net_traffic_snapshot::OpenError;
use pcap_io::{Interface, Missed, Packet};

/// How long to wait for packets before looking at anything else.
const TURN: Duration = Duration::from_millis(100);
/// How long packets of a command that has ended may be on their way.
const LINGER: Duration = Duration::from_millis(300);
/// How often to look for new interfaces and containers, and to let go of processes that have ended.
const LOOK_NS: u64 = 500_000_000;
const TIDY_NS: u64 = 10_000_000_000;

/// A capture that runs.
pub struct LiveCapture {
    options: LiveCaptureOptions,
    kernel: Kernel,
    attached: Attached,
    reader: Reader,
    owners: Owners,
    interfaces: Vec<Interface>,
    child: Option<Child>,
    looked_ns: u64,
    tidied_ns: u64,
    losses: Losses,
    remarks: Vec<String>,
}

impl LiveCapture {
    /// Begins to capture. Every packet that passes after this returned is seen.
    ///
    /// # Errors
    /// When the filter has no meaning, an interface does not exist, or the kernel refuses.
    pub fn start(
        options: &LiveCaptureOptions,
        expression: &str,
        optimize: bool,
    ) -> Result<Self, CaptureStartError> {
        let refused = |error: io::Error| CaptureStartError::Open(refusal(options, &error.to_string()));
        let mut attached = Attached::new(options, netns(options)?).map_err(refused)?;
        let present = attached.present().map_err(refused)?;
        let wanted = wanted(options, &present)?;
        let mut owners = Owners::default();
        let cgroups = options.choice.container.as_ref().map(|container| owners.cgroups_of(container));
        let (kernel, rings) = Kernel::start(options, expression, optimize, &cgroups.unwrap_or_default())
            .map_err(|error| match error {
                KernelError::Program(ProgramError::Filter(error)) => CaptureStartError::Filter(error),
                error @ KernelError::NoUser(_) => OpenError::Usage(error.to_string()).into(),
                other => CaptureStartError::Open(refusal(options, &other.to_string())),
            })?;
        let reader = Reader::start(rings).map_err(refused)?;
        let mut it = Self {
            attached,
            options: options.clone(),
            kernel,
            reader,
            owners,
            interfaces: Vec::new(),
            child: None,
            looked_ns: 0,
            tidied_ns: now_ns(),
            losses: Losses::default(),
            remarks: Vec::new(),
        };
        it.remarks.extend(it.kernel.counts_because().map(|reason| {
            format!("processes are found by counting what sockets move, at a higher cost: {reason}")
        }));
        let none = wanted.iter().filter(|found| it.kernel.filters.rejects_all(found)).count();
        if none > 0 && none == wanted.len() {
            it.remarks.push("the filter can match no packet".to_owned());
        }
        for found in wanted {
            it.attach(&found, expression)
                .map_err(|error| refused(io::Error::other(format!("{}: {error}", found.name))))?;
        }
        it.learn_owners(&present);
        Ok(it)
    }

    /// Starts a command of which, and of whose children, the packets are wanted.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&mut self, command: &[OsString]) -> io::Result<()> {
        // What this process starts is chosen from its first instruction on.
        let own = std::process::id();
        self.kernel.chosen.with_children(own)?;
        self.child = Some(child::start(command)?);
        self.kernel.chosen.forget(own)
    }

    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Why packets have no process, if they have none.
    #[must_use]
    pub fn without_owners(&self) -> Option<&str> {
        self.kernel.without_owners()
    }

    /// What the user should know of how packets are captured; each once.
    pub fn remarks(&mut self) -> Vec<String> {
        let mut remarks = std::mem::take(&mut self.remarks);
        remarks.extend(self.attached.remarks());
        remarks
    }

    /// Waits a moment for packets and hands them over; says if there will be no more.
    pub fn next(&mut self, take: &mut Take<'_>) -> Option<StopReason> {
        let has_ended = match &mut self.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => false,
        };
        if has_ended {
            std::thread::sleep(LINGER);
            return Some(StopReason::CommandExited);
        }
        if let Some(batch) = self.reader.next(TURN) {
            let handed = self.hand_over(&batch, take);
            self.reader.give_back(batch);
            if handed.is_break() {
                return Some(StopReason::ConsumerDone);
            }
        }
        self.look()
    }

    /// Stops the capture and hands over what is still on its way; without a taker it is left over.
    pub fn finish(&mut self, mut take: Option<&mut Take<'_>>) {
        self.attached.detach();
        self.kernel.counters.settle();
        self.reader.finish();
        while let Some(batch) = self.reader.last() {
            match &mut take {
                None => self.losses.leave(&batch.heads),
                Some(wanted) => {
                    if self.hand_over(&batch, *wanted).is_break() {
                        take = None;
                    }
                }
            }
        }
    }

    /// What became of the packets by now, but for what their taker did with them. The interfaces have their share.
    #[must_use]
    pub fn ledger(&mut self) -> Ledger {
        self.losses.look(&self.kernel, &self.reader);
        self.losses.tell(&mut self.interfaces);
        let fates = self.kernel.counters.fates();
        Ledger {
            received: fates.received,
            captured: 0,
            ring_full: fates.ring_full,
            copy_failed: fates.copy_failed + self.reader.unreadable(),
            queue_full: self.reader.queue_full(),
            write_failed: 0,
            left_over: self.losses.left_over(),
            map_full: self.attached.without_room(),
        }
    }

    /// The taker breaks with the packet that it does not want any more, or with the last one that it wants: the former
    /// is counted by it, the rest here.
    fn hand_over(&mut self, batch: &Batch, take: &mut Take<'_>) -> ControlFlow<()> {
        let Self { losses, kernel, reader, owners, interfaces, .. } = self;
        losses.look(kernel, reader);
        // Most packets are of the interface and the process of the one before.
        let (mut last_index, mut interface) = (0, 0);
        let (mut last_owner, mut process) = (None, None);
        for (place, head) in batch.heads.iter().enumerate() {
            let time_ns = head.monotonic_ns.wrapping_add(batch.offset_ns);
            if head.ifindex != last_index {
                last_index = head.ifindex;
                // An index that came again is of the later interface.
                let known = interfaces.iter().rposition(|interface| interface.index == last_index);
                interface = known.unwrap_or(0);
            }
            if head.owner != last_owner {
                last_owner = head.owner;
                process = head.owner().map(|owner| owners.learn(owner, time_ns, kernel));
            }
            let packet = Packet {
                time_ns,
                interface,
                direction: Some(head.direction),
                length: head.length,
                data: head.data(&batch.octets),
                segments: head.segments(),
                checksum: head.checksum,
                process: process.and_then(|process| owners.get(process)),
                lost_before: losses.since_last(head.ifindex),
            };
            if take(interfaces, &packet).is_break() {
                losses.leave(batch.heads.get(place + 1..).unwrap_or(&[]));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// What changes while packets come: interfaces, containers, processes.
    fn look(&mut self) -> Option<StopReason> {
        let now_ns = now_ns();
        if now_ns.abs_diff(self.looked_ns) < LOOK_NS {
            return None;
        }
        self.looked_ns = now_ns;
        if let Some(container) = self.options.choice.container.clone() {
            let cgroups = self.owners.cgroups_of(&container);
            self.kernel.chosen.cgroups(&cgroups);
        }
        if now_ns.abs_diff(self.tidied_ns) >= TIDY_NS {
            self.tidied_ns = now_ns;
            self.kernel.tidy();
        }
        // When the kernel does not answer, nothing is known to have changed.
        let Ok(present) = self.attached.present() else { return None };
        self.attached.forget_missing(&present);
        self.learn_owners(&present);
        if self.options.interfaces.is_empty() {
            for found in present {
                if !self.attached.has(found.index) {
                    // It may be gone already, or of a kind that cannot be watched; the others can.
                    let _attached = self.attach(&found, "");
                }
            }
            return None;
        }
        let gone =
            self.options.interfaces.iter().find(|name| !present.iter().any(|found| found.name == **name));
        let renamed = |name: &String| self.interfaces.iter().any(|known| known.name.as_ref() == Some(name));
        gone.filter(|name| renamed(name)).map(|name| StopReason::InterfaceGone(name.clone()))
    }

    fn learn_owners(&mut self, present: &[Found]) {
        if self.options.owners && !self.options.xdp && self.kernel.without_owners().is_none() {
            self.attached.attach_to_ports(present, &mut self.kernel);
            self.attached.look_inside(present, &mut self.kernel);
        }
    }

    fn attach(&mut self, found: &Found, expression: &str) -> io::Result<()> {
        self.attached.attach(found, &mut self.kernel)?;
        let filter = if expression.is_empty() {
            self.interfaces.first().and_then(|interface| interface.filter.clone())
        } else {
            Some(expression.to_owned())
        };
        self.interfaces.push(Interface {
            name: Some(found.name.clone()),
            description: found.description.clone(),
            index: found.index,
            link: found.link,
            snaplen: self.options.snaplen,
            filter,
            missed: Missed::default(),
        });
        Ok(())
    }
}

impl std::fmt::Debug for LiveCapture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCapture").field("interfaces", &self.interfaces).finish_non_exhaustive()
    }
}

/// What the packets of the chosen interfaces begin with, for a filter that is only to be printed.
#[must_use]
pub fn link_of(name: &str) -> Option<pcap_io::LinkType> {
    let all = interfaces::own().ok()?;
    all.into_iter().find(|found| found.name == name).map(|found| found.link)
}
