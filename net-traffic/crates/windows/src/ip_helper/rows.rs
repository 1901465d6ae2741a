//! Converts the rows of the four tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use windows_sys::Win32::NetworkManagement::IpHelper::{
    MIB_TCP6ROW_OWNER_MODULE, MIB_TCPROW_OWNER_MODULE, MIB_UDP6ROW_OWNER_MODULE, MIB_UDPROW_OWNER_MODULE,
};

use crate::events::Entry;
use net_traffic_snapshot::{Endpoint, Protocol, State};

/// A table row.
///
/// # Safety
/// All members must be integers, so that every bit pattern is valid.
pub(super) unsafe trait Row: Copy {
    fn entry(self) -> Entry;
}

// SAFETY: all members are integers.
unsafe impl Row for MIB_TCPROW_OWNER_MODULE {
    fn entry(self) -> Entry {
        tcp(
            endpoint(v4(self.dwLocalAddr), self.dwLocalPort),
            endpoint(v4(self.dwRemoteAddr), self.dwRemotePort),
            self.dwState,
            self.dwOwningPid,
            self.liCreateTimestamp,
            [0; 2],
        )
    }
}

// SAFETY: all members are integers.
unsafe impl Row for MIB_TCP6ROW_OWNER_MODULE {
    fn entry(self) -> Entry {
        tcp(
            endpoint(v6(self.ucLocalAddr), self.dwLocalPort),
            endpoint(v6(self.ucRemoteAddr), self.dwRemotePort),
            self.dwState,
            self.dwOwningPid,
            self.liCreateTimestamp,
            [self.dwLocalScopeId, self.dwRemoteScopeId],
        )
    }
}

// SAFETY: all members are integers.
unsafe impl Row for MIB_UDPROW_OWNER_MODULE {
    fn entry(self) -> Entry {
        udp(endpoint(v4(self.dwLocalAddr), self.dwLocalPort), self.dwOwningPid, self.liCreateTimestamp)
    }
}

// SAFETY: all members are integers.
unsafe impl Row for MIB_UDP6ROW_OWNER_MODULE {
    fn entry(self) -> Entry {
        udp(endpoint(v6(self.ucLocalAddr), self.dwLocalPort), self.dwOwningPid, self.liCreateTimestamp)
    }
}

fn tcp(local: Endpoint, remote: Endpoint, state: u32, pid: u32, created: i64, scopes: [u32; 2]) -> Entry {
    let state = tcp_state(state);
    let remote = (state != State::Listen && remote.port != 0).then_some(remote);
    Entry { protocol: Protocol::Tcp, local, remote, state, pid, created, scopes }
}

fn udp(local: Endpoint, pid: u32, created: i64) -> Entry {
    let state = State::Closed;
    Entry { protocol: Protocol::Udp, local, remote: None, state, pid, created, scopes: [0; 2] }
}

/// Converts a `MIB_TCP_STATE`
/// (<https://learn.microsoft.com/en-us/windows/win32/api/tcpmib/ns-tcpmib-mib_tcprow_owner_module>). Some versions of
/// Windows have further values, such as for bound sockets.
fn tcp_state(number: u32) -> State {
    match number {
        2 => State::Listen,
        3 => State::SynSent,
        4 => State::SynReceived,
        5 => State::Established,
        6 => State::FinWait1,
        7 => State::FinWait2,
        8 => State::CloseWait,
        9 => State::Closing,
        10 => State::LastAck,
        11 => State::TimeWait,
        _ => State::Closed,
    }
}

/// The port is in network byte order in the lower 16 bits.
fn endpoint(address: IpAddr, port: u32) -> Endpoint {
    let octets = port.to_le_bytes();
    Endpoint { address, port: u16::from_be_bytes([octets[0], octets[1]]) }
}

/// The address is in network byte order.
fn v4(address: u32) -> IpAddr {
    Ipv4Addr::from(address.to_ne_bytes()).into()
}

fn v6(address: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(address).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_is_converted_from_network_order() {
        let row = MIB_TCPROW_OWNER_MODULE {
            dwState: 5,
            dwLocalAddr: u32::from_ne_bytes([192, 0, 2, 1]),
            dwLocalPort: u32::from_le_bytes([0x01, 0xbb, 0, 0]),
            dwRemoteAddr: u32::from_ne_bytes([198, 51, 100, 7]),
            dwRemotePort: u32::from_le_bytes([0xc3, 0x50, 0, 0]),
            dwOwningPid: 7,
            liCreateTimestamp: 9,
            ..MIB_TCPROW_OWNER_MODULE::default()
        };
        let entry = row.entry();
        assert_eq!(entry.local.to_string(), "192.0.2.1:443");
        assert_eq!(entry.remote.unwrap().to_string(), "198.51.100.7:50000");
        assert_eq!((entry.state, entry.pid, entry.created), (State::Established, 7, 9));
    }

    #[test]
    fn ipv6_row_has_scope_ids() {
        let row = MIB_TCP6ROW_OWNER_MODULE { dwLocalScopeId: 7, dwRemoteScopeId: 8, ..Default::default() };
        assert_eq!(row.entry().scopes, [7, 8]);
    }

    #[test]
    fn listener_has_no_remote_endpoint() {
        let row = MIB_TCP6ROW_OWNER_MODULE { dwState: 2, dwRemotePort: 99, ..Default::default() };
        assert_eq!(row.entry().remote, None);
    }
}
