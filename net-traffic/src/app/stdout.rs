//! Writes to standard output without blocking the caller.

use std::io::{self, Write};

use super::failure::Failure;

/// Writes on a thread of its own, so that a signal is handled while the reader of the output does not read.
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
