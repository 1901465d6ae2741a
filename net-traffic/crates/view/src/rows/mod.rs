//! The tables that several views share: one per file, each with its columns and how its rows are made.

pub(super) mod balance;
pub(super) mod connections;
pub(super) mod containers;
pub(super) mod destinations;
pub(super) mod interfaces;
pub(super) mod ledger;
pub(super) mod processes;
pub(super) mod states;
pub(super) mod usage;
pub(super) mod xdp_rx;
