//! Writes packets: for people as text, for programs as JSON Lines, pcapng and pcap.

mod files;

pub use self::files::{FileFormat, Files, Rotation};
