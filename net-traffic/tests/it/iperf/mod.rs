//! Throughput tests against iperf3 in network namespaces: the reports of both ends, the kernel's counts, the cause that
//! limited a test, and the server's robustness.
//!
//! Needs root and iperf3, else the tests skip.
#![expect(clippy::disallowed_methods, reason = "the tests wait for programs, with a deadline")]

mod agree;
mod causes;
mod client;
mod figures;
mod network;
mod obeyed;
mod obstacles;
mod options;
mod progress;
mod reports;
mod rights;
mod schema;
mod server;
