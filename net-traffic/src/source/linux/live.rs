//! The live source: every collector of this machine behind one snapshot.

use super::super::{LiveOptions, OpenError, SourceError};
use crate::snapshot::Snapshot;

/// The collectors of this machine.
#[derive(Debug)]
pub struct Live;

impl Live {
    /// Opens what the options ask for.
    ///
    /// # Errors
    /// When something that was asked for does not exist, is not allowed, or failed.
    pub fn open(_options: &LiveOptions) -> Result<Self, OpenError> {
        Err(OpenError::Failed {
            attempt: "read this machine".to_owned(),
            cause: std::io::Error::from(std::io::ErrorKind::Unsupported),
        })
    }

    /// Reads the machine.
    ///
    /// # Errors
    /// When nothing could be read at all; what a single collector cannot read is missing and named in `status`.
    pub fn snapshot(&mut self) -> Result<Snapshot, SourceError> {
        Err(SourceError::Live(std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }
}
