//! Compiles the user's expression to programs: one for each link type, netmask and hook point.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use net_traffic_common::packet::tail_call as stage;

use super::interfaces::CaptureInterface;
use super::program::{self, ProgramError};
use crate::plan::Crossing;
use pcap_filter::ebpf::Hook;
use pcap_filter::{CompileOptions, FilterErrorKind, LinkType, NameTable, Program};

/// The hook point of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum HookPoint {
    /// Traffic control, at the receive or at the transmit side of the stack.
    Stack(Crossing),
    Xdp,
}

pub(super) struct Filters {
    expression: String,
    snaplen: u32,
    optimize: bool,
    names: NameTable,
    loaded: HashMap<(FilterVariant, HookPoint), OwnedFd>,
}

/// The properties of an interface that change the meaning of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FilterVariant {
    link: LinkType,
    /// Set if the expression depends on it.
    netmask: Option<u32>,
}

impl Filters {
    /// Checks the expression before any program is loaded.
    pub(super) fn new(
        expression: &str,
        snaplen: u32,
        optimize: bool,
        names: NameTable,
    ) -> Result<Self, ProgramError> {
        let it = Self { expression: expression.to_owned(), snaplen, optimize, names, loaded: HashMap::new() };
        it.compile(LinkType::Ethernet, 0)?;
        Ok(it)
    }

    /// Whether the filter rejects every packet of the interface.
    pub(super) fn rejects_all(&self, found: &CaptureInterface) -> bool {
        let program =
            LinkType::try_from(found.link.0).ok().map(|link| self.compile(link, found.netmask.unwrap_or(0)));
        program.is_some_and(|program| program.is_ok_and(|(_, program)| program.rejects_all()))
    }

    /// The filter of an interface for a hook point; loaded at the first call. The filter tail-calls an entry of `stages`.
    pub(super) fn load(
        &mut self,
        found: &CaptureInterface,
        hook: HookPoint,
        stages: BorrowedFd<'_>,
    ) -> io::Result<BorrowedFd<'_>> {
        let link = LinkType::try_from(found.link.0).ok().ok_or(io::ErrorKind::Unsupported)?;
        let (variant, program) = self.compile(link, found.netmask.unwrap_or(0)).map_err(io::Error::other)?;
        let loaded: &OwnedFd = match self.loaded.entry((variant, hook)) {
            std::collections::hash_map::Entry::Occupied(loaded) => loaded.into_mut(),
            std::collections::hash_map::Entry::Vacant(missing) => {
                let (hook, next) = match hook {
                    HookPoint::Stack(Crossing::In) => (Hook::TcIngress, stage::CAPTURE_IN),
                    HookPoint::Stack(Crossing::Out) => (Hook::TcEgress, stage::CAPTURE_OUT),
                    HookPoint::Xdp => (Hook::Xdp, stage::CAPTURE_XDP),
                };
                let filter = program::load(&program, hook, stages, next).map_err(io::Error::other)?;
                missing.insert(filter)
            }
        };
        Ok(loaded.as_fd())
    }

    /// Compiles without the netmask first: most expressions do not need it, and interfaces can share the program.
    fn compile(&self, link: LinkType, netmask: u32) -> Result<(FilterVariant, Program), ProgramError> {
        let compile = |netmask| {
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
        match compile(None) {
            Err(ProgramError::Filter(error)) if error.kind == FilterErrorKind::NetmaskUnknown => {
                let program = compile(Some(netmask))?;
                Ok((FilterVariant { link, netmask: Some(netmask) }, program))
            }
            compiled => Ok((FilterVariant { link, netmask: None }, compiled?)),
        }
    }
}
