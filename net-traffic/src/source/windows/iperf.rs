//! Throughput tests: not yet.

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
    /// Always.
    pub fn start(_options: &IperfOptions) -> Result<Started, IperfError> {
        Err(IperfError::Failed("throughput tests are not supported on Windows yet".to_owned()))
    }

    pub fn interrupt(&self) {
        match *self {}
    }

    pub fn abandon(&self) {
        match *self {}
    }

    /// # Errors
    /// None: there is no test.
    #[expect(clippy::unused_async, reason = "a test would be waited for")]
    pub async fn outcome(self) -> Result<(), IperfError> {
        match self {}
    }
}

#[must_use]
pub fn error_document(message: &str) -> String {
    message.to_owned()
}
