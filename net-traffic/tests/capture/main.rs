//! `capture` against tcpdump, tshark and capinfos: the same packets, the same text, files that they read, and numbers
//! that add up. What needs another program or root says SKIP where it is not there.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says what it skips, and waits for other programs"
)]

mod blocks;
mod choice;
mod files;
mod filter;
mod frames;
mod interop;
mod ledger;
mod names;
mod printer;
mod process;
mod properties;
mod protocols;
mod routers;
mod same;
#[path = "../support/skip.rs"]
mod skip;
mod stage;
mod text;
