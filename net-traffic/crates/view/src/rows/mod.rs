//! The tables of the views: one a file, with its columns, layouts and rows.

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
