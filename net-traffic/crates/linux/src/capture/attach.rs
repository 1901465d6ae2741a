//! Attaches the filters to the interfaces: to traffic control in both directions, or to XDP.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;

use nix::sys::socket::SockProtocol;

use super::filters::HookPoint;
use super::interfaces::{self, CaptureInterface};
use super::kernel::Kernel;
use super::netns_addresses::NetnsAddresses;
use super::promiscuous::Promiscuous;
use super::translations::Translations;
use crate::bpf::{XdpLink, XdpMode};
use crate::interface_accounting::attachment::{Attacher, Attachment};
use crate::netlink::Netlink;
use crate::netns::NetNs;
use crate::plan::Crossing;
use net_traffic_capture::LiveCaptureOptions;
use pcap_io::Direction;

/// The programs on interfaces.
pub(super) struct AttachedFilters {
    hooks: Vec<HookPoint>,
    promiscuous: bool,
    netns: NetNs,
    netlink: Netlink,
    watcher: Attacher,
    /// By index of the captured interface.
    captured: HashMap<u32, InterfaceFilters>,
    /// Programs that record the senders of packets, on ports of a captured bridge that are not captured themselves.
    ports: HashMap<u32, Attachment>,
    /// The addresses in peer namespaces, once packets have processes.
    netns_addresses: Option<NetnsAddresses>,
    /// The NAT translations, once a peer namespace has an address.
    translations: Option<Translations>,
    /// Whether the kernel has TCX; `None` before the first program.
    uses_tcx: Option<bool>,
    remarks: Vec<String>,
}

/// The filters of one interface.
struct InterfaceFilters {
    filters: Vec<AttachedFilter>,
    /// Promiscuous mode ends with the filters.
    _promiscuous: Option<Promiscuous>,
}

enum AttachedFilter {
    Stack(Attachment),
    /// A drop of the link detaches the program.
    Xdp {
        _link: XdpLink,
    },
}

impl AttachedFilters {
    pub(super) fn new(options: &LiveCaptureOptions, netns: NetNs) -> io::Result<Self> {
        let hooks = match (options.xdp, options.direction) {
            (true, _) => vec![HookPoint::Xdp],
            (false, None) => vec![HookPoint::Stack(Crossing::In), HookPoint::Stack(Crossing::Out)],
            (false, Some(Direction::In)) => vec![HookPoint::Stack(Crossing::In)],
            (false, Some(Direction::Out)) => vec![HookPoint::Stack(Crossing::Out)],
        };
        Ok(Self {
            hooks,
            promiscuous: options.promiscuous,
            netlink: netns.run(|| Netlink::open(SockProtocol::NetlinkRoute))??,
            netns,
            watcher: Attacher::of_this_process()?,
            captured: HashMap::new(),
            ports: HashMap::new(),
            netns_addresses: None,
            translations: None,
            uses_tcx: None,
            remarks: Vec::new(),
        })
    }

    /// The existing interfaces.
    pub(super) fn present(&mut self) -> io::Result<Vec<CaptureInterface>> {
        interfaces::all(&mut self.netlink)
    }

    pub(super) fn has(&self, ifindex: u32) -> bool {
        self.captured.contains_key(&ifindex)
    }

    /// New remarks on the attachments, for the user.
    pub(super) fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Attaches the filter to every hook point of the interface, or to none.
    pub(super) fn attach(&mut self, found: &CaptureInterface, kernel: &mut Kernel) -> io::Result<()> {
        let mut filters = Vec::new();
        for hook in self.hooks.clone() {
            let attached = match hook {
                HookPoint::Stack(crossing) => self.attach_to_stack(found, crossing, kernel),
                HookPoint::Xdp => self.attach_to_xdp(found, kernel),
            };
            match attached {
                Ok(filter) => filters.push(filter),
                Err(refusal) => {
                    self.remove(filters);
                    return Err(refusal);
                }
            }
        }
        let promiscuous = if self.promiscuous { self.promiscuous_on(found)? } else { None };
        self.captured.insert(found.index, InterfaceFilters { filters, _promiscuous: promiscuous });
        Ok(())
    }

    fn attach_to_stack(
        &mut self,
        found: &CaptureInterface,
        crossing: Crossing,
        kernel: &mut Kernel,
    ) -> io::Result<AttachedFilter> {
        let program = kernel.filter(found, HookPoint::Stack(crossing))?;
        self.hook(program, found.index, crossing).map(AttachedFilter::Stack)
    }

    /// A point-to-point interface refuses, and has no packets between other hosts.
    fn promiscuous_on(&mut self, found: &CaptureInterface) -> io::Result<Option<Promiscuous>> {
        let refusal = match self.netns.run(|| Promiscuous::on(found.index))? {
            Ok(promiscuous) => return Ok(Some(promiscuous)),
            Err(refusal) => refusal,
        };
        let remark = "without packets between other hosts (promiscuous mode): CAP_NET_RAW missing";
        if refusal.kind() == io::ErrorKind::PermissionDenied
            && !self.remarks.iter().any(|said| said == remark)
        {
            self.remarks.push(remark.to_owned());
        }
        Ok(None)
    }

    /// Attaches the program that records senders to the ports of captured bridges. If the kernel refuses, the packets
    /// are captured without owners.
    pub(super) fn attach_to_ports(&mut self, present: &[CaptureInterface], kernel: &mut Kernel) {
        for found in present {
            let is_port = found.master.is_some_and(|master| self.has(master));
            if is_port && !self.has(found.index) && !self.ports.contains_key(&found.index) {
                let end = kernel.learner().and_then(|program| self.hook(program, found.index, Crossing::In));
                if let Ok(end) = end {
                    self.ports.insert(found.index, end);
                }
            }
        }
    }

    /// Writes the addresses in peer namespaces to the programs' map, and follows NAT translations if there are any.
    pub(super) fn update_netns_addresses(&mut self, present: &[CaptureInterface], kernel: &mut Kernel) {
        if let Some(maps) = kernel.take_address_maps() {
            self.netns_addresses = Some(NetnsAddresses::new(maps, &self.netns));
        }
        let captured = &self.captured;
        let is_captured = |found: &CaptureInterface| {
            captured.contains_key(&found.index)
                || found.master.is_some_and(|master| captured.contains_key(&master))
        };
        if let Some(addresses) = &mut self.netns_addresses {
            addresses.poll(present, is_captured);
            if kernel.has_translation_map() && addresses.has_any() && Translations::is_tracking(&self.netns) {
                self.follow_translations(kernel);
            }
        }
        if let Some(refusal) = self.translations.as_mut().and_then(Translations::refusal) {
            self.remark_translations(&refusal);
        }
    }

    /// Tried once. If the kernel refuses, the programs record translations of packets that leave the host.
    fn follow_translations(&mut self, kernel: &mut Kernel) {
        let Some(map) = kernel.take_translation_map() else { return };
        match Translations::follow(map, &self.netns) {
            Ok(translations) => self.translations = Some(translations),
            Err(refusal) => self.remark_translations(&refusal),
        }
    }

    fn remark_translations(&mut self, refusal: &io::Error) {
        self.remarks.push(format!(
            "answers to translated packets have a process only after a packet of theirs has left: {refusal}"
        ));
    }

    /// The addresses of peer namespaces that did not fit into the programs' map.
    pub(super) fn without_room(&self) -> u64 {
        self.netns_addresses.as_ref().map_or(0, NetnsAddresses::without_room)
    }

    /// Tries TCX first: the kernel removes a TCX link when its process ends, also by SIGKILL.
    fn hook(&mut self, program: BorrowedFd<'_>, ifindex: u32, crossing: Crossing) -> io::Result<Attachment> {
        let Self { watcher, netns, netlink, uses_tcx, .. } = self;
        if *uses_tcx != Some(false) {
            match watcher.attach(netns, netlink, program, ifindex, crossing, true) {
                Ok(end) => {
                    *uses_tcx = Some(true);
                    return Ok(end);
                }
                Err(refusal) if *uses_tcx == Some(true) => return Err(refusal),
                Err(_) => {}
            }
        }
        let end = watcher.attach(netns, netlink, program, ifindex, crossing, false)?;
        *uses_tcx = Some(false);
        Ok(end)
    }

    /// Tries the driver's XDP first, and generic XDP if the driver refuses
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L5318>).
    fn attach_to_xdp(&mut self, found: &CaptureInterface, kernel: &mut Kernel) -> io::Result<AttachedFilter> {
        let program = kernel.filter(found, HookPoint::Xdp)?;
        let attach = |mode| self.netns.run(|| XdpLink::attach(program, found.index, mode));
        let refusal = match attach(XdpMode::Driver)? {
            Ok(link) => return Ok(AttachedFilter::Xdp { _link: link }),
            Err(refusal) => refusal,
        };
        let link = attach(XdpMode::Generic)??;
        self.remarks.push(format!("{}: XDP in generic mode; its driver: {refusal}", found.name));
        Ok(AttachedFilter::Xdp { _link: link })
    }

    /// Drops the entries of removed interfaces: the kernel removed their filters, and may reuse their indices.
    pub(super) fn remove_missing(&mut self, present: &[CaptureInterface]) {
        let exists = |index: &u32| present.iter().any(|found| found.index == *index);
        self.captured.retain(|index, _| exists(index));
        self.ports.retain(|index, _| exists(index));
    }

    /// Detaches every program.
    pub(super) fn detach(&mut self) {
        for (_, interface) in std::mem::take(&mut self.captured) {
            self.remove(interface.filters);
        }
        let ports = std::mem::take(&mut self.ports);
        self.remove(ports.into_values().map(AttachedFilter::Stack).collect());
    }

    fn remove(&mut self, filters: Vec<AttachedFilter>) {
        for filter in filters {
            if let AttachedFilter::Stack(mut end) = filter {
                // The call fails after the removal of the interface, which has removed the filter.
                let _detached = end.detach(&mut self.netlink);
            }
        }
    }
}

impl Drop for AttachedFilters {
    fn drop(&mut self) {
        self.detach();
    }
}
