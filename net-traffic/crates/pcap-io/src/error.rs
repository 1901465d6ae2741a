//! Why a file cannot be read.

use std::io;

/// Why a file has no more packets.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is not what it claims to be. Whatever came before this place was read.
    #[error("{0}")]
    Format(&'static str),
    #[error("the file ends within a packet")]
    Truncated,
    #[error("neither pcap nor pcapng (it begins with {0:08x})")]
    Unknown(u32),
}
