//! Which program fills a slot, and which tiers are tried.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use net_traffic_snapshot::{Status, Tier};

use super::{Attach, Hook, Program, Slot, Storage};
use crate::error_chain::chain;

/// The hook that fills a slot, and the programs that were refused before it.
#[derive(Clone, Debug)]
pub struct Filled {
    pub slot: &'static Slot,
    pub hook: Option<&'static Hook>,
    pub refusals: Vec<Refusal>,
}

/// A program that this kernel refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub program: &'static str,
    pub cause: Arc<dyn Error + Send + Sync>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.program, chain(&*self.cause))
    }
}

impl Filled {
    /// False: the slot is required and empty.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.hook.is_some() || !self.slot.required
    }

    /// The attach point of the hook's first program.
    #[must_use]
    pub fn attach(&self) -> Option<Attach> {
        Some(self.hook?.programs.first()?.attach)
    }

    /// The entry of a report.
    #[must_use]
    pub fn status(&self) -> Status {
        let refusals: Vec<String> = self.refusals.iter().map(Refusal::to_string).collect();
        let program = self.hook.and_then(|hook| hook.programs.first());
        Status {
            slot: self.slot.name.into(),
            tier: program.map(|program| program.attach.mechanism().into()),
            program: program.map(|program| program.name.into()),
            covers: program.map(|_| self.slot.covers.into()),
            reason: (!refusals.is_empty()).then(|| refusals.join("; ")),
            remedy: None,
        }
    }
}

/// The kernel's answer to one attempt to load and attach a program. The error is shared: several slots may need the
/// same program.
pub type Attempt = Result<(), Arc<dyn Error + Send + Sync>>;

/// Fills a slot with the first hook whose programs all attach.
///
/// Only hooks of one of `tiers` and of this storage are tried. `attach` tries one program. Slots share programs, so
/// that `attach` gets the same program several times.
pub fn fill(
    slot: &'static Slot,
    tiers: &[Tier],
    storage: Storage,
    attach: &mut dyn FnMut(&'static Program) -> Attempt,
) -> Filled {
    let mut refusals = Vec::new();
    let hook = slot
        .hooks
        .iter()
        .filter(|hook| hook.tier.is_none_or(|tier| tiers.contains(&tier)))
        .filter(|hook| hook.storage.is_none_or(|needed| needed == storage))
        .find(|hook| {
            hook.programs.iter().all(|program| match attach(program) {
                Ok(()) => true,
                Err(cause) => {
                    refusals.push(Refusal { program: program.name, cause });
                    false
                }
            })
        });
    Filled { slot, hook, refusals }
}

/// The tiers to try together, in their order, for the tier that the user chose, on a machine of this architecture
/// ([`std::env::consts::ARCH`]).
#[must_use]
pub fn attempts(wanted: Tier, architecture: &str) -> Vec<Vec<Tier>> {
    let mut attempts = match wanted {
        Tier::Auto => vec![vec![Tier::TpBtf, Tier::Fentry], vec![Tier::Kprobe]],
        Tier::Polling => Vec::new(),
        tier => vec![vec![tier]],
    };
    attempts.retain(|tiers| tiers.iter().all(|tier| unsupported(*tier, architecture).is_none()));
    attempts
}

/// The reason why a tier cannot count on this architecture; `None` if it can.
#[must_use]
pub fn unsupported(tier: Tier, architecture: &str) -> Option<&'static str> {
    (tier == Tier::Kprobe && architecture != "x86_64")
        .then_some("the kprobe programs read the registers of x86-64 and would count nothing here")
}
