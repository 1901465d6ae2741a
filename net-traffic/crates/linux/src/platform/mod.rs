//! This process and the system around it: signals, child processes, the host's name and clocks.

pub mod children;
pub mod exists;
pub mod host;
pub mod signals;
pub mod stop;
