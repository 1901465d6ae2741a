//! Tests whether a socket may use a congestion control algorithm (`TCP_CONGESTION`,
//! <https://man7.org/linux/man-pages/man7/tcp.7.html>).

use std::ffi::OsString;
use std::io;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

/// # Errors
/// When the kernel has no such algorithm, or not for this user.
pub(crate) fn controls_congestion_by(name: &str) -> io::Result<()> {
    let any = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    Ok(setsockopt(&any, sockopt::TcpCongestion, &OsString::from(name))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_algorithm_is_refused() {
        controls_congestion_by("reno").unwrap();
        assert_eq!(controls_congestion_by("none such").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
