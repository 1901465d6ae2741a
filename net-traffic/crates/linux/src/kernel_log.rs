//! The log messages of the eBPF programs: the error number behind a figure of the loss ledger.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aya::Ebpf;
use aya_log::{EbpfLogger, Error};
use log::{Log, Metadata, Record};

use net_traffic_snapshot::Status;

/// The messages of the programs, each once. The ledger has their number.
pub(super) struct KernelLog {
    reader: EbpfLogger<Arc<Messages>>,
    messages: Arc<Messages>,
}

#[derive(Default)]
struct Messages(Mutex<BTreeSet<String>>);

impl KernelLog {
    pub(super) fn open(programs: &mut Ebpf) -> Result<Self, Error> {
        let messages = Arc::<Messages>::default();
        let reader = EbpfLogger::init_with_logger(programs, Arc::clone(&messages))?;
        Ok(Self { reader, messages })
    }

    /// One entry for each message so far.
    pub(super) fn statuses(&mut self) -> Vec<Status> {
        self.reader.flush();
        let messages = self.messages.0.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().map(|message| status(message)).collect()
    }
}

impl Log for Messages {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(record.args().to_string());
    }

    fn flush(&self) {}
}

fn status(message: &str) -> Status {
    Status {
        slot: "loss".to_owned(),
        tier: Some("log".to_owned()),
        program: None,
        covers: None,
        reason: Some(message.to_owned()),
        remedy: None,
    }
}
