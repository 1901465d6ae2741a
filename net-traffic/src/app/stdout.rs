//! Writes to standard output without waiting for its reader.

use std::io::{self, Write};

use super::failure::Failure;

/// Writes on a thread of its own: a reader that does not read must not keep a signal from being noticed.
pub(super) async fn write(bytes: Vec<u8>) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    });
    match written.await {
        Ok(written) => Ok(written?),
        Err(error) => Err(Failure::Failed(format!("failed to write: {error}"))),
    }
}
