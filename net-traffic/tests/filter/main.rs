//! The packet filter against libpcap's verdicts, stored and live, and against the kernel.

mod oracle;
mod verdicts;
