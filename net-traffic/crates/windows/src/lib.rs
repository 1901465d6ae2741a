//! Reads a Windows machine: event tracing, IP Helper, the packet monitor.
//!
//! [`events`] decodes and adds up what the system reports. It calls nothing of the system, so that it is built and
//! tested on every system; all the rest is for Windows only.

pub mod events;

#[cfg(windows)]
mod at_end;
#[cfg(windows)]
pub mod capture;
#[cfg(windows)]
pub mod children;
#[cfg(windows)]
mod connections;
#[cfg(windows)]
mod console;
#[cfg(windows)]
mod descendants;
#[cfg(windows)]
mod estats;
#[cfg(windows)]
mod etw;
#[cfg(windows)]
pub mod host;
#[cfg(windows)]
mod host_load;
#[cfg(windows)]
mod interfaces;
#[cfg(windows)]
pub mod ip_helper;
#[cfg(windows)]
pub mod live;
#[cfg(windows)]
pub mod lookup;
#[cfg(windows)]
mod processes;
#[cfg(windows)]
mod rights;
#[cfg(windows)]
pub mod signals;
#[cfg(windows)]
pub mod stop;
#[cfg(all(test, windows))]
mod test_process;

#[cfg(windows)]
pub use self::{
    capture::{LiveCapture, link_of},
    children::Children,
    host::init_process_accounting,
    host_load::HostLoad,
    live::Live,
    signals::Signals,
    stop::Stop,
};

#[cfg(windows)]
use std::io;

/// The result of a call that returns one of the system's error codes.
#[cfg(windows)]
fn check(code: u32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(error(code)) }
}

#[cfg(windows)]
fn error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// The size of a structure, as the system wants it told.
#[cfg(windows)]
pub fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// A string for the system: UTF-16 with an end.
#[cfg(windows)]
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain(std::iter::once(0)).collect()
}

/// A string of the system, up to its end.
#[cfg(windows)]
fn narrow(text: &[u16]) -> String {
    let end = text.iter().position(|unit| *unit == 0).unwrap_or(text.len());
    String::from_utf16_lossy(&text[..end])
}
