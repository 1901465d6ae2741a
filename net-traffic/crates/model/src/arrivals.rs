//! What XDP saw of what an interface received, beside what the stack was handed: the difference was dropped in between,
//! or is still under way.

use net_traffic_snapshot::{Arrived, Direction, Passed, Wire};

/// The octets of a VLAN tag.
const TAG: u64 = 4;

/// One interface, since the tool began to watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals<'m> {
    pub interface: &'m str,
    /// Counted in the driver.
    pub native: bool,
    pub packets: u64,
    pub bytes: u64,
    pub dropped_packets: u64,
    pub dropped_bytes: u64,
}

impl<'m> Arrivals<'m> {
    /// `None` where nobody asked for it, and for what is sent.
    pub(super) fn of(wire: &'m Wire) -> Option<Self> {
        let Arrived { packets, bytes, native } = wire.arrived.filter(|_| wire.direction == Direction::Rx)?;
        let all = [&wire.process, &wire.kernel, &wire.forwarded, &wire.unknown];
        let sum = |of: fn(&Passed) -> u64| all.iter().map(|passed| of(passed)).fold(0, u64::saturating_add);
        // A driver hands on segments, which the stack joins before it hands them on.
        let (passed, passed_bytes) = if native {
            (sum(|passed| passed.segments), sum(|passed| passed.segment_bytes))
        } else {
            (sum(|passed| passed.packets), sum(|passed| passed.bytes))
        };
        let dropped_packets = packets.saturating_sub(passed);
        let dropped_bytes = bytes.saturating_sub(passed_bytes);
        // What XDP saw with a VLAN tag in it, the stack was handed with the tag beside it.
        let tags = TAG * sum(if native { |passed| passed.tagged_segments } else { |passed| passed.tagged });
        Some(Self {
            interface: &wire.interface,
            native,
            packets,
            bytes,
            dropped_packets,
            dropped_bytes: if dropped_packets == 0 { 0 } else { dropped_bytes.saturating_sub(tags) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(direction: Direction, arrived: Option<Arrived>) -> Wire {
        let process =
            Passed { packets: 10, bytes: 10_000, segments: 40, segment_bytes: 12_000, ..Passed::default() };
        let kernel = Passed { packets: 1, bytes: 42, segments: 1, segment_bytes: 42, ..Passed::default() };
        Wire {
            ifindex: 2,
            interface: "eth0".into(),
            netns: None,
            direction,
            interface_bytes: 10_042,
            interface_packets: 11,
            left_out: 0,
            encrypts: false,
            process,
            kernel,
            forwarded: Passed::default(),
            unknown: Passed::default(),
            arrived,
        }
    }

    #[test]
    fn what_did_not_reach_the_stack_was_dropped() {
        let arrived = |packets, bytes, native| {
            let wire = wire(Direction::Rx, Some(Arrived { packets, bytes, native }));
            let arrivals = Arrivals::of(&wire).unwrap();
            (arrivals.dropped_packets, arrivals.dropped_bytes)
        };
        assert_eq!(arrived(11, 10_042, false), (0, 0));
        assert_eq!(arrived(13, 10_242, false), (2, 200));
        assert_eq!(arrived(41, 12_042, true), (0, 0));
        assert_eq!(arrived(42, 12_142, true), (1, 100));
    }

    #[test]
    fn vlan_tags_are_not_dropped() {
        let arrived = |packets, bytes| {
            let mut wire = wire(Direction::Rx, Some(Arrived { packets, bytes, native: false }));
            wire.process.tagged = 10;
            let arrivals = Arrivals::of(&wire).unwrap();
            (arrivals.dropped_packets, arrivals.dropped_bytes)
        };
        assert_eq!(arrived(11, 10_082), (0, 0));
        assert_eq!(arrived(13, 10_282), (2, 200));
    }

    #[test]
    fn nothing_is_said_where_nobody_asked() {
        assert_eq!(Arrivals::of(&wire(Direction::Rx, None)), None);
        assert_eq!(Arrivals::of(&wire(Direction::Tx, Some(Arrived::default()))), None);
    }
}
