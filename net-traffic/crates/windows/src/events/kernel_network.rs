//! Decodes the events of the ETW provider Microsoft-Windows-Kernel-Network.
//!
//! Numbers are little-endian, ports and addresses are in network byte order. Versions of Windows may append fields, so
//! that a payload has a minimum length only. `wevtutil gp Microsoft-Windows-Kernel-Network /ge` prints the manifest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net_traffic_snapshot::{Endpoint, Protocol};

pub const PROVIDER: &str = "7DD42A49-5329-4832-8DFD-43D979153A88";
/// `KERNEL_NETWORK_KEYWORD_IPV4` and `KERNEL_NETWORK_KEYWORD_IPV6`.
pub const KEYWORDS: u64 = 0x10 | 0x20;
/// Informational.
pub const LEVEL: u8 = 4;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The time as a `FILETIME`: steps of 100 ns since 1601.
    pub time: i64,
    /// The owner of the traffic, from the payload. The PID in the event's header is the process that ran on the CPU.
    pub pid: u32,
    pub protocol: Protocol,
    pub action: Action,
    /// Payload bytes.
    pub bytes: u32,
    pub destination: Endpoint,
    pub source: Endpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Sent,
    Received,
    /// A connection was established (accept or connect).
    Opened,
    Closed,
}

/// The payload is shorter than the minimum of its event ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// Whether [`decode`] returns an event for this ID.
#[must_use]
pub fn is_wanted(id: u16) -> bool {
    meaning(id).is_some()
}

/// Decodes an event; `None` if its ID is not used.
///
/// # Errors
/// When the payload is too short.
pub fn decode(id: u16, time: i64, payload: &[u8]) -> Result<Option<Event>, Malformed> {
    let Some((protocol, family, action)) = meaning(id) else { return Ok(None) };
    let mut fields = Fields(payload);
    let pid = u32::from_le_bytes(fields.take()?);
    let bytes = u32::from_le_bytes(fields.take()?);
    let destination = fields.address(family)?;
    let source = fields.address(family)?;
    let destination = Endpoint { address: destination, port: u16::from_be_bytes(fields.take()?) };
    let source = Endpoint { address: source, port: u16::from_be_bytes(fields.take()?) };
    Ok(Some(Event { time, pid, protocol, action, bytes, destination, source }))
}

/// The protocol, family and action of an event ID.
///
/// | unused ID (IPv4, IPv6) | event | reason |
/// |---|---|---|
/// | 18, 34 | data copied | repeats a part of 11, 27 |
/// | 14, 30 | data retransmitted | the bytes were counted when first sent |
/// | 16, 32 | reconnect attempt | no bytes |
/// | 17, 49 | attempt failed | no bytes |
fn meaning(id: u16) -> Option<(Protocol, Family, Action)> {
    use Protocol::{Tcp, Udp};
    let (protocol, v4, family) = match id {
        10 | 11 | 12 | 13 | 15 => (Tcp, id, Family::V4),
        26 | 27 | 28 | 29 | 31 => (Tcp, id - 16, Family::V6),
        42 | 43 => (Udp, id, Family::V4),
        58 | 59 => (Udp, id - 16, Family::V6),
        _ => return None,
    };
    let action = match v4 {
        10 | 42 => Action::Sent,
        11 | 43 => Action::Received,
        13 => Action::Closed,
        _ => Action::Opened,
    };
    Some((protocol, family, action))
}

/// The fields that are not decoded yet.
struct Fields<'p>(&'p [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    fn address(&mut self, family: Family) -> Result<IpAddr, Malformed> {
        Ok(match family {
            Family::V4 => Ipv4Addr::from(self.take::<4>()?).into(),
            Family::V6 => Ipv6Addr::from(self.take::<16>()?).into(),
        })
    }
}
