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
use net_traffic_snapshot::{Bytes, Endpoint, Protocol, Socket, SocketId, State, Status, TcpInfo};

/// Asks for each established connection, unless it is known that nobody would answer.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// What the stack had counted of each live connection when it was first asked.
    begin: HashMap<SocketId, Bytes>,
    /// Why nobody is asked any more, or ever was.
    refused: Option<Refusal>,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Refusal {
    #[error("the statistics of TCP need an administrator")]
    Privilege,
    #[error("this Windows has no statistics of TCP")]
    Missing,
}

/// The stack, as much as is asked of it; a test has one of its own.
trait Stack {
    /// Has it count what is read here.
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
        Self { begin: HashMap::new(), refused }
    }

    /// Adds what the stack knows of each connection; its bytes since we began only where it `counts`. `scopes` are the
    /// zones of its addresses, without which the stack does not know it.
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
        // Those that are not asked for this time have ended.
        let before = std::mem::take(&mut self.begin);
        for socket in sockets {
            if self.refused.is_some() {
                return;
            }
            let is_live =
                socket.protocol == Protocol::Tcp && socket.state == State::Established && !socket.closed;
            let Some(remote) = socket.remote.filter(|_| is_live) else { continue };
            let Some(row) = Row::of(socket.local, remote, scopes(socket)) else { continue };
            match describe(stack, &row, before.get(&socket.id).copied(), socket) {
                Ok((begin, moved)) => {
                    self.begin.insert(socket.id, begin);
                    if counts {
                        socket.counted = Some(moved);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    self.refused = Some(Refusal::Privilege);
                }
                // It ended in between, or is one that the stack does not count, or fails once: what it began with is
                // kept for as long as it is listed. The others are asked all the same.
                Err(_) => self.begin.extend(before.get(&socket.id).map(|begin| (socket.id, *begin))),
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            slot: SLOT.to_owned(),
            tier: self.refused.is_none().then(|| "polling".to_owned()),
            program: Some("GetPerTcpConnectionEStats".to_owned()),
            covers: Some("round-trip time and retransmissions of established connections; their bytes since each was first seen".to_owned()),
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

/// Adds to the socket what the stack says of it; returns what had been counted when it was first asked, and what was
/// moved since.
fn describe(
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

/// The real one.
struct System;

impl Stack for System {
    fn enable(&self, row: &Row) -> io::Result<()> {
        let data = TCP_ESTATS_DATA_RW_v0 { EnableCollection: true };
        let path = TCP_ESTATS_PATH_RW_v0 { EnableCollection: true };
        row.set(TcpConnectionEstatsData, (&raw const data).cast(), size::<TCP_ESTATS_DATA_RW_v0>())?;
        row.set(TcpConnectionEstatsPath, (&raw const path).cast(), size::<TCP_ESTATS_PATH_RW_v0>())
    }

    fn data(&self, row: &Row) -> io::Result<TCP_ESTATS_DATA_ROD_v0> {
        row.read(TcpConnectionEstatsData)
    }

    fn path(&self, row: &Row) -> io::Result<TCP_ESTATS_PATH_ROD_v0> {
        row.read(TcpConnectionEstatsPath)
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

#[cfg(test)]
mod tests;
