//! Why a file cannot be read.

use std::io;

/// Why [`CaptureReader`](crate::CaptureReader) returns no more packets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The input returned an error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A record of the file contradicts its format. All records before it were returned.
    #[error("{0}")]
    Malformed(&'static str),
    /// The file ends within a record, as a file does whose writer was killed.
    #[error("the file ends within a packet")]
    Truncated,
    /// The file is of another format. The value is its first four bytes, as a big-endian number.
    #[error("neither pcap nor pcapng (it begins with {0:08x})")]
    UnknownFormat(u32),
}
