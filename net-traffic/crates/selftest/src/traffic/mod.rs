//! Known traffic with its ground truth: what the byte accounting must equal, to the byte.
//!
//! A [`Case`] is one way of moving bytes. A [`Stage`] plays it with two processes of its own, so that every byte has
//! a distinct owner, and hands back what their own system calls returned. It counts nothing that another program or
//! the kernel says; [`compare`] holds against it what a tracer saw.

mod actor;
mod case;
mod cases;
mod channel;
pub mod compare;
mod error;
mod link;
mod netns;
mod options;
mod sockets;
mod stage;
mod truth;
mod uring;

pub use actor::act_if_told;
pub use case::Case;
pub use cases::cases;
pub use error::{Feature, TrafficError};
pub use netns::NetNs;
pub use stage::Stage;
pub use truth::Moved;
