//! What a throughput test takes of the system: its standard output, and the sockets that it has by now.

mod output;
pub(in crate::source) mod own;

pub(in crate::source) use self::output::Redirected;
