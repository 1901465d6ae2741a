//! The Windows side of the sources.

mod at_end;
pub mod capture;
pub mod children;
mod connections;
mod console;
mod descendants;
mod estats;
mod etw;
pub mod exists;
pub mod host;
mod interfaces;
mod ip_helper;
pub mod iperf;
pub mod live;
mod processes;
mod rights;
pub mod selftest;
pub mod signals;
pub mod stop;
pub mod surroundings;
#[cfg(test)]
mod test_process;

use std::io;

/// The result of a call that returns one of the system's error codes.
fn check(code: u32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(error(code)) }
}

fn error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// The size of a structure, as the system wants it told.
fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// A string for the system: UTF-16 with an end.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain(std::iter::once(0)).collect()
}

/// A string of the system, up to its end.
fn narrow(text: &[u16]) -> String {
    let end = text.iter().position(|unit| *unit == 0).unwrap_or(text.len());
    String::from_utf16_lossy(&text[..end])
}
