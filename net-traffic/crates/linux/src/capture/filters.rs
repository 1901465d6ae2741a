//! Compiles the user's filter expression to eBPF programs: one for each link type, netmask and hook point.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use net_traffic_common::packet::tail_call as stage;

use super::interfaces::CaptureInterface;
use super::program::{self, ProgramError};
use crate::plan::Crossing;
use pcap_filter::ebpf::Hook;
use pcap_filter::{CompileOptions, FilterErrorKind, LinkType, NameTable, Program};

/// Where a filter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum HookPoint {
    /// Traffic control: ingress or egress.
    Stack(Crossing),
    Xdp,
}

/// The filter expression, and the programs that were loaded for it.
pub(super) struct Filters {
    expression: String,
    snaplen: u32,
    optimize: bool,
    names: NameTable,
    loaded: HashMap<(FilterVariant, HookPoint), OwnedFd>,
}

/// The properties of an interface on which the compiled expression depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FilterVariant {
    link: LinkType,
    /// `None` if the expression does not depend on the netmask.
    netmask: Option<u32>,
}

impl Filters {
    /// Compiles the expression once, so that an invalid expression fails before any program is loaded.
    pub(super) fn new(
        expression: &str,
        snaplen: u32,
        optimize: bool,
        names: NameTable,
    ) -> Result<Self, ProgramError> {
        let filters =
            Self { expression: expression.to_owned(), snaplen, optimize, names, loaded: HashMap::new() };
        filters.compile(LinkType::Ethernet, 0)?;
        Ok(filters)
    }

    /// Whether the filter rejects every packet of the interface.
    pub(super) fn rejects_all(&self, interface: &CaptureInterface) -> bool {
        let program = LinkType::try_from(interface.link.0)
            .ok()
            .map(|link| self.compile(link, interface.netmask.unwrap_or(0)));
        program.is_some_and(|program| program.is_ok_and(|(_, program)| program.rejects_all()))
    }

    /// The filter of an interface for a hook point. The first call loads it. The filter tail-calls an entry of `stages`
    /// for each accepted packet.
    pub(super) fn load(
        &mut self,
        interface: &CaptureInterface,
        hook: HookPoint,
        stages: BorrowedFd<'_>,
    ) -> io::Result<BorrowedFd<'_>> {
        let link = LinkType::try_from(interface.link.0).ok().ok_or(io::ErrorKind::Unsupported)?;
        let (variant, program) =
            self.compile(link, interface.netmask.unwrap_or(0)).map_err(io::Error::other)?;
        let loaded: &OwnedFd = match self.loaded.entry((variant, hook)) {
            std::collections::hash_map::Entry::Occupied(loaded) => loaded.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let (hook, next_stage) = match hook {
                    HookPoint::Stack(Crossing::In) => (Hook::TcIngress, stage::CAPTURE_IN),
                    HookPoint::Stack(Crossing::Out) => (Hook::TcEgress, stage::CAPTURE_OUT),
                    HookPoint::Xdp => (Hook::Xdp, stage::CAPTURE_XDP),
                };
                let filter = program::load(&program, hook, stages, next_stage).map_err(io::Error::other)?;
                entry.insert(filter)
            }
        };
        Ok(loaded.as_fd())
    }

    /// Compiles the expression without the netmask, and with it only if the expression needs it. So interfaces with
    /// different netmasks share one program in most cases.
    fn compile(&self, link: LinkType, netmask: u32) -> Result<(FilterVariant, Program), ProgramError> {
        let compile_with = |netmask| {
            let options = CompileOptions {
                linktype: link,
                netmask,
                snaplen: self.snaplen,
                names: &self.names,
                metadata: true,
                optimize: self.optimize,
            };
            pcap_filter::compile(&self.expression, &options).map_err(ProgramError::Filter)
        };
        match compile_with(None) {
            Err(ProgramError::Filter(error)) if error.kind == FilterErrorKind::NetmaskUnknown => {
                let program = compile_with(Some(netmask))?;
                Ok((FilterVariant { link, netmask: Some(netmask) }, program))
            }
            compiled => Ok((FilterVariant { link, netmask: None }, compiled?)),
        }
    }
}
