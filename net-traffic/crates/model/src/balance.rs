//! The balance of an interface: its own byte counter, split into process payload, overhead, forwarded and kernel bytes.
//!
//! The parts always sum to the growth of the counter. The remainder is shown as unattributed; it is negative if the
//! parts exceed the counter.

use net_traffic_snapshot::{Direction, Passed, Wire};

/// One interface in one direction, since this program attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance<'m> {
    pub interface: &'m str,
    pub direction: Direction,
    /// The growth of the interface's own counter.
    pub interface_bytes: u64,
    /// Payload of sockets, each byte once.
    pub process_payload_bytes: u64,
    /// The other bytes of their packets: headers, acknowledgements, retransmissions.
    pub overhead_bytes: u64,
    /// Routed or bridged on behalf of other hosts.
    pub forwarded_bytes: u64,
    /// Packets of the kernel itself: ARP, ICMP, resets, tunnels.
    pub kernel_bytes: u64,
    /// The rest. Negative if the hook counted packets that the interface did not: a qdisc dropped them, or still
    /// holds them.
    pub unattributed_bytes: i64,
}

impl<'m> Balance<'m> {
    pub(super) fn of(wire: &'m Wire) -> Self {
        let scale = CounterScale::of(wire);
        let [process, forwarded, kernel] =
            [&wire.process, &wire.forwarded, &wire.kernel].map(|passed| scale.bytes(passed));
        let payload = wire.process.payload.min(process);
        let seen = process.saturating_add(forwarded).saturating_add(kernel);
        let encryption =
            if wire.encrypts { encryption(wire, seen.saturating_add(scale.bytes(&wire.unknown))) } else { 0 };
        let parts = seen.saturating_add(encryption);
        Self {
            interface: &wire.interface,
            direction: wire.direction,
            interface_bytes: wire.interface_bytes,
            process_payload_bytes: payload,
            overhead_bytes: process - payload,
            forwarded_bytes: forwarded,
            kernel_bytes: kernel.saturating_add(encryption),
            unattributed_bytes: wire.interface_bytes.wrapping_sub(parts).cast_signed(),
        }
    }
}

/// Bytes that a `WireGuard` interface counts beyond the packets at the hook: a header, padding and an authentication
/// tag for each packet, and handshakes. Bounded by what the protocol can add; more than that stays unattributed.
/// <https://github.com/gregkh/linux/blob/v6.12.117/drivers/net/wireguard/messages.h#L105>
fn encryption(wire: &Wire, seen: u64) -> u64 {
    const HEADER: u64 = 16;
    const PADDING: u64 = 15;
    const TAG: u64 = 16;
    const HANDSHAKE: u64 = 148;
    let all = [&wire.process, &wire.kernel, &wire.forwarded, &wire.unknown];
    let packets = all.iter().fold(0_u64, |sum, passed| sum.saturating_add(passed.segments));
    let own = wire.interface_packets.saturating_sub(packets);
    let most = wire.interface_packets.saturating_mul(HEADER + PADDING + TAG);
    wire.interface_bytes.saturating_sub(seen).min(most.saturating_add(own.saturating_mul(HANDSHAKE)))
}

/// How an interface's counter relates to the packets at the hook.
///
/// The hook counts GSO and GRO packets, each of several segments. A virtual device passes a GSO packet on whole and counts
/// one header; hardware and software segmentation count one header for each segment. Some interfaces do both. The
/// interface's packet counter gives the number of segments that the interface counted.
///
/// At the hook a VLAN tag is in `skb->vlan_tci`, not in the packet. With hardware VLAN offload the tag is not in the
/// interface's byte counter; without, the stack inserts the tag before the driver counts. The scale takes the case whose
/// sum is nearer to the counter.
/// <https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L3743>
struct CounterScale {
    left_out: u64,
    counts_tags: bool,
    /// Segments beyond the first of each packet, and how many of them the interface counted.
    further: u64,
    counted: u64,
}

impl CounterScale {
    fn of(wire: &Wire) -> Self {
        let all = [&wire.process, &wire.kernel, &wire.forwarded, &wire.unknown];
        let sum =
            |of: fn(&Passed) -> u64| all.iter().fold(0u64, |sum, passed| sum.saturating_add(of(passed)));
        let packets = sum(|passed| passed.packets);
        let further = sum(|passed| passed.segments).saturating_sub(packets);
        // Packets that were dropped before the hook are in the interface's counter but are not segments.
        let arrived = wire.arrived.filter(|arrived| !arrived.native).map_or(0, |arrived| arrived.packets);
        let counted = wire.interface_packets.saturating_sub(packets.max(arrived)).min(further);
        let scale = Self { left_out: u64::from(wire.left_out), counts_tags: false, further, counted };
        let bytes = all.iter().map(|passed| scale.bytes(passed)).fold(0, u64::saturating_add);
        let tags = all.iter().map(|passed| scale.tags(passed)).fold(0, u64::saturating_add);
        let counts_tags = tags > 0 && wire.interface_bytes > bytes.saturating_add(tags / 2);
        Self { counts_tags, ..scale }
    }

    /// The bytes of one class as the interface counts them.
    fn bytes(&self, passed: &Passed) -> u64 {
        let headers = passed.segment_bytes.saturating_sub(passed.bytes);
        let further = passed.segments.saturating_sub(passed.packets);
        let mut bytes = passed.bytes.saturating_add(share(headers, self.counted, self.further));
        if self.counts_tags {
            bytes = bytes.saturating_add(self.tags(passed));
        }
        let packets = passed.packets.saturating_add(share(further, self.counted, self.further));
        bytes.saturating_sub(self.left_out.saturating_mul(packets))
    }

    /// The VLAN tag bytes of one class: one tag for each segment that the interface counts.
    fn tags(&self, passed: &Passed) -> u64 {
        const TAG: u64 = 4;
        let further = passed.tagged_segments.saturating_sub(passed.tagged);
        TAG.saturating_mul(passed.tagged.saturating_add(share(further, self.counted, self.further)))
    }
}

/// `amount * part / whole`; 0 if `whole` is 0.
fn share(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount) * u128::from(part);
    u64::try_from(product.checked_div(u128::from(whole)).unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten GSO packets of 44 segments (1448 bytes of payload, 66 of headers), and one packet of the kernel.
    fn wire(interface_bytes: u64, interface_packets: u64) -> Wire {
        let payload = 10 * 44 * 1448;
        let process = Passed {
            packets: 10,
            bytes: payload + 660,
            segments: 440,
            segment_bytes: payload + 440 * 66,
            payload,
            ..Passed::default()
        };
        let kernel = Passed { packets: 1, bytes: 42, segments: 1, segment_bytes: 42, ..Passed::default() };
        Wire {
            ifindex: 2,
            interface: "eth0".into(),
            netns: None,
            direction: Direction::Tx,
            interface_bytes,
            interface_packets,
            left_out: 0,
            encrypts: false,
            process,
            kernel,
            forwarded: Passed::default(),
            unknown: Passed::default(),
            arrived: None,
        }
    }

    fn sum(balance: &Balance<'_>) -> i128 {
        let parts = [
            balance.process_payload_bytes,
            balance.overhead_bytes,
            balance.forwarded_bytes,
            balance.kernel_bytes,
        ];
        parts.iter().map(|part| i128::from(*part)).sum::<i128>() + i128::from(balance.unattributed_bytes)
    }

    #[test]
    fn device_counting_gso_packets_balances() {
        let wire = wire(637_120 + 660 + 42, 11);
        let balance = Balance::of(&wire);
        assert_eq!((balance.process_payload_bytes, balance.overhead_bytes), (637_120, 660));
        assert_eq!((balance.kernel_bytes, balance.unattributed_bytes), (42, 0));
    }

    #[test]
    fn device_counting_segments_balances() {
        let wire = wire(637_120 + 440 * 66 + 42, 441);
        let balance = Balance::of(&wire);
        assert_eq!((balance.overhead_bytes, balance.unattributed_bytes), (440 * 66, 0));
    }

    #[test]
    fn device_splitting_half_the_packets_balances() {
        let wire = wire(637_120 + 660 + 215 * 66 + 42, 11 + 215);
        assert_eq!(Balance::of(&wire).unattributed_bytes, 0);
    }

    #[test]
    fn packets_missed_or_dropped_are_unattributed() {
        for (interface_bytes, rest) in [(700_000, 700_000 - 637_822), (600_000, 600_000 - 637_822)] {
            let wire = wire(interface_bytes, 11);
            let balance = Balance::of(&wire);
            assert_eq!(balance.unattributed_bytes, rest);
            assert_eq!(sum(&balance), i128::from(interface_bytes));
        }
    }

    #[test]
    fn header_outside_the_counter_is_in_no_part() {
        let mut wire = wire(637_120 + 660 + 42 - 11 * 14, 11);
        wire.left_out = 14;
        let balance = Balance::of(&wire);
        assert_eq!((balance.overhead_bytes, balance.unattributed_bytes), (660 - 140, 0));
    }

    #[test]
    fn encryption_overhead_is_bounded_kernel_traffic() {
        let balance = |more: u64| {
            let mut wire = wire(637_120 + 440 * 66 + 42 + more, 441 + 2);
            wire.encrypts = true;
            let Balance { kernel_bytes, unattributed_bytes, .. } = Balance::of(&wire);
            (kernel_bytes, unattributed_bytes)
        };
        let usual = 441 * 40 + 148 + 92;
        assert_eq!(balance(usual), (42 + usual, 0));
        let most = 443 * 47 + 2 * 148;
        assert_eq!(balance(most + 5), (42 + most, 5));
        assert_eq!(balance(0), (42, 0));
    }

    #[test]
    fn vlan_tag_counts_if_interface_counts_it() {
        let tagged = |interface_bytes, interface_packets| {
            let mut wire = wire(interface_bytes, interface_packets);
            (wire.process.tagged, wire.process.tagged_segments) = (10, 440);
            wire
        };
        let (whole, split) = (637_120 + 660 + 42, 637_120 + 440 * 66 + 42);
        for (bytes, packets, overhead) in [
            (whole, 11, 660),
            (whole + 10 * 4, 11, 660 + 10 * 4),
            (split, 441, 440 * 66),
            (split + 440 * 4, 441, 440 * (66 + 4)),
        ] {
            let wire = tagged(bytes, packets);
            let balance = Balance::of(&wire);
            assert_eq!((balance.overhead_bytes, balance.unattributed_bytes), (overhead, 0), "{bytes}");
        }
        // A few bytes in a queue do not change the decision.
        assert_eq!(Balance::of(&tagged(whole + 3, 11)).unattributed_bytes, 3);
        assert_eq!(Balance::of(&tagged(whole + 40 - 3, 11)).unattributed_bytes, -3);
    }
}
