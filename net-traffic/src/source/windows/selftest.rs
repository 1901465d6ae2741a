//! The self-test: it sends by calls that only Linux has.

use std::time::Duration;

use crate::source::{OpenError, Tier};
use crate::trial::Trial;

/// No process of the self-test is this program.
#[must_use]
pub fn act_if_told() -> Option<std::process::ExitCode> {
    None
}

/// # Errors
/// Always.
pub fn run(_tier: Tier, _duration: Duration) -> Result<Trial, OpenError> {
    Err(OpenError::Usage("the self-test runs on Linux only".to_owned()))
}
