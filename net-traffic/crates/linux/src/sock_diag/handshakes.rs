//! Tests whether a network namespace ever had an MPTCP connection, from the counters in /proc/net/netstat.
//!
//! A dump of MPTCP sockets visits every bucket of the token table, whose size follows the machine's memory
//! (<https://github.com/gregkh/linux/blob/v6.12.117/net/mptcp/token.c#L304>), and of the listener table. On most hosts
//! that is the most expensive part of a snapshot, and finds nothing.

use std::fs::File;
use std::io::{self, Read, Seek};

use crate::netns::NetNs;

/// The counters of MPTCP handshakes in one namespace. The counters never decrease.
#[derive(Debug)]
pub(super) struct MptcpHandshakes {
    /// `None` if the file cannot be read, or a handshake has been counted.
    counts: Option<File>,
    text: String,
}

impl MptcpHandshakes {
    pub(super) fn open(netns: &NetNs) -> Self {
        let counts = netns.run(|| File::open("/proc/thread-self/net/netstat"));
        Self { counts: counts.and_then(|opened| opened).ok(), text: String::new() }
    }

    /// False only if the counters are 0, so that the namespace has had no MPTCP connection.
    pub(super) fn may_have_been(&mut self) -> bool {
        let none = self.read().is_ok_and(|()| counted(&self.text) == Some(0));
        if !none {
            self.counts = None;
        }
        !none
    }

    fn read(&mut self) -> io::Result<()> {
        let counts = self.counts.as_mut().ok_or(io::ErrorKind::NotFound)?;
        self.text.clear();
        counts.rewind()?;
        counts.read_to_string(&mut self.text)?;
        Ok(())
    }
}

/// The handshakes that this side and peers began
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/mptcp/mib.c#L12>). The file has a line of names and a line of
/// as many numbers.
fn counted(netstat: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("MPTcpExt: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let number = |wanted| {
        let mut columns = names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace());
        columns.find(|(name, _)| *name == wanted)?.1.parse::<u64>().ok()
    };
    Some(number("MPCapableSYNRX")?.saturating_add(number("MPCapableSYNTX")?))
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::process::Command;

    use nix::errno::Errno;
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::socket::{Backlog, SockaddrIn, accept, bind, connect, getsockname, listen};

    use super::*;
    use crate::sock_diag::{SockDiag, SocketQuery, States};
    use net_traffic_snapshot::Collector;
    use net_traffic_snapshot::{Protocol, Snapshot, Socket, State};

    #[test]
    fn handshakes_of_both_sides_are_added() {
        let netstat = |rx, tx| {
            format!(
                "TcpExt: SyncookiesSent Other\nTcpExt: 7 8\nIpExt: InNoRoutes\nIpExt: 0\n\
                 MPTcpExt: MPCapableSYNRX MPCapableSYNTX MPCapableSYNACKRX\nMPTcpExt: {rx} {tx} 9\n"
            )
        };
        assert_eq!(counted(&netstat(0, 0)), Some(0));
        assert_eq!(counted(&netstat(1, 0)), Some(1));
        assert_eq!(counted(&netstat(2, 3)), Some(5));
    }

    #[test]
    fn missing_counters_are_not_zero() {
        assert_eq!(counted("TcpExt: SyncookiesSent\nTcpExt: 0\n"), None);
        assert_eq!(counted("MPTcpExt: MPCapableSYNRX MPCapableSYNTX\nMPTcpExt: 0\n"), None);
        assert_eq!(counted("MPTcpExt: MPCapableSYNRX\nMPTcpExt: 0\n"), None);
        let mut unknown = MptcpHandshakes { counts: None, text: String::new() };
        assert!(unknown.may_have_been());
    }

    /// In a new network namespace. Passes without a result if the namespace or MPTCP is refused.
    #[test]
    fn first_mptcp_listener_and_connection_are_listed() {
        let strict = std::env::var("NET_TRAFFIC_NO_SKIP").is_ok_and(|value| value == "1");
        let found = std::thread::spawn(|| -> nix::Result<[usize; 4]> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
            let queries = [Protocol::Tcp, Protocol::Mptcp];
            let queries = queries.map(|protocol| SocketQuery { protocol, states: States::ALL });
            let mut all = SockDiag::new(&NetNs::own().unwrap(), &queries).unwrap();
            let mut count = |state| {
                let mut snapshot = Snapshot::default();
                all.collect(&mut snapshot).unwrap();
                let is_counted = |found: &&Socket| found.protocol == Protocol::Mptcp && found.state == state;
                snapshot.sockets.iter().filter(is_counted).count()
            };
            // The first call dumps MPTCP, the second one skips the dump.
            let none = [count(State::Listen), count(State::Listen)];
            let listener = mptcp_socket()?;
            bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
            listen(&listener, Backlog::new(1)?)?;
            let listening = count(State::Listen);
            let client = mptcp_socket()?;
            connect(client.as_raw_fd(), &getsockname::<SockaddrIn>(listener.as_raw_fd())?)?;
            let _server = accept(&listener)?;
            Ok([none[0], none[1], listening, count(State::Established)])
        });
        match found.join().unwrap() {
            Ok(found) => assert_eq!(found, [0, 0, 1, 2]),
            Err(refusal) => assert!(!strict, "{refusal}"),
        }
    }

    fn mptcp_socket() -> nix::Result<OwnedFd> {
        // SAFETY: socket takes no pointers.
        let raw = Errno::result(unsafe {
            libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_MPTCP)
        })?;
        // SAFETY: the descriptor is new, and this function has the only copy.
        Ok(unsafe { OwnedFd::from_raw_fd(raw) })
    }
}
