//! What a row of each of the four tables says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use windows_sys::Win32::NetworkManagement::IpHelper::{
    MIB_TCP6ROW_OWNER_MODULE, MIB_TCPROW_OWNER_MODULE, MIB_UDP6ROW_OWNER_MODULE, MIB_UDPROW_OWNER_MODULE,
};

use crate::events::Entry;
use net_traffic_snapshot::{Endpoint, Protocol, State};

/// A row as the system lays it out: numbers only, so that any octets are one.
///
/// # Safety
/// To be implemented for such structures only.
pub(super) unsafe trait Row: Copy {
    fn entry(self) -> Entry;
}

// SAFETY: numbers only.
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

// SAFETY: numbers only.
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

// SAFETY: numbers only.
unsafe impl Row for MIB_UDPROW_OWNER_MODULE {
    fn entry(self) -> Entry {
        udp(endpoint(v4(self.dwLocalAddr), self.dwLocalPort), self.dwOwningPid, self.liCreateTimestamp)
    }
}

// SAFETY: numbers only.
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

/// The numbers of `MIB_TCP_STATE`. Some versions have more, for sockets that are bound and no more.
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

/// In network order, in the lower half.
fn endpoint(address: IpAddr, port: u32) -> Endpoint {
    let octets = port.to_le_bytes();
    Endpoint { address, port: u16::from_be_bytes([octets[0], octets[1]]) }
}

/// In network order.
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
    fn a_row_is_read_in_network_order() {
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
    fn an_address_of_a_link_has_its_zone() {
        let row = MIB_TCP6ROW_OWNER_MODULE { dwLocalScopeId: 7, dwRemoteScopeId: 8, ..Default::default() };
        assert_eq!(row.entry().scopes, [7, 8]);
    }

    #[test]
    fn a_listener_has_no_peer() {
        let row = MIB_TCP6ROW_OWNER_MODULE { dwState: 2, dwRemotePort: 99, ..Default::default() };
        assert_eq!(row.entry().remote, None);
    }
}
