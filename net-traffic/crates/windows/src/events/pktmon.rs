//! What the packet monitor of Windows hands over: a description of 40 octets without gaps, and the packet.
//!
//! A packet passes many components on its way, and each of them reports it. What is seen at one edge of one network
//! adapter is each packet once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::ends::length_by_headers;
use pcap_io::Direction;

/// The octets that describe a packet.
pub const METADATA: usize = 40;
/// The monitor hands over no more of a packet than this, however long it is. It may hold 9000 octets, and it is not said
/// whether its own description is among them.
pub const MOST: usize = 8900;

/// What the monitor says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub direction: Option<Direction>,
    pub kind: Kind,
    /// What reported it.
    pub component: u16,
    /// The side of the component.
    pub edge: u16,
    /// Not 0 where the packet was dropped there.
    pub drop_reason: u32,
    /// In steps of 100 ns since 1601.
    pub time: i64,
    /// Of the packet, with what was cut off where that is known.
    pub length: u32,
}

/// What a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ethernet,
    Wifi,
    Ip,
    Other(u16),
}

impl Kind {
    fn of(number: u16) -> Self {
        match number {
            1 => Self::Ethernet,
            2 => Self::Wifi,
            3 => Self::Ip,
            other => Self::Other(other),
        }
    }
}

/// What is handed over for each packet: octets, and where in them its parts are.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'d> {
    pub data: &'d [u8],
    pub metadata_offset: usize,
    pub packet_offset: usize,
    /// The length of the packet. Microsoft does not say whether that is before or after it was cut.
    pub packet_length: usize,
}

/// Describes the packet, and shows as much of it as there is; `None` if the parts do not lie within the octets. Only
/// of a packet that was cut there may be less than its length.
#[must_use]
pub fn decode<'d>(parts: &Parts<'d>) -> Option<(Metadata, &'d [u8])> {
    let Parts { data, metadata_offset, packet_offset, packet_length } = *parts;
    let described: &[u8; METADATA] = data.get(metadata_offset..)?.first_chunk()?;
    let rest = data.get(packet_offset..)?;
    let packet = match rest.get(..packet_length) {
        Some(packet) => packet,
        None if rest.len() >= MOST => rest,
        None => return None,
    };
    let u16_at = |at: usize| u16::from_le_bytes([described[at], described[at + 1]]);
    let kind = Kind::of(u16_at(14));
    let said = u32::try_from(packet_length).unwrap_or(u32::MAX);
    let by_headers = if packet.len() >= MOST { length_by_headers(kind, packet) } else { None };
    let metadata = Metadata {
        direction: match u16_at(12) {
            1 | 3 | 5 => Some(Direction::In),
            2 | 4 | 6 => Some(Direction::Out),
            _ => None,
        },
        kind,
        component: u16_at(16),
        edge: u16_at(18),
        drop_reason: u32::from(u16_at(22)) | u32::from(u16_at(24)) << 16,
        time: i64::from_le_bytes(*described.last_chunk()?),
        length: said.max(by_headers.unwrap_or(0)),
    };
    Some((metadata, packet))
}

/// Tells the first report of each packet from those that repeat it.
#[derive(Clone, Debug, Default)]
pub struct Once {
    /// The components of each adapter: one may report under several.
    adapters: Vec<Vec<u16>>,
    /// Where each adapter first reported anything of a direction.
    chosen: HashMap<(usize, Option<Direction>), (u16, u16)>,
}

/// What a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Of a packet of this adapter, which counts here.
    First(usize),
    /// Of one that counts elsewhere, or was dropped.
    Repeated,
    /// Of a component that is no adapter's.
    Foreign,
}

impl Once {
    /// To tell the adapters' reports, by the components of each.
    #[must_use]
    pub fn new(adapters: Vec<Vec<u16>>) -> Self {
        Self { adapters, chosen: HashMap::new() }
    }

    /// The report that counts is that of the component, and at the edge, where the adapter first reported anything of
    /// that direction.
    pub fn see(&mut self, metadata: &Metadata) -> Sight {
        let Metadata { component, edge, drop_reason, direction, .. } = *metadata;
        let Some(adapter) = self.adapters.iter().position(|components| components.contains(&component))
        else {
            return Sight::Foreign;
        };
        if drop_reason != 0 {
            return Sight::Repeated;
        }
        let here = (component, edge);
        if *self.chosen.entry((adapter, direction)).or_insert(here) == here {
            Sight::First(adapter)
        } else {
            Sight::Repeated
        }
    }
}

/// How many packets were missed, by a number that comes with each report. Microsoft's reference leaves open whether it
/// counts from the beginning, so that its last value is the sum, or from the report before, so that the values are to
/// be added. A number that goes back is of the second kind.
#[derive(Debug, Default)]
pub struct Missed {
    last: AtomicU32,
    sum: AtomicU64,
    went_back: AtomicBool,
}

impl Missed {
    /// Neither waits nor fails.
    pub fn hear(&self, number: u32) {
        self.sum.fetch_add(number.into(), Ordering::Relaxed);
        if number < self.last.swap(number, Ordering::Relaxed) {
            self.went_back.store(true, Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        if self.went_back.load(Ordering::Relaxed) {
            self.sum.load(Ordering::Relaxed)
        } else {
            self.last.load(Ordering::Relaxed).into()
        }
    }
}
