//! Captures packets with their processes: eBPF programs filter the packets in the kernel and write them to a ring buffer
//! for each CPU.

mod attach;
mod child;
mod choice;
mod counters;
mod filters;
mod interfaces;
mod kernel;
mod losses;
mod netns_addresses;
mod owner_tracker;
mod owners;
mod program;
mod promiscuous;
mod reader;
mod record;
mod request;
mod ring;
mod translations;

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::process::Child;
use std::time::Duration;

use self::attach::AttachedFilters;
use self::interfaces::CaptureInterface;
use self::kernel::{Kernel, KernelError};
use self::losses::Losses;
pub(super) use self::owner_tracker::status;
use self::owners::Owners;
use self::program::ProgramError;
use self::reader::{Batch, Reader};
use self::request::{netns, refusal, select};
use net_traffic_capture::{CaptureStartError, Ledger, LiveCaptureOptions, StopReason, Take, now_ns};
use net_traffic_snapshot::OpenError;
use pcap_io::{Interface, Missed, Packet};

/// The longest wait for packets before other work.
const TURN: Duration = Duration::from_millis(100);
/// The time for the last packets of a command after the end of its process.
const LINGER: Duration = Duration::from_millis(300);
/// The interval of searches for new interfaces and containers.
const POLL_NS: u64 = 500_000_000;
/// The interval at which the rows of ended processes are removed.
const GC_NS: u64 = 10_000_000_000;

/// A running capture.
pub struct LiveCapture {
    options: LiveCaptureOptions,
    kernel: Kernel,
    attached: AttachedFilters,
    reader: Reader,
    owners: Owners,
    interfaces: Vec<Interface>,
    child: Option<Child>,
    polled_ns: u64,
    gc_ns: u64,
    losses: Losses,
    remarks: Vec<String>,
}

impl LiveCapture {
    /// Starts the capture. Every packet that passes after the return is captured.
    ///
    /// # Errors
    /// When the filter is invalid, an interface does not exist, or the kernel refuses a program.
    pub fn start(
        options: &LiveCaptureOptions,
        expression: &str,
        optimize: bool,
    ) -> Result<Self, CaptureStartError> {
        let refused = |cause: io::Error| CaptureStartError::Open(refusal(options, cause));
        let mut attached = AttachedFilters::new(options, netns(options)?).map_err(refused)?;
        let present = attached.present().map_err(refused)?;
        let selected = select(options, &present)?;
        let mut owners = Owners::default();
        let cgroups = options.choice.container.as_ref().map(|container| owners.cgroups_of(container));
        let (kernel, rings) = Kernel::start(options, expression, optimize, &cgroups.unwrap_or_default())
            .map_err(|error| match error {
                KernelError::Program(ProgramError::Filter(error)) => CaptureStartError::Filter(error),
                error @ KernelError::NoUser(_) => OpenError::Usage(error.to_string()).into(),
                other => refused(io::Error::other(other)),
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
            polled_ns: 0,
            gc_ns: now_ns(),
            losses: Losses::default(),
            remarks: Vec::new(),
        };
        it.remarks.extend(it.kernel.counts_because().map(|reason| {
            format!("the byte-counting programs find the processes of packets, at a higher cost: {reason}")
        }));
        let none = selected.iter().filter(|found| it.kernel.filters.rejects_all(found)).count();
        if none > 0 && none == selected.len() {
            it.remarks.push("the filter can match no packet".to_owned());
        }
        for found in selected {
            it.attach(&found, expression)
                .map_err(|error| refused(io::Error::new(error.kind(), format!("{}: {error}", found.name))))?;
        }
        it.track_owners(&present);
        Ok(it)
    }

    /// Starts a command, and captures the packets of the command and its descendants.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub fn run(&mut self, command: &[OsString]) -> io::Result<()> {
        // Children of this process are chosen at the fork, so that the command is chosen before its first instruction.
        let own = std::process::id();
        self.kernel.chosen.add_with_children(own)?;
        self.child = Some(child::start(command)?);
        self.kernel.chosen.remove(own)
    }

    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The reason why packets have no process; `None` if they have.
    #[must_use]
    pub fn without_owners(&self) -> Option<&str> {
        self.kernel.without_owners()
    }

    /// New remarks on the way of capturing, for the user.
    pub fn remarks(&mut self) -> Vec<String> {
        let mut remarks = std::mem::take(&mut self.remarks);
        remarks.extend(self.attached.remarks());
        remarks
    }

    /// Waits up to a tenth of a second for packets, and passes them to `consumer`. Returns the reason if the capture has
    /// ended.
    pub fn next(&mut self, consumer: &mut Take<'_>) -> Option<StopReason> {
        let has_ended = match &mut self.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => false,
        };
        if has_ended {
            std::thread::sleep(LINGER);
            return Some(StopReason::CommandExited);
        }
        if let Some(batch) = self.reader.next(TURN) {
            let flow = self.consume(&batch, consumer);
            self.reader.recycle(batch);
            if flow.is_break() {
                return Some(StopReason::ConsumerDone);
            }
        }
        self.poll()
    }

    /// Stops the capture and passes the remaining packets to `consumer`. Without one they are counted as left over.
    pub fn finish(&mut self, mut consumer: Option<&mut Take<'_>>) {
        self.attached.detach();
        self.kernel.counters.wait_for_programs();
        self.reader.finish();
        while let Some(batch) = self.reader.next_remaining() {
            match &mut consumer {
                None => self.losses.count_left_over(&batch.heads),
                Some(consume) => {
                    if self.consume(&batch, *consume).is_break() {
                        consumer = None;
                    }
                }
            }
        }
    }

    /// The packets by outcome until now, without the consumer's own counts. Also updates the counts of the interfaces.
    #[must_use]
    pub fn ledger(&mut self) -> Ledger {
        self.losses.update(&self.kernel, &self.reader);
        self.losses.write_to(&mut self.interfaces);
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

    /// Passes a batch to `consumer`. If the consumer breaks, the packets behind the current one count as left over; the
    /// current packet is counted by the consumer.
    fn consume(&mut self, batch: &Batch, consumer: &mut Take<'_>) -> ControlFlow<()> {
        let Self { losses, kernel, reader, owners, interfaces, .. } = self;
        losses.update(kernel, reader);
        // Most packets have the interface and the process of the previous packet.
        let (mut last_index, mut interface) = (0, 0);
        let (mut last_owner, mut process) = (None, None);
        for (at, head) in batch.heads.iter().enumerate() {
            let time_ns = head.monotonic_ns.wrapping_add(batch.offset_ns);
            if head.ifindex != last_index {
                last_index = head.ifindex;
                // The kernel may reuse an index; the later interface has it.
                let found = interfaces.iter().rposition(|interface| interface.index == last_index);
                interface = found.unwrap_or(0);
            }
            if head.owner != last_owner {
                last_owner = head.owner;
                process = head.owner().map(|owner| owners.lookup(owner, time_ns, kernel));
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
            if consumer(interfaces, &packet).is_break() {
                losses.count_left_over(batch.heads.get(at + 1..).unwrap_or(&[]));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Follows changes of interfaces, containers and processes.
    fn poll(&mut self) -> Option<StopReason> {
        let now_ns = now_ns();
        if now_ns.abs_diff(self.polled_ns) < POLL_NS {
            return None;
        }
        self.polled_ns = now_ns;
        if let Some(container) = self.options.choice.container.clone() {
            let cgroups = self.owners.cgroups_of(&container);
            self.kernel.chosen.add_cgroups(&cgroups);
        }
        if now_ns.abs_diff(self.gc_ns) >= GC_NS {
            self.gc_ns = now_ns;
            self.kernel.gc();
        }
        // A failed dump is repeated at the next poll.
        let Ok(present) = self.attached.present() else { return None };
        self.attached.remove_missing(&present);
        self.track_owners(&present);
        if self.options.interfaces.is_empty() {
            for found in present {
                if !self.attached.has(found.index) {
                    // A refusal concerns this interface only: the interface may be gone or of an unsupported type.
                    let _attached = self.attach(&found, "");
                }
            }
            return None;
        }
        let gone =
            self.options.interfaces.iter().find(|name| !present.iter().any(|found| found.name == **name));
        let was_attached =
            |name: &String| self.interfaces.iter().any(|known| known.name.as_ref() == Some(name));
        gone.filter(|name| was_attached(name)).map(|name| StopReason::InterfaceGone(name.clone()))
    }

    fn track_owners(&mut self, present: &[CaptureInterface]) {
        if self.options.owners && !self.options.xdp && self.kernel.without_owners().is_none() {
            self.attached.attach_to_ports(present, &mut self.kernel);
            self.attached.update_netns_addresses(present, &mut self.kernel);
        }
    }

    fn attach(&mut self, found: &CaptureInterface, expression: &str) -> io::Result<()> {
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

/// The link type of an interface, to print a filter without a capture.
#[must_use]
pub fn link_of(name: &str) -> Option<pcap_io::LinkType> {
    let all = interfaces::own().ok()?;
    all.into_iter().find(|found| found.name == name).map(|found| found.link)
}
