//! Packets counted by XDP at an interface, against the packets that reached the `tcx` hook of the stack. The difference
//! was dropped in between, or is still queued.

use net_traffic_snapshot::{Arrived, Direction, Passed, Wire};

/// The bytes of a VLAN tag.
const TAG: u64 = 4;

/// The receive counters of one interface since this program attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpRx<'m> {
    pub interface: &'m str,
    /// XDP runs in the driver (native mode), not in the stack (generic mode).
    pub native: bool,
    pub packets: u64,
    pub bytes: u64,
    pub dropped_packets: u64,
    pub dropped_bytes: u64,
}

impl<'m> XdpRx<'m> {
    /// `None` without `--xdp`, and for the sending direction.
    pub(super) fn of(wire: &'m Wire) -> Option<Self> {
        let Arrived { packets, bytes, native } = wire.arrived.filter(|_| wire.direction == Direction::Rx)?;
        let all = [&wire.process, &wire.kernel, &wire.forwarded, &wire.unknown];
        let sum = |of: fn(&Passed) -> u64| all.iter().map(|passed| of(passed)).fold(0, u64::saturating_add);
        // Native XDP runs before GRO and counts segments; generic XDP runs after it and counts merged packets.
        let (passed, passed_bytes) = if native {
            (sum(|passed| passed.segments), sum(|passed| passed.segment_bytes))
        } else {
            (sum(|passed| passed.packets), sum(|passed| passed.bytes))
        };
        let dropped_packets = packets.saturating_sub(passed);
        let dropped_bytes = bytes.saturating_sub(passed_bytes);
        // XDP counts a VLAN tag as part of the packet. The stack moves it to `skb->vlan_tci` before the hook.
        // https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L5683
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
    fn packets_missing_in_the_stack_count_as_dropped() {
        let dropped = |packets, bytes, native| {
            let wire = wire(Direction::Rx, Some(Arrived { packets, bytes, native }));
            let xdp_rx = XdpRx::of(&wire).unwrap();
            (xdp_rx.dropped_packets, xdp_rx.dropped_bytes)
        };
        assert_eq!(dropped(11, 10_042, false), (0, 0));
        assert_eq!(dropped(13, 10_242, false), (2, 200));
        assert_eq!(dropped(41, 12_042, true), (0, 0));
        assert_eq!(dropped(42, 12_142, true), (1, 100));
    }

    #[test]
    fn vlan_tags_do_not_count_as_dropped() {
        let dropped = |packets, bytes| {
            let mut wire = wire(Direction::Rx, Some(Arrived { packets, bytes, native: false }));
            wire.process.tagged = 10;
            let xdp_rx = XdpRx::of(&wire).unwrap();
            (xdp_rx.dropped_packets, xdp_rx.dropped_bytes)
        };
        assert_eq!(dropped(11, 10_082), (0, 0));
        assert_eq!(dropped(13, 10_282), (2, 200));
    }

    #[test]
    fn interface_without_xdp_has_no_counters() {
        assert_eq!(XdpRx::of(&wire(Direction::Rx, None)), None);
        assert_eq!(XdpRx::of(&wire(Direction::Tx, Some(Arrived::default()))), None);
    }
}
