//! Decodes the reports of the packet monitor: metadata of 40 octets without padding, and the packet.
//!
//! The metadata is `PKTMON_EVT_STREAM_METADATA`
//! (<https://learn.microsoft.com/en-us/windows-hardware/drivers/ddi/pktmonnpik/ns-pktmonnpik-pktmon_evt_stream_metadata>).
//! Every component on a packet's path reports the packet
//! (<https://learn.microsoft.com/en-us/windows-server/networking/technologies/pktmon/pktmon>). One edge of one network
//! adapter reports each packet once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::ends::{PacketType, length_by_headers};
use pcap_io::Direction;

/// The size of the metadata.
pub const METADATA: usize = 40;
/// The snapshot length that is requested from the monitor. Its limit is 9000 octets, and the documentation leaves open
/// whether the metadata counts.
pub const MAX_SNAPLEN: usize = 8900;

/// The metadata of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub direction: Option<Direction>,
    pub kind: PacketType,
    /// The component that reported the packet.
    pub component: u16,
    /// The edge of the component: its upper or lower side.
    pub edge: u16,
    /// Not 0 if the component dropped the packet.
    pub drop_reason: u32,
    /// A `FILETIME`: steps of 100 ns since 1601.
    pub time: i64,
    /// The length of the packet before truncation, as far as known.
    pub length: u32,
}

/// The arguments of the packet callback: octets, and the offsets of the parts.
#[derive(Clone, Copy, Debug)]
pub struct RawReport<'d> {
    pub data: &'d [u8],
    pub metadata_offset: usize,
    pub packet_offset: usize,
    /// The length of the packet. The documentation leaves open whether before or after truncation.
    pub packet_length: usize,
}

/// Decodes the metadata and returns the octets of the packet; `None` if a part lies outside `data`. Only a truncated
/// packet may have fewer octets than its length.
#[must_use]
pub fn decode<'d>(report: &RawReport<'d>) -> Option<(Metadata, &'d [u8])> {
    let RawReport { data, metadata_offset, packet_offset, packet_length } = *report;
    let described: &[u8; METADATA] = data.get(metadata_offset..)?.first_chunk()?;
    let rest = data.get(packet_offset..)?;
    let packet = match rest.get(..packet_length) {
        Some(packet) => packet,
        None if rest.len() >= MAX_SNAPLEN => rest,
        None => return None,
    };
    let u16_at = |at: usize| u16::from_le_bytes([described[at], described[at + 1]]);
    let kind = PacketType::of(u16_at(14));
    let reported = u32::try_from(packet_length).unwrap_or(u32::MAX);
    let by_headers = if packet.len() >= MAX_SNAPLEN { length_by_headers(kind, packet) } else { None };
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
        length: reported.max(by_headers.unwrap_or(0)),
    };
    Some((metadata, packet))
}

/// Selects one report of each packet.
#[derive(Clone, Debug, Default)]
pub struct Deduplicator {
    /// The component IDs of each adapter.
    adapters: Vec<Vec<u16>>,
    /// The component and edge that count, by adapter and direction: those of the first report.
    chosen: HashMap<(usize, Option<Direction>), (u16, u16)>,
}

/// The role of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appearance {
    /// The packet of this adapter counts here.
    First(usize),
    /// The packet counts at another edge, or was dropped.
    Repeated,
    /// The component belongs to no adapter.
    Foreign,
}

impl Deduplicator {
    /// Takes the component IDs of each adapter.
    #[must_use]
    pub fn new(adapters: Vec<Vec<u16>>) -> Self {
        Self { adapters, chosen: HashMap::new() }
    }

    /// Classifies a report. For each adapter and direction the component and the edge of the first report count.
    pub fn classify(&mut self, metadata: &Metadata) -> Appearance {
        let Metadata { component, edge, drop_reason, direction, .. } = *metadata;
        let Some(adapter) = self.adapters.iter().position(|components| components.contains(&component))
        else {
            return Appearance::Foreign;
        };
        if drop_reason != 0 {
            return Appearance::Repeated;
        }
        let here = (component, edge);
        if *self.chosen.entry((adapter, direction)).or_insert(here) == here {
            Appearance::First(adapter)
        } else {
            Appearance::Repeated
        }
    }
}

/// The number of missed packets, from a field of each report. The documentation leaves open whether the field counts
/// from the start or from the previous report. A value that decreases shows the latter: then the values are added.
#[derive(Debug, Default)]
pub struct MissedCounter {
    last: AtomicU32,
    sum: AtomicU64,
    decreased: AtomicBool,
}

impl MissedCounter {
    /// Adds the field of a report. Does not block.
    pub fn update(&self, number: u32) {
        self.sum.fetch_add(number.into(), Ordering::Relaxed);
        if number < self.last.swap(number, Ordering::Relaxed) {
            self.decreased.store(true, Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        if self.decreased.load(Ordering::Relaxed) {
            self.sum.load(Ordering::Relaxed)
        } else {
            self.last.load(Ordering::Relaxed).into()
        }
    }
}
