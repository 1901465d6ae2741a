//! `capture` compared with tcpdump, tshark and capinfos: packets, text, files, and loss counters. Tests that need root or
//! another program skip without it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the tests wait for other programs")]

mod blocks;
mod choice;
mod files;
mod filter;
mod frames;
mod interop;
mod ledger;
mod names;
mod network;
mod printer;
mod process;
mod properties;
mod protocols;
mod routers;
mod same;
mod text;
