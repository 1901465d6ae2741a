//! The live source of a system that has none yet: it says so. Recordings can be read everywhere.

use super::{LiveOptions, OpenError, SourceError};
use crate::packet::format::LinkType;
use crate::packet::{Interface, Ledger};
use crate::snapshot::Snapshot;
use crate::source::capture::{End, LiveCaptureOptions, StartError, Take};

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

    /// # Errors
    /// Always: there is no collector for this system.
    pub fn snapshot(&mut self) -> Result<Snapshot, SourceError> {
        Err(SourceError::Live(std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }
}

/// Packets that nobody captures here. Files of packets can be read everywhere.
#[derive(Debug)]
pub struct LiveCapture;

impl LiveCapture {
    /// # Errors
    /// Always: packets cannot be captured on this system.
    pub fn start(_: &LiveCaptureOptions, _: &str, _: bool) -> Result<Self, StartError> {
        let cause = std::io::Error::from(std::io::ErrorKind::Unsupported);
        Err(OpenError::Failed { attempt: "capture packets".to_owned(), cause }.into())
    }

    /// # Errors
    /// Always.
    pub fn run(&mut self, _: &[std::ffi::OsString]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &[]
    }

    #[must_use]
    pub fn without_owners(&self) -> Option<&str> {
        None
    }

    pub fn next(&mut self, _: &mut Take<'_>) -> Option<End> {
        Some(End::Enough)
    }

    pub fn finish(&mut self, _: Option<&mut Take<'_>>) {}

    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::default()
    }
}

#[must_use]
pub fn link_of(_: &str) -> Option<LinkType> {
    None
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
