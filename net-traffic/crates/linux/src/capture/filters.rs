//! The user's expression as loaded programs, one for each kind of interface and place where it runs.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use net_traffic_common::packet::next as stage;

use super::interfaces::Found;
use super::program::{self, ProgramError};
use crate::plan::Crossing;
use pcap_filter::ebpf::Lowering;
use pcap_filter::{CompileOptions, FilterErrorKind, LinkType, NameTable, Program};

/// Where a filter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Where the stack takes a packet or gives it away.
    Stack(Crossing),
    /// Where a frame arrives.
    Arrival,
}

pub(super) struct Filters {
    expression: String,
    snaplen: u32,
    optimize: bool,
    names: NameTable,
    loaded: HashMap<(Kind, Place), OwnedFd>,
}

/// What an expression's meaning depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    link: LinkType,
    /// Only where the expression asks for it.
    netmask: Option<u32>,
}

impl Filters {
    /// What is wrong with the expression is said here, before anything is loaded.
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

    /// Whether no packet of the interface can be accepted.
    pub(super) fn rejects_all(&self, found: &Found) -> bool {
        let program =
            LinkType::try_from(found.link.0).ok().map(|link| self.compile(link, found.netmask.unwrap_or(0)));
        program.is_some_and(|program| program.is_ok_and(|(_, program)| program.rejects_all()))
    }

    /// The filter for an interface, followed by what `stages` has for the place. It is loaded if it was not yet.
    pub(super) fn load(
        &mut self,
        found: &Found,
        place: Place,
        stages: BorrowedFd<'_>,
    ) -> io::Result<BorrowedFd<'_>> {
        let link = LinkType::try_from(found.link.0).ok().ok_or(io::ErrorKind::Unsupported)?;
        let (kind, program) = self.compile(link, found.netmask.unwrap_or(0)).map_err(io::Error::other)?;
        let loaded: &OwnedFd = match self.loaded.entry((kind, place)) {
            std::collections::hash_map::Entry::Occupied(loaded) => loaded.into_mut(),
            std::collections::hash_map::Entry::Vacant(missing) => {
                let (lowering, next) = match place {
                    Place::Stack(Crossing::In) => (Lowering::TcIngress, stage::KEEP_IN),
                    Place::Stack(Crossing::Out) => (Lowering::TcEgress, stage::KEEP_OUT),
                    Place::Arrival => (Lowering::Xdp, stage::KEEP_XDP),
                };
                let filter = program::load(&program, lowering, stages, next).map_err(io::Error::other)?;
                missing.insert(filter)
            }
        };
        Ok(loaded.as_fd())
    }

    /// With the interface's netmask only if there is no other way: most expressions need none.
    fn compile(&self, link: LinkType, netmask: u32) -> Result<(Kind, Program), ProgramError> {
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
                Ok((Kind { link, netmask: Some(netmask) }, program))
            }
            compiled => Ok((Kind { link, netmask: None }, compiled?)),
        }
    }
}
