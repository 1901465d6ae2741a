//! Known traffic with its ground truth: the byte counts that the accounting must reach exactly.
//!
//! A [`Case`] is one way to move bytes. A [`CaseRun`] plays a case with two processes of its own, so that each byte
//! has a distinct owner, and returns the results of the processes' own system calls. The ground truth contains no
//! number of another program or of the kernel. [`compare`] holds a tracer's numbers against it.

mod case;
mod case_run;
mod cases;
mod channel;
pub mod compare;
mod error;
mod ground_truth;
mod launch;
mod metered_socket;
mod netns;
mod options;
mod sockets;
mod uring;
mod worker;

pub use case::Case;
pub use case_run::CaseRun;
pub use cases::cases;
pub use error::{Feature, TrafficError};
pub use ground_truth::Transfer;
pub use launch::run_worker_if_requested;
pub use netns::NetNs;
