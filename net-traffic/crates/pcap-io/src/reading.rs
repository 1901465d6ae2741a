//! Octets of a file that may end anywhere and may lie about lengths.

use std::io::{self, Read};

use crate::CaptureError;

/// No packet and no block of a sane file is longer.
pub(crate) const LONGEST: u32 = 64 << 20;

/// Fills the buffer.
pub(crate) fn read_all(input: &mut dyn Read, buffer: &mut [u8]) -> Result<(), CaptureError> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => CaptureError::Truncated,
        _ => CaptureError::Io(error),
    })
}

/// Fills the buffer, unless the file ends here.
pub(crate) fn read_or_end(input: &mut dyn Read, buffer: &mut [u8]) -> Result<bool, CaptureError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(CaptureError::Truncated),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Replaces the buffer's content by the next `length` octets, without believing a length before they are there.
pub(crate) fn read_long(input: &mut dyn Read, buffer: &mut Vec<u8>, length: u32) -> Result<(), CaptureError> {
    buffer.clear();
    let read = input.take(length.into()).read_to_end(buffer)?;
    if read == length as usize { Ok(()) } else { Err(CaptureError::Truncated) }
}
