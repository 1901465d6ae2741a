//! Conversions between Rust and Win32: error codes, structure sizes, strings.

use std::io;

/// Converts the return value of an IP Helper or ETW function: 0 is success, any other value is a Win32 error code.
pub(crate) fn check(code: u32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(error(code)) }
}

pub(crate) fn error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// The size of a structure in octets, with the type of `cbSize` members and of size parameters.
#[must_use]
pub fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// A null-terminated UTF-16 string.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain(std::iter::once(0)).collect()
}

/// A UTF-16 string up to its null character, or the whole slice.
pub(crate) fn narrow(text: &[u16]) -> String {
    let end = text.iter().position(|unit| *unit == 0).unwrap_or(text.len());
    String::from_utf16_lossy(&text[..end])
}
