//! The live source of a system that has none yet: it says so. Recordings can be read everywhere.

use super::{LiveOptions, OpenError, SourceError, Tier};
use crate::packet::format::LinkType;
use crate::packet::{Interface, Ledger};
use crate::snapshot::{Cpu, Queue, Snapshot};
use crate::source::capture::{End, LiveCaptureOptions, StartError, Take};
use crate::trial::Trial;

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

/// Nothing to read from.
#[derive(Debug)]
pub struct Surroundings;

impl Surroundings {
    /// # Errors
    /// Always: there is no collector for this system.
    pub fn open() -> std::io::Result<Self> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    /// # Errors
    /// Always: there is no collector for this system.
    pub fn cpus(&self) -> std::io::Result<Vec<Cpu>> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    /// # Errors
    /// Always: there is no collector for this system.
    pub fn queues(&mut self) -> std::io::Result<Vec<Queue>> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }
}

/// No process of the self-test is this program.
#[must_use]
pub fn act_if_told() -> Option<std::process::ExitCode> {
    None
}

/// # Errors
/// Always: nothing counts on this system.
pub fn selftest(_tier: Tier, _duration: std::time::Duration) -> Result<Trial, OpenError> {
    let cause = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(OpenError::Failed { attempt: "count known traffic".to_owned(), cause })
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

    pub fn remarks(&mut self) -> Vec<String> {
        Vec::new()
    }

    pub fn next(&mut self, _: &mut Take<'_>) -> Option<End> {
        Some(End::Enough)
    }

    pub fn finish(&mut self, _: Option<&mut Take<'_>>) {}

    #[must_use]
    pub fn ledger(&mut self) -> Ledger {
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

/// Throughput tests: none yet.
pub mod iperf {
    use std::fs::File;

    use tokio::sync::mpsc::UnboundedReceiver;

    use crate::source::iperf::{Event, IperfError, IperfOptions};

    /// Cannot be made.
    #[derive(Debug)]
    pub enum Iperf {}

    #[derive(Debug)]
    pub struct Outlets {
        pub out: File,
        pub err: File,
    }

    #[derive(Debug)]
    pub struct Started {
        pub iperf: Iperf,
        pub events: UnboundedReceiver<Event>,
        pub outlets: Outlets,
    }

    impl Iperf {
        /// # Errors
        /// Always: there are no throughput tests on this system.
        pub fn start(_options: &IperfOptions) -> Result<Started, IperfError> {
            Err(IperfError::Failed("throughput tests are not supported on this system".to_owned()))
        }

        pub fn interrupt(&self) {
            match *self {}
        }

        pub fn abandon(&self) {
            match *self {}
        }

        /// # Errors
        /// None: there is no test.
        pub async fn outcome(self) -> Result<(), IperfError> {
            match self {}
        }
    }

    #[must_use]
    pub fn error_document(message: &str) -> String {
        message.to_owned()
    }
}
