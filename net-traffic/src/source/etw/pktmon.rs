//! What the packet monitor of Windows hands over: a description of 40 octets without gaps, and the packet.
//!
//! A packet passes many components on its way, and each of them reports it. What is seen at one edge of one network
//! adapter is each packet once.

use std::collections::HashMap;

use crate::packet::Direction;

/// The octets that describe a packet.
pub const METADATA: usize = 40;

/// What the monitor says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub direction: Option<Direction>,
    pub kind: Kind,
    pub component: u16,
    /// The side of the component.
    pub edge: u16,
    /// Not 0 where the packet was dropped there.
    pub drop_reason: u32,
    /// In steps of 100 ns since 1601.
    pub time: i64,
}

/// What a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ethernet,
    Wifi,
    Ip,
    Other(u16),
}

/// What is handed over for each packet: octets, and where in them its parts are.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'d> {
    pub data: &'d [u8],
    pub metadata_offset: usize,
    pub packet_offset: usize,
    /// The octets of the packet that are there.
    pub packet_length: usize,
}

/// Describes the packet, and shows it; `None` if the parts do not lie within the octets.
#[must_use]
pub fn decode<'d>(parts: &Parts<'d>) -> Option<(Metadata, &'d [u8])> {
    let Parts { data, metadata_offset, packet_offset, packet_length } = *parts;
    let described: &[u8; METADATA] = data.get(metadata_offset..)?.first_chunk()?;
    let packet = data.get(packet_offset..packet_offset.checked_add(packet_length)?)?;
    let u16_at = |at: usize| u16::from_le_bytes([described[at], described[at + 1]]);
    let metadata = Metadata {
        direction: match u16_at(12) {
            1 | 3 | 5 => Some(Direction::In),
            2 | 4 | 6 => Some(Direction::Out),
            _ => None,
        },
        kind: match u16_at(14) {
            1 => Kind::Ethernet,
            2 => Kind::Wifi,
            3 => Kind::Ip,
            other => Kind::Other(other),
        },
        component: u16_at(16),
        edge: u16_at(18),
        drop_reason: u32::from(u16_at(22)) | u32::from(u16_at(24)) << 16,
        time: i64::from_le_bytes(*described.last_chunk()?),
    };
    Some((metadata, packet))
}

/// Tells the first report of each packet from those that repeat it.
#[derive(Clone, Debug, Default)]
pub struct Once {
    /// The components to listen to; empty for whichever reports first.
    components: Vec<u16>,
    edges: HashMap<u16, u16>,
}

impl Once {
    #[must_use]
    pub fn new(components: Vec<u16>) -> Self {
        Self { components, edges: HashMap::new() }
    }

    /// Whether this report is the one that counts: by a component that was asked for, at the edge where it first
    /// reported anything, of a packet that was not dropped.
    pub fn is_first(&mut self, metadata: &Metadata) -> bool {
        let Metadata { component, edge, drop_reason, .. } = *metadata;
        if drop_reason != 0 {
            return false;
        }
        if self.components.is_empty() {
            self.components.push(component);
        }
        self.components.contains(&component) && *self.edges.entry(component).or_insert(edge) == edge
    }
}
