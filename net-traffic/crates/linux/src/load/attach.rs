//! Loads and attaches one program.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use aya::maps::Map;
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSock, FEntry, FExit, Iter, KProbe, Program, ProgramError,
    SchedClassifier, Xdp,
};
use aya::{Btf, Ebpf};

use super::AttachError;
use crate::bpf::IterLink;
use crate::cgroup::mounted;
use crate::interface_accounting;
use crate::netns::NetNs;
use crate::plan::{self, Attach, Crossing};

/// Loads and attaches the programs of one object.
pub(super) struct Attacher<'a> {
    pub(super) bpf: Ebpf,
    pub(super) btf: &'a Btf,
    /// The namespace of the interfaces to account for.
    pub(super) netns: Option<&'a NetNs>,
    /// The walk over the sockets.
    pub(super) sockets: Option<IterLink>,
    /// The walk over the file descriptors.
    pub(super) descriptors: Option<IterLink>,
}

impl Attacher<'_> {
    pub(super) fn attach(&mut self, program: &plan::Program) -> Result<(), AttachError> {
        let btf = self.btf;
        match program.attach {
            Attach::Tracepoint(event) => {
                let tracepoint: &mut BtfTracePoint = self.program(program.name)?;
                tracepoint.load(event, btf)?;
                tracepoint.attach()?;
            }
            Attach::Entry(function) => {
                let entry: &mut FEntry = self.program(program.name)?;
                entry.load(function, btf)?;
                entry.attach()?;
            }
            Attach::Exit(function) => {
                let exit: &mut FExit = self.program(program.name)?;
                exit.load(function, btf)?;
                exit.attach()?;
            }
            Attach::Probe(function) | Attach::ReturnProbe(function) => {
                let probe: &mut KProbe = self.program(program.name)?;
                probe.load()?;
                probe.attach(function, 0)?;
            }
            Attach::CgroupRelease | Attach::CgroupCreate => {
                let hook: &mut CgroupSock = self.program(program.name)?;
                hook.load()?;
                hook.attach(File::open(cgroup2_root()?)?, CgroupAttachMode::Single)?;
            }
            Attach::Tcx(crossing) => self.probe_classifier(program.name, crossing, true)?,
            Attach::Clsact(crossing) => self.probe_classifier(program.name, crossing, false)?,
            Attach::Xdp => self.probe_xdp(program.name)?,
            Attach::Descriptors => {
                let link = IterLink::attach(self.iterator(program)?, None)?;
                link.run()?;
                self.descriptors = Some(link);
            }
            Attach::Connections => self.walk_connections(program)?,
            Attach::Map(map) => self.attach_walk(program, map)?,
        }
        Ok(())
    }

    /// A duplicate of the descriptor of a loaded program.
    pub(super) fn program_fd(&self, name: &str) -> Result<OwnedFd, AttachError> {
        let program = self.bpf.program(name).ok_or(AttachError::NotInObject)?;
        Ok(program.fd()?.as_fd().try_clone_to_owned()?)
    }

    fn program<'p, P>(&'p mut self, name: &str) -> Result<&'p mut P, AttachError>
    where
        &'p mut P: TryFrom<&'p mut Program, Error = ProgramError>,
    {
        Ok(self.bpf.program_mut(name).ok_or(AttachError::NotInObject)?.try_into()?)
    }

    fn iterator(&mut self, program: &plan::Program) -> Result<BorrowedFd<'_>, AttachError> {
        let btf = self.btf;
        let target = program.attach.iterator_target().ok_or(AttachError::NotInObject)?;
        let iterator: &mut Iter = self.program(program.name)?;
        iterator.load(target, btf)?;
        Ok(iterator.fd()?.as_fd())
    }

    /// The same program serves both attach points of a direction.
    fn probe_classifier(
        &mut self,
        name: &str,
        crossing: Crossing,
        uses_tcx: bool,
    ) -> Result<(), AttachError> {
        let netns = self.netns.ok_or(AttachError::NotInObject)?;
        let classifier: &mut SchedClassifier = self.program(name)?;
        if classifier.fd().is_err() {
            classifier.load()?;
        }
        let way = if uses_tcx { "a tcx link" } else { "a clsact filter" };
        interface_accounting::probe_attach(netns, classifier.fd()?.as_fd(), crossing, uses_tcx)
            .map_err(|cause| AttachError::Probe { way, cause })
    }

    fn probe_xdp(&mut self, name: &str) -> Result<(), AttachError> {
        let netns = self.netns.ok_or(AttachError::NotInObject)?;
        let xdp: &mut Xdp = self.program(name)?;
        xdp.load()?;
        Ok(interface_accounting::probe_attach_xdp(netns, xdp.fd()?.as_fd())?)
    }

    /// Runs the program on the connections of every network namespace that this process may enter. A connection of
    /// another namespace gets its owner when a process accepts it.
    fn walk_connections(&mut self, program: &plan::Program) -> Result<(), AttachError> {
        let link = IterLink::attach(self.iterator(program)?, None)?;
        link.run()?;
        let own = NetNs::own().map_or(0, |own| own.inode());
        for netns in NetNs::all().iter().filter(|netns| netns.inode() != own) {
            let _walked = netns.run(|| link.run());
        }
        Ok(())
    }

    fn attach_walk(&mut self, program: &plan::Program, map: &str) -> Result<(), AttachError> {
        self.iterator(program)?;
        let program = self.bpf.program(program.name).ok_or(AttachError::NotInObject)?;
        let map = self.bpf.map(map).ok_or(AttachError::NotInObject)?;
        self.sockets = Some(IterLink::attach(program.fd()?.as_fd(), Some(map_fd(map)?))?);
        Ok(())
    }
}

/// The descriptor of a map that is walked over, or whose entries are removed.
///
/// # Errors
/// For another type of map.
pub fn map_fd(map: &Map) -> Result<BorrowedFd<'_>, AttachError> {
    match map {
        Map::SkStorage(data) | Map::HashMap(data) => Ok(data.fd().as_fd()),
        _ => Err(AttachError::NotInObject),
    }
}

/// The mount point of the cgroup v2 hierarchy.
pub(crate) fn cgroup2_root() -> io::Result<PathBuf> {
    mounted::version_2()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted"))
}
