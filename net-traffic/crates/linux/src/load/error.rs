//! Why no tier holds, or one program does not run.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;

use crate::btf::BtfError;
use crate::error_chain::chain;
use crate::plan::{Filled, Refusal};

/// Why no tier holds. The text has the causes.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The tier has no programs for this machine's processor.
    #[error("{0}")]
    Architecture(&'static str),
    #[error("load the eBPF object: {}", chain(.0))]
    Object(#[source] EbpfError),
    #[error("write the kernel's BTF for aya: {}", chain(.0))]
    Symbols(#[source] aya::BtfError),
    #[error("the object lacks the map {0}")]
    NoMap(&'static str),
    #[error("open the map {map}: {}", chain(.cause))]
    Map {
        map: &'static str,
        #[source]
        cause: MapError,
    },
    #[error("clone the descriptor of a program: {0}")]
    Program(#[source] AttachError),
    #[error("open the log of the programs: {}", chain(.0))]
    Log(#[source] aya_log::Error),
    #[error("find the PID namespace: {0}")]
    PidNamespace(#[source] io::Error),
    #[error("start the thread that reads closed sockets: {0}")]
    Thread(#[source] io::Error),
    /// No tier could fill each slot that it must; the refusals of every tier.
    #[error("attach: {}", summary(.0))]
    Refused(Vec<Filled>),
}

fn summary(slots: &[Filled]) -> String {
    let refusals = slots.iter().filter(|slot| !slot.holds()).flat_map(|slot| &slot.refusals);
    let mut reasons: Vec<String> = refusals.map(Refusal::to_string).collect();
    reasons.dedup();
    reasons.join("; ")
}

/// Why one program does not run.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("the object lacks it")]
    NotInObject,
    #[error("{}", chain(.0))]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The kernel refused a trial attach to the loopback interface.
    #[error("{way}: {cause}")]
    Probe {
        way: &'static str,
        #[source]
        cause: io::Error,
    },
}
