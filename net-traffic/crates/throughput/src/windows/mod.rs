//! What a throughput test takes of the system: its standard output, the sockets that it has by now, and
//! what it can do at once.

mod output;
pub(crate) mod own;

pub(crate) use self::output::Redirected;

/// Whether many datagrams can be sent in one call.
pub(crate) const SENDS_MANY: bool = false;

/// Windows chooses by itself.
///
/// # Errors
/// Always.
pub(crate) fn controls_congestion_by(_name: &str) -> std::io::Result<()> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "this system does not let a program choose"))
}
