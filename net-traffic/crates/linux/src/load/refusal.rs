//! Why a tier does not hold, or one program does not run, in the kernel's words.

use std::io;

use aya::programs::ProgramError;

use crate::btf::BtfError;
use crate::plan::Filled;

/// Why no tier holds.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The tier has no programs for this machine's processor.
    #[error("{0}")]
    Architecture(&'static str),
    #[error("load the eBPF maps: {0}")]
    Maps(String),
    /// No tier could fill each slot that it must; the refusals of the best one.
    #[error("attach: {}", summary(.0))]
    Refused(Vec<Filled>),
}

fn summary(slots: &[Filled]) -> String {
    let refusals = slots.iter().filter(|slot| !slot.holds()).flat_map(|slot| &slot.refusals);
    let mut reasons: Vec<String> = refusals.map(|r| format!("{}: {}", r.program, r.reason)).collect();
    reasons.dedup();
    reasons.join("; ")
}

/// Why one program does not run.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("the object lacks it")]
    NotInObject,
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An error with its causes, on one line, without the verifier's log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        let line = line.split(". Verifier output").next().unwrap_or(&line);
        let line = line.lines().next().unwrap_or_default().trim_end_matches(':');
        if !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = error.source();
    }
    text
}
