//! What must hold for any input, one target a file. A panic is what the fuzzer looks for.

pub mod file;
pub mod filter;
pub mod record;
pub mod text;

// The decoder of the ring is private to the program; here it is a module of its own, which looks for these at the root.
use pcap_io;
#[path = "../../net-traffic/crates/linux/src/capture/record.rs"]
mod ring_record;
