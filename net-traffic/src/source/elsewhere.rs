//! The live source of a system that has none yet: it says so. Recordings can be read everywhere.

use super::{LiveOptions, OpenError, SourceError};
use crate::snapshot::Snapshot;

/// Nothing to read from.
#[derive(Debug)]
pub struct Live;

impl Live {
    /// # Errors
    /// Always: there is no collector for this system.
    pub fn open(_options: &LiveOptions) -> Result<Self, OpenError> {
        let cause = std::io::Error::from(std::io::ErrorKind::Unsupported);
        Err(OpenError::Failed { attempt: "read this machine".to_owned(), cause })
    }

    /// No namespace to keep to.
    #[must_use]
    pub fn scope(&self) -> Option<u32> {
        None
    }

    /// # Errors
    /// Always: there is no collector for this system.
    pub fn snapshot(&mut self) -> Result<Snapshot, SourceError> {
        Err(SourceError::Live(std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }
}

/// Whether what the user names is there: cannot be told.
pub mod exists {
    #[must_use]
    pub fn interface(_name: &str) -> Option<bool> {
        None
    }

    #[must_use]
    pub fn process(_pid: u32) -> Option<bool> {
        None
    }
}

/// Commands that are run and waited for: none.
pub mod children {
    use std::{ffi::OsString, io, time::Duration};

    use crate::source::{Progress, StartError};

    /// Nobody to wait for.
    #[derive(Debug)]
    pub struct Children;

    impl Children {
        /// # Errors
        /// Always: commands are not traced on this system.
        pub fn adopt() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// # Errors
        /// Always: commands are not traced on this system.
        pub fn start(&mut self, command: &[OsString]) -> Result<(), StartError> {
            let command = command.first().cloned().unwrap_or_default();
            Err(StartError::Refused { command, cause: io::ErrorKind::Unsupported.into() })
        }

        /// # Errors
        /// Always: commands are not traced on this system.
        pub fn wait(&mut self, _at_most: Duration) -> io::Result<Progress> {
            Err(io::ErrorKind::Unsupported.into())
        }

        #[must_use]
        pub fn status(&self) -> Option<u8> {
            None
        }
    }
}
