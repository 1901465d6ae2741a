//! What the TCP stack keeps of a connection once it is told to: an administrator may tell it.

use std::collections::HashMap;
use std::io;

use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetPerTcp6ConnectionEStats, GetPerTcpConnectionEStats, MIB_TCP_STATE_ESTAB, MIB_TCP6ROW, MIB_TCPROW_LH,
    MIB_TCPROW_LH_0, SetPerTcp6ConnectionEStats, SetPerTcpConnectionEStats, TCP_ESTATS_DATA_ROD_v0,
    TCP_ESTATS_DATA_RW_v0, TCP_ESTATS_PATH_ROD_v0, TCP_ESTATS_PATH_RW_v0, TCP_ESTATS_TYPE,
    TcpConnectionEstatsData, TcpConnectionEstatsPath,
};
use windows_sys::Win32::Networking::WinSock::{IN6_ADDR, IN6_ADDR_0};

use std::net::IpAddr;

use super::{check, rights, size};
use crate::snapshot::{Bytes, Endpoint, Protocol, Socket, SocketId, State, Status, TcpInfo};

/// Asks for each established connection.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// What the stack had counted when it was first asked.
    begin: HashMap<SocketId, Bytes>,
    refused: Option<String>,
}

const SLOT: &str = "tcp_statistics";

impl Statistics {
    /// `None` where it is not allowed, and under Wine, which has none.
    pub(super) fn new() -> Option<Self> {
        (rights::is_elevated() && !rights::is_wine()).then(Self::default)
    }

    /// Adds what the stack knows of the connection. Where nothing else counts, its bytes since we began.
    pub(super) fn add(&mut self, socket: &mut Socket) {
        let is_live =
            socket.protocol == Protocol::Tcp && socket.state == State::Established && !socket.closed;
        let (true, Some(remote)) = (is_live, socket.remote) else {
            self.begin.remove(&socket.id);
            return;
        };
        let Some(row) = Row::of(socket.local, remote) else { return };
        if !self.begin.contains_key(&socket.id)
            && let Err(error) = row.enable()
        {
            self.refused.get_or_insert(error.to_string());
            return;
        }
        let Ok(data) = row.read::<TCP_ESTATS_DATA_ROD_v0>(TcpConnectionEstatsData) else { return };
        let now = Bytes { rx: data.ThruBytesReceived, tx: data.ThruBytesAcked };
        let begin = *self.begin.entry(socket.id).or_insert(now);
        socket.counted.get_or_insert(Bytes {
            rx: now.rx.saturating_sub(begin.rx),
            tx: now.tx.saturating_sub(begin.tx),
        });
        if let Ok(path) = row.read::<TCP_ESTATS_PATH_ROD_v0>(TcpConnectionEstatsPath) {
            socket.tcp = Some(tcp_info(&path));
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            slot: SLOT.to_owned(),
            tier: self.refused.is_none().then(|| "polling".to_owned()),
            program: Some("GetPerTcpConnectionEStats".to_owned()),
            covers: Some("round-trip time and retransmissions of established connections".to_owned()),
            reason: self.refused.clone(),
            remedy: None,
        }
    }
}

/// The stack measures in milliseconds, and counts since it was told to.
fn tcp_info(path: &TCP_ESTATS_PATH_ROD_v0) -> TcpInfo {
    /// Nothing was measured yet.
    const NEVER: u32 = u32::MAX;
    let us = |ms: u32| (ms != NEVER).then(|| ms.saturating_mul(1000));
    TcpInfo {
        rtt_us: us(path.SmoothedRtt),
        rtt_var_us: us(path.RttVar),
        min_rtt_us: us(path.MinRtt),
        retransmits: Some(path.PktsRetrans),
        retransmitted_bytes: Some(path.BytesRetrans.into()),
        mss: Some(path.CurMss),
        ..TcpInfo::default()
    }
}

/// A connection as the functions want it named.
enum Row {
    V4(MIB_TCPROW_LH),
    V6(MIB_TCP6ROW),
}

/// What a kind of statistics is read into: numbers only.
///
/// # Safety
/// To be implemented for structures of numbers only.
unsafe trait Plain: Default {}
// SAFETY: numbers only.
unsafe impl Plain for TCP_ESTATS_DATA_ROD_v0 {}
// SAFETY: numbers only.
unsafe impl Plain for TCP_ESTATS_PATH_ROD_v0 {}

impl Row {
    fn of(local: Endpoint, remote: Endpoint) -> Option<Self> {
        let port = |end: Endpoint| u32::from(end.port.to_be());
        match (local.address, remote.address) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Some(Self::V4(MIB_TCPROW_LH {
                Anonymous: MIB_TCPROW_LH_0 { State: MIB_TCP_STATE_ESTAB },
                dwLocalAddr: u32::from_ne_bytes(from.octets()),
                dwLocalPort: port(local),
                dwRemoteAddr: u32::from_ne_bytes(to.octets()),
                dwRemotePort: port(remote),
            })),
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let octets =
                    |address: std::net::Ipv6Addr| IN6_ADDR { u: IN6_ADDR_0 { Byte: address.octets() } };
                Some(Self::V6(MIB_TCP6ROW {
                    State: MIB_TCP_STATE_ESTAB,
                    LocalAddr: octets(from),
                    dwLocalScopeId: 0,
                    dwLocalPort: port(local),
                    RemoteAddr: octets(to),
                    dwRemoteScopeId: 0,
                    dwRemotePort: port(remote),
                }))
            }
            _ => None,
        }
    }

    /// Has the stack count what is read here.
    fn enable(&self) -> io::Result<()> {
        let data = TCP_ESTATS_DATA_RW_v0 { EnableCollection: true };
        let path = TCP_ESTATS_PATH_RW_v0 { EnableCollection: true };
        self.set(TcpConnectionEstatsData, (&raw const data).cast(), size::<TCP_ESTATS_DATA_RW_v0>())?;
        self.set(TcpConnectionEstatsPath, (&raw const path).cast(), size::<TCP_ESTATS_PATH_RW_v0>())
    }

    fn set(&self, kind: TCP_ESTATS_TYPE, settings: *const u8, size: u32) -> io::Result<()> {
        check(match self {
            // SAFETY: the row and the settings are read only, and the settings as large as said.
            Self::V4(row) => unsafe { SetPerTcpConnectionEStats(row, kind, settings, 0, size, 0) },
            // SAFETY: the same.
            Self::V6(row) => unsafe { SetPerTcp6ConnectionEStats(row, kind, settings, 0, size, 0) },
        })
    }

    fn read<T: Plain>(&self, kind: TCP_ESTATS_TYPE) -> io::Result<T> {
        let mut read = T::default();
        let (into, size) = ((&raw mut read).cast::<u8>(), size::<T>());
        let none = std::ptr::null_mut;
        check(match self {
            // SAFETY: the structure is writable and as large as said; nothing else is asked for.
            Self::V4(row) => unsafe {
                GetPerTcpConnectionEStats(row, kind, none(), 0, 0, none(), 0, 0, into, 0, size)
            },
            // SAFETY: the same.
            Self::V6(row) => unsafe {
                GetPerTcp6ConnectionEStats(row, kind, none(), 0, 0, none(), 0, 0, into, 0, size)
            },
        })?;
        Ok(read)
    }
}
