//! net-traffic: who moves the bytes on this machine.
//!
//! Data flows one way: source → snapshot → model → view → report → output.

pub mod app;
pub mod args;
pub mod config;
pub mod filter;
pub mod model;
pub mod output;
pub mod packet;
pub mod snapshot;
pub mod source;
pub mod trial;
pub mod view;
