//! Errors that end the program: a message on standard error and an exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::ConfigError;
use net_traffic_snapshot::{OpenError, ReplayError, SourceError};
use net_traffic_throughput::IperfError;

/// Each kind has an exit status of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// An argument is invalid. Nothing was started.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Privilege(String),
    #[error("{0}")]
    Failed(String),
    /// The output has the error already.
    #[error("failed; the output has the error")]
    Reported,
    /// The reader of the output closed it: no error.
    #[error("the reader closed the output")]
    OutputClosed,
}

impl Failure {
    /// Writes the message and returns the exit status.
    pub(super) fn report(&self) -> ExitCode {
        let status = match self {
            Self::OutputClosed => return ExitCode::SUCCESS,
            Self::Reported => return ExitCode::FAILURE,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Privilege(_) => 3,
        };
        write_line(&format!("error: {self}"));
        ExitCode::from(status)
    }
}

/// Help and version go to standard output with status 0, errors to standard error with status 2.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    match error.print() {
        Ok(()) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
        // The reader of the help text closed it.
        Err(_) => ExitCode::SUCCESS,
    }
}

/// A note on standard error.
pub(super) fn note(message: &str) {
    write_line(&format!("net-traffic: {message}"));
}

/// A failed write to standard error is ignored: no channel is left to report it.
fn write_line(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        match error {
            OpenError::Usage(_) => Self::Usage(message),
            OpenError::Privilege { .. } => Self::Privilege(message),
            OpenError::Failed { .. } => Self::Failed(message),
        }
    }
}

impl From<IperfError> for Failure {
    fn from(error: IperfError) -> Self {
        match error {
            IperfError::Usage(message) => Self::Usage(message),
            IperfError::Failed(message) => Self::Failed(message),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("failed to write: {error}")),
        }
    }
}

impl Failure {
    pub(super) fn replay(file: &std::path::Path, error: &ReplayError) -> Self {
        Self::Usage(format!("--replay {}: {error}", file.display()))
    }
}
