//! The balance of an interface: whose the bytes were that its own counter counted.
//!
//! The sum of the parts is the growth of the kernel's counter, always: what is left over is shown, and so is what
//! was counted too much, as a remainder below zero.

use net_traffic_snapshot::{Direction, Passed, Wire};

/// One interface in one direction, since the tool began to watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance<'m> {
    pub interface: &'m str,
    pub direction: Direction,
    /// How much the interface's own counter has grown.
    pub interface_bytes: u64,
    /// Payload of sockets, each byte once.
    pub process_payload_bytes: u64,
    /// What else their packets carried: headers, acknowledgements, retransmissions.
    pub overhead_bytes: u64,
    /// Routed or bridged on behalf of other hosts.
    pub forwarded_bytes: u64,
    /// The kernel's own: ARP, ICMP, refusals, tunnels.
    pub kernel_bytes: u64,
    /// The rest. Below zero when packets were counted that the interface did not carry: a queue dropped them, or
    /// they are still on their way.
    pub unattributed_bytes: i64,
}

impl<'m> Balance<'m> {
    pub(super) fn of(wire: &'m Wire) -> Self {
        let scale = Scale::of(wire);
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

/// What a `WireGuard` interface counts beyond the packets that the hook saw: around each a header, a padding and a
/// signature, and packets of its own. What cannot be that is left over.
fn encryption(wire: &Wire, seen: u64) -> u64 {
    const HEADER: u64 = 16;
    const PADDING: u64 = 15;
    const SIGNATURE: u64 = 16;
    const HANDSHAKE: u64 = 148;
    let all = [&wire.process, &wire.kernel, &wire.forwarded, &wire.unknown];
    let packets = all.iter().fold(0_u64, |sum, passed| sum.saturating_add(passed.segments));
    let own = wire.interface_packets.saturating_sub(packets);
    let most = wire.interface_packets.saturating_mul(HEADER + PADDING + SIGNATURE);
    wire.interface_bytes.saturating_sub(seen).min(most.saturating_add(own.saturating_mul(HANDSHAKE)))
}

/// How an interface counts what the hook saw.
///
/// The hook sees large packets that are many segments on the wire. Virtual devices pass these on whole and count one
/// header, hardware and software segmentation count one for each segment, and some interfaces do both. The
/// interface's packet counter tells: it says into how many packets those of the hook were split.
///
/// The kernel keeps a VLAN's tag beside the packet at the hook. An interface that puts the tag in itself does not count
/// it, one for which the stack does it counts it: that its counter is nearer to the sum with all tags tells.
struct Scale {
    left_out: u64,
    counts_tags: bool,
    /// Segments beyond the first of each packet: how many there were, and how many of them the interface counted.
    further: u64,
    counted: u64,
}

impl Scale {
    fn of(wire: &Wire) -> Self {
        let all = [&wire.process, &wire.kernel, &wire.forwarded, &wire.unknown];
        let sum =
            |of: fn(&Passed) -> u64| all.iter().fold(0u64, |sum, passed| sum.saturating_add(of(passed)));
        let packets = sum(|passed| passed.packets);
        let further = sum(|passed| passed.segments).saturating_sub(packets);
        // What was dropped before the hook is no further segment of what it saw.
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

    /// The bytes of the tags of one class, each segment that the interface counts with its own.
    fn tags(&self, passed: &Passed) -> u64 {
        const TAG: u64 = 4;
        let further = passed.tagged_segments.saturating_sub(passed.tagged);
        TAG.saturating_mul(passed.tagged.saturating_add(share(further, self.counted, self.further)))
    }
}

/// `amount * part / whole`, and nothing of nothing.
fn share(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount) * u128::from(part);
    u64::try_from(product.checked_div(u128::from(whole)).unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten packets of 44 segments of 1448 bytes behind 66 bytes of headers, and one of the kernel's.
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
    fn a_device_that_counts_large_packets_balances() {
        let wire = wire(637_120 + 660 + 42, 11);
        let balance = Balance::of(&wire);
        assert_eq!((balance.process_payload_bytes, balance.overhead_bytes), (637_120, 660));
        assert_eq!((balance.kernel_bytes, balance.unattributed_bytes), (42, 0));
    }

    #[test]
    fn a_device_that_counts_segments_balances() {
        let wire = wire(637_120 + 440 * 66 + 42, 441);
        let balance = Balance::of(&wire);
        assert_eq!((balance.overhead_bytes, balance.unattributed_bytes), (440 * 66, 0));
    }

    #[test]
    fn a_device_that_splits_half_of_them_balances() {
        let wire = wire(637_120 + 660 + 215 * 66 + 42, 11 + 215);
        assert_eq!(Balance::of(&wire).unattributed_bytes, 0);
    }

    #[test]
    fn what_the_hook_did_not_see_is_shown_and_so_is_what_was_dropped() {
        for (interface_bytes, rest) in [(700_000, 700_000 - 637_822), (600_000, 600_000 - 637_822)] {
            let wire = wire(interface_bytes, 11);
            let balance = Balance::of(&wire);
            assert_eq!(balance.unattributed_bytes, rest);
            assert_eq!(sum(&balance), i128::from(interface_bytes));
        }
    }

    #[test]
    fn a_header_that_the_counter_leaves_out_is_in_no_part() {
        let mut wire = wire(637_120 + 660 + 42 - 11 * 14, 11);
        wire.left_out = 14;
        let balance = Balance::of(&wire);
        assert_eq!((balance.overhead_bytes, balance.unattributed_bytes), (660 - 140, 0));
    }

    #[test]
    fn what_encryption_adds_is_the_kernels_and_no_more_than_it_can_add() {
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
    fn a_tag_is_a_part_only_where_the_interface_counts_it() {
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
        // What is under way does not decide.
        assert_eq!(Balance::of(&tagged(whole + 3, 11)).unattributed_bytes, 3);
        assert_eq!(Balance::of(&tagged(whole + 40 - 3, 11)).unattributed_bytes, -3);
    }
}
