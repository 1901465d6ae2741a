//! Reads TCP ESTATS: round-trip times, retransmissions and bytes of a connection.
//!
//! The stack collects them per connection after `SetPerTcpConnectionEStats`, which needs an administrator
//! (<https://learn.microsoft.com/en-us/windows/win32/api/iphlpapi/nf-iphlpapi-setpertcpconnectionestats>).

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
use net_traffic_snapshot::{Bytes, Endpoint, Protocol, Socket, SocketId, State, Status, TcpInfo};

/// The statistics of all established connections.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// The counters of each connection at its first reading.
    baselines: HashMap<SocketId, Bytes>,
    /// Why no statistics are read.
    refused: Option<Refusal>,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Refusal {
    #[error("TCP ESTATS need an administrator")]
    Privilege,
    #[error("this Windows has no TCP ESTATS")]
    Missing,
}

/// The calls to the TCP stack. Tests have another implementation.
trait Stack {
    /// Enables the collection.
    fn enable(&self, row: &Row) -> io::Result<()>;
    fn data(&self, row: &Row) -> io::Result<TCP_ESTATS_DATA_ROD_v0>;
    fn path(&self, row: &Row) -> io::Result<TCP_ESTATS_PATH_ROD_v0>;
}

const SLOT: &str = "tcp_statistics";

impl Statistics {
    pub(super) fn new() -> Self {
        let has_them = rights::has(c"iphlpapi.dll", c"GetPerTcpConnectionEStats");
        Self::of(has_them, rights::is_elevated())
    }

    fn of(has_them: bool, is_elevated: bool) -> Self {
        let refused = match (has_them, is_elevated) {
            (false, _) => Some(Refusal::Missing),
            (true, false) => Some(Refusal::Privilege),
            (true, true) => None,
        };
        Self { baselines: HashMap::new(), refused }
    }

    /// Adds the statistics of each connection, and its bytes since the first reading if `counts`. `scopes` returns the
    /// scope IDs of the local and the remote address, which are part of an IPv6 connection's identity.
    pub(super) fn add(&mut self, sockets: &mut [Socket], counts: bool, scopes: impl Fn(&Socket) -> [u32; 2]) {
        self.add_from(&System, sockets, counts, scopes);
    }

    fn add_from(
        &mut self,
        stack: &impl Stack,
        sockets: &mut [Socket],
        counts: bool,
        scopes: impl Fn(&Socket) -> [u32; 2],
    ) {
        // Connections that are absent from this reading have ended.
        let before = std::mem::take(&mut self.baselines);
        for socket in sockets {
            if self.refused.is_some() {
                return;
            }
            let is_live =
                socket.protocol == Protocol::Tcp && socket.state == State::Established && !socket.closed;
            let Some(remote) = socket.remote.filter(|_| is_live) else { continue };
            let Some(row) = Row::of(socket.local, remote, scopes(socket)) else { continue };
            match read(stack, &row, before.get(&socket.id).copied(), socket) {
                Ok((begin, moved)) => {
                    self.baselines.insert(socket.id, begin);
                    if counts {
                        socket.counted = Some(moved);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    self.refused = Some(Refusal::Privilege);
                }
                // The connection has just ended, or the stack has no statistics of it. The baseline stays: the next
                // reading may succeed.
                Err(_) => self.baselines.extend(before.get(&socket.id).map(|begin| (socket.id, *begin))),
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            slot: SLOT.to_owned(),
            tier: self.refused.is_none().then(|| "polling".to_owned()),
            program: Some("GetPerTcpConnectionEStats".to_owned()),
            covers: Some("round-trip time and retransmissions of established connections; their bytes since the first reading".to_owned()),
            reason: self.refused.map(|refusal| refusal.to_string()),
            remedy: self.refused.and_then(Refusal::remedy),
        }
    }
}

impl Refusal {
    fn remedy(self) -> Option<String> {
        matches!(self, Self::Privilege).then(|| "run it as administrator".to_owned())
    }
}

/// Reads the statistics of one connection into the socket; returns its baseline and the bytes since then.
fn read(
    stack: &impl Stack,
    row: &Row,
    begin: Option<Bytes>,
    socket: &mut Socket,
) -> io::Result<(Bytes, Bytes)> {
    if begin.is_none() {
        stack.enable(row)?;
    }
    let data = stack.data(row)?;
    let now = Bytes { rx: data.ThruBytesReceived, tx: data.ThruBytesAcked };
    let begin = begin.unwrap_or(now);
    let moved = Bytes { rx: now.rx.saturating_sub(begin.rx), tx: now.tx.saturating_sub(begin.tx) };
    if let Ok(path) = stack.path(row) {
        socket.tcp = Some(tcp_info(&path));
    }
    Ok((begin, moved))
}

/// Converts path statistics. Times are in milliseconds
/// (<https://learn.microsoft.com/en-us/windows/win32/api/tcpestats/ns-tcpestats-tcp_estats_path_rod_v0>).
fn tcp_info(path: &TCP_ESTATS_PATH_ROD_v0) -> TcpInfo {
    /// The value before the first measurement.
    const NO_SAMPLE: u32 = u32::MAX;
    let us = |ms: u32| (ms != NO_SAMPLE).then(|| ms.saturating_mul(1000));
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

/// The table row that identifies a connection to the functions.
enum Row {
    V4(MIB_TCPROW_LH),
    V6(MIB_TCP6ROW),
}

/// A structure of one kind of statistics.
///
/// # Safety
/// All members must be integers, so that every bit pattern is valid.
unsafe trait Plain: Default {}
// SAFETY: all members are integers.
unsafe impl Plain for TCP_ESTATS_DATA_ROD_v0 {}
// SAFETY: all members are integers.
unsafe impl Plain for TCP_ESTATS_PATH_ROD_v0 {}

/// The stack of this machine.
struct System;

impl Stack for System {
    fn enable(&self, row: &Row) -> io::Result<()> {
        let data = TCP_ESTATS_DATA_RW_v0 { EnableCollection: true };
        let path = TCP_ESTATS_PATH_RW_v0 { EnableCollection: true };
        row.set(TcpConnectionEstatsData, (&raw const data).cast(), size::<TCP_ESTATS_DATA_RW_v0>())?;
        row.set(TcpConnectionEstatsPath, (&raw const path).cast(), size::<TCP_ESTATS_PATH_RW_v0>())
    }

    fn data(&self, row: &Row) -> io::Result<TCP_ESTATS_DATA_ROD_v0> {
        row.query(TcpConnectionEstatsData)
    }

    fn path(&self, row: &Row) -> io::Result<TCP_ESTATS_PATH_ROD_v0> {
        row.query(TcpConnectionEstatsPath)
    }
}

impl Row {
    fn of(local: Endpoint, remote: Endpoint, scopes: [u32; 2]) -> Option<Self> {
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
                    dwLocalScopeId: scopes[0],
                    dwLocalPort: port(local),
                    RemoteAddr: octets(to),
                    dwRemoteScopeId: scopes[1],
                    dwRemotePort: port(remote),
                }))
            }
            _ => None,
        }
    }

    fn set(&self, kind: TCP_ESTATS_TYPE, settings: *const u8, size: u32) -> io::Result<()> {
        check(match self {
            // SAFETY: the row and the settings are only read; the settings have `size` octets.
            Self::V4(row) => unsafe { SetPerTcpConnectionEStats(row, kind, settings, 0, size, 0) },
            // SAFETY: as above.
            Self::V6(row) => unsafe { SetPerTcp6ConnectionEStats(row, kind, settings, 0, size, 0) },
        })
    }

    fn query<T: Plain>(&self, kind: TCP_ESTATS_TYPE) -> io::Result<T> {
        let mut read = T::default();
        let (into, size) = ((&raw mut read).cast::<u8>(), size::<T>());
        let none = std::ptr::null_mut;
        check(match self {
            // SAFETY: the structure is writable and has `size` octets; null pointers skip the other parts.
            Self::V4(row) => unsafe {
                GetPerTcpConnectionEStats(row, kind, none(), 0, 0, none(), 0, 0, into, 0, size)
            },
            // SAFETY: as above.
            Self::V6(row) => unsafe {
                GetPerTcp6ConnectionEStats(row, kind, none(), 0, 0, none(), 0, 0, into, 0, size)
            },
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
