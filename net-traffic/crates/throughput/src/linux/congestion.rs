//! Which algorithms for the control of congestion a socket of this process may have.

use std::ffi::OsString;
use std::io;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

/// # Errors
/// When the kernel has none of that name, or not for this user.
pub(crate) fn controls_congestion_by(name: &str) -> io::Result<()> {
    let any = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    Ok(setsockopt(&any, sockopt::TcpCongestion, &OsString::from(name))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_refused() {
        controls_congestion_by("reno").unwrap();
        assert_eq!(controls_congestion_by("none such").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
