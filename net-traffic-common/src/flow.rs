//! The flow of a packet, by which its socket is found: a key of the capture's maps.

use crate::plain;

plain! {
    /// Addresses and ports in network order, an IPv4 address in the first word. An echo has its identifier in both
    /// ports.
    pub struct Flow: 40 {
        pub source: [u32; 4],
        pub destination: [u32; 4],
        pub source_port: u16,
        pub destination_port: u16,
        pub protocol: u8,
        pub is_v6: u8,
        /// The flags of one packet; 0 in a key.
        pub tcp_flags: u8,
        pub reserved: u8,
    }
}

#[expect(clippy::inline_always, reason = "on the kernel side a call would cost the verifier and the packet")]
impl Flow {
    /// The flow of the replies.
    #[must_use]
    #[inline(always)]
    pub fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..*self
        }
    }

    /// A hash of the flow.
    #[must_use]
    #[inline(always)]
    pub fn fold(&self) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |folded: u64, word: u32| (folded.rotate_left(29) ^ u64::from(word)).wrapping_mul(ODD);
        let ports = u32::from(self.source_port) << 16 | u32::from(self.destination_port);
        let mut folded = mix(u64::from(self.protocol), ports);
        folded = mix(mix(folded, self.source[0]), self.destination[0]);
        if self.is_v6 != 0 {
            folded = mix(mix(folded, self.source[1]), self.destination[1]);
            folded = mix(mix(folded, self.source[2]), self.destination[2]);
            folded = mix(mix(folded, self.source[3]), self.destination[3]);
        }
        folded
    }

    /// The flow as a key of a map.
    #[must_use]
    #[inline(always)]
    pub fn key(&self) -> Self {
        Self { tcp_flags: 0, ..*self }
    }
}
