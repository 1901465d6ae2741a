//! The packet filter against libpcap's verdicts, stored and live, and against the kernel.

mod generated;
mod grammar;
#[cfg(target_os = "linux")]
mod kernel;
mod libpcap;
mod oracle;
mod verdicts;
