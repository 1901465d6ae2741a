//! net-traffic: who moves the bytes on this machine.
//!
//! Data flows one way: source → snapshot → model → view → report → output.

pub mod filter;
pub mod snapshot;
pub mod source;
