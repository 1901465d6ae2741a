//! Reads a Windows machine: ETW, IP Helper, the packet monitor.
//!
//! [`events`] decodes and sums ETW events and packet reports. It makes no system call, so that it compiles and is
//! tested on every system. The other modules compile on Windows only.

pub mod events;

#[cfg(windows)]
pub mod capture;
#[cfg(windows)]
mod connections;
#[cfg(windows)]
mod estats;
#[cfg(windows)]
mod etw;
#[cfg(windows)]
mod host_load;
#[cfg(windows)]
mod interfaces;
#[cfg(windows)]
pub mod ip_helper;
#[cfg(windows)]
pub mod live;
#[cfg(windows)]
pub mod platform;
#[cfg(windows)]
mod processes;
#[cfg(windows)]
mod rights;
#[cfg(windows)]
#[cfg(test)]
mod test_process;
#[cfg(windows)]
mod win32;

#[cfg(windows)]
pub use self::{
    capture::{LiveCapture, link_of},
    host_load::HostLoad,
    live::Live,
    platform::children::Children,
    platform::host::init_process_accounting,
    platform::lookup,
    platform::signals::Signals,
    platform::stop::Stop,
    win32::size,
};

#[cfg(windows)]
use self::win32::{check, error, narrow, wide};
