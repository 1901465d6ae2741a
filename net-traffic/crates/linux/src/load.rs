//! Loads and attaches the eBPF programs that count.

mod attach;
mod attempt;
mod error;
mod object;

use std::env::consts::ARCH;
use std::os::unix::fs::MetadataExt;

use aya::{Btf, Ebpf};
use net_traffic_common::packet::CaptureSettings;
use net_traffic_common::{Ancestor, Hierarchy};
use net_traffic_snapshot::Tier;

use self::attempt::{Outcome, TierAttempt};
use self::object::Constants;
use super::bpf::IterLink;
use super::btf::KernelBtf;
use super::cgroup::hierarchy;
use super::interface_accounting::InterfacePrograms;
use super::netns::NetNs;
use super::plan::{self, Filled, MapUse};

pub(super) use self::attach::cgroup2_root;
pub use self::attach::map_fd;
pub use self::error::{AttachError, LoadError};
#[cfg(test)]
pub(super) use self::object::OBJECT;
pub use super::plan::LoadOptions;

/// The programs that run, and what fills each slot.
pub struct Loaded {
    pub bpf: Ebpf,
    pub tier: Tier,
    pub slots: Vec<Filled>,
    /// The walk over the sockets, which reads their counters.
    pub sockets: IterLink,
    /// The walk over the file descriptors, which sets the owners of sockets.
    pub descriptors: IterLink,
    pub interfaces: Option<InterfacePrograms>,
}

/// Loads and attaches the best tier that holds, or the wanted one. `netns`: with the programs that account for the
/// interfaces of this namespace.
///
/// # Errors
/// When no tier holds: with every refusal.
pub fn load(wanted: Tier, options: LoadOptions, netns: Option<&NetNs>) -> Result<Loaded, LoadError> {
    if let Some(reason) = plan::unsupported(wanted, ARCH) {
        return Err(LoadError::Architecture(reason));
    }
    let (kernel, mut constants) = this_kernel()?;
    if options.descendants > 0 {
        constants.ancestor = this_process()?;
    }
    let btf = kernel.for_aya().map_err(LoadError::Symbols)?;
    let mut refused = Vec::new();
    for tiers in plan::attempts(wanted, ARCH) {
        let attempt = TierAttempt { tiers: &tiers, kernel, constants: &constants, options, netns };
        match attempt.run(&btf)? {
            Outcome::Holds(loaded) => {
                drop(btf);
                give_back_memory();
                return Ok(*loaded);
            }
            Outcome::Refused(slots) => refused.extend(slots),
        }
    }
    Err(LoadError::Refused(refused))
}

/// Makes the maps and prepares the programs for a capture. None of them counts. `owners`: some of them look for the
/// owners of sockets, and need the kernel's offsets.
pub(super) fn load_for_capture(settings: CaptureSettings, owners: bool) -> Result<Ebpf, LoadError> {
    let constants = if owners { this_kernel()?.1 } else { Constants::default() };
    object::open(&constants, &MapUse::capture(settings, owners))
}

/// The kernel's BTF for aya, with the symbols of the plan.
pub(super) fn kernel_btf() -> Result<Btf, LoadError> {
    this_kernel()?.0.for_aya().map_err(LoadError::Symbols)
}

fn this_kernel() -> Result<(&'static KernelBtf, Constants), LoadError> {
    let chosen = hierarchy::container_hierarchy();
    let symbols = plan::programs().filter_map(|program| program.attach.symbol());
    let kernel = KernelBtf::of_this_kernel(chosen.controller, symbols)?;
    // A controller that the kernel's BTF lacks: version 2 of cgroups, which is coarser.
    let hierarchy =
        kernel.subsystem.map(|subsystem| Hierarchy { id: chosen.id, subsystem }).unwrap_or_default();
    Ok((kernel, Constants { offsets: kernel.offsets, hierarchy, ..Constants::default() }))
}

/// This process, by its PID in its own PID namespace.
fn this_process() -> Result<Ancestor, LoadError> {
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_err(LoadError::PidNamespace)?;
    Ok(Ancestor {
        namespace_device: namespace.dev(),
        namespace_inode: namespace.ino(),
        pid: std::process::id(),
        reserved: 0,
    })
}

/// glibc keeps freed memory. The kernel's BTF took up to 30 MB of it.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function takes a number and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
