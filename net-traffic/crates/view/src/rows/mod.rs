//! The tables of the views. Each module defines the columns, the layouts and the rows of one table.

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
