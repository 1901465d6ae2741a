//! The server in the recording: its processes, containers, interfaces, connections, and how fast each connection moves.

pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: &'static str,
    pub(super) user: &'static str,
    /// An index into [`CONTAINERS`].
    pub(super) container: Option<usize>,
}

pub(super) struct Container {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
}

pub(super) struct Interface {
    pub(super) name: &'static str,
    pub(super) addresses: &'static [&'static str],
    /// Received and sent bytes before the tool's start.
    pub(super) before: [u64; 2],
}

pub(super) struct Connection {
    pub(super) pid: u32,
    pub(super) protocol: &'static str,
    pub(super) local: (&'static str, u16),
    pub(super) remote: (&'static str, u16),
    /// The second in which the connection begins.
    pub(super) from: u64,
    /// Received and sent bytes before the tool's start.
    pub(super) before: [u64; 2],
    /// Received and sent bytes per second, on average.
    rates: [u64; 2],
    pub(super) rtt_us: u32,
    pub(super) retransmits: u32,
}

const LAN: &str = "192.0.2.10";
const LAN_V6: &str = "2001:db8::10";
const BRIDGE: &str = "172.17.0.1";

pub(super) const CONTAINERS: [Container; 3] = [
    Container { id: "3f1c9a52d7e80b6417c2a9e5f0d38b74169ea25c8d0f7b3461e9c2d5a8f0b713", name: "shop" },
    Container { id: "a80d4e7b1f2693c5085e7d1ab94f6c23e0d8715fa6b92c40d3e7185fb260ac94", name: "redis" },
    Container { id: "c47b02e9d815f63a2e9c70d4b8a15f36e2c9d07481ba5e6f30d2c7948e1fb05d", name: "mailer" },
];

pub(super) const PROCESSES: [Process; 13] = [
    host(812, "nginx", "www-data"),
    host(813, "nginx", "www-data"),
    host(1044, "postgres", "postgres"),
    host(1101, "postgres", "postgres"),
    host(1530, "node_exporter", "prometheus"),
    host(3310, "sshd", "root"),
    host(4127, "restic", "backup"),
    host(5012, "curl", "deploy"),
    host(640, "systemd-resolve", "systemd-resolve"),
    host(655, "chronyd", "_chrony"),
    in_container(2291, "node", "1000", 0),
    in_container(2360, "redis-server", "999", 1),
    in_container(2418, "python3", "1000", 2),
];

pub(super) const INTERFACES: [Interface; 3] = [
    Interface { name: "lo", addresses: &["127.0.0.1", "::1"], before: [48_210_334, 48_210_334] },
    Interface { name: "eth0", addresses: &[LAN, LAN_V6], before: [12_904_118_220, 61_337_902_118] },
    Interface { name: "docker0", addresses: &[BRIDGE], before: [3_310_448_911, 2_118_340_027] },
];

pub(super) const CONNECTIONS: [Connection; 24] = [
    tcp(812, (LAN, 443), ("198.51.100.23", 50_611), [1_210_400, 88_214_006], [14_200, 2_910_000], 18_400, 3),
    tcp(812, (LAN, 443), ("198.51.100.87", 41_220), [41_310_022, 2_118_453], [1_940_000, 38_000], 31_900, 0),
    tcp(812, (LAN, 443), ("203.0.113.141", 60_034), [98_404, 4_430_128], [6_400, 486_000], 74_300, 11),
    tcp(
        813,
        (LAN_V6, 443),
        ("2001:db8:71::2e", 53_802),
        [770_190, 51_007_665],
        [12_800, 1_870_000],
        22_700,
        0,
    ),
    tcp(813, (LAN_V6, 443), ("2001:db8:4c1::9", 39_118), [44_310, 1_809_114], [3_100, 148_000], 41_200, 1),
    tcp(813, (LAN, 443), ("203.0.113.9", 33_871), [12_940, 502_338], [2_200, 61_000], 112_000, 4),
    tcp(812, (BRIDGE, 48_122), ("172.17.0.2", 8080), [160_334_981, 7_011_236], [5_910_000, 41_000], 60, 0),
    tcp(813, (BRIDGE, 48_130), ("172.17.0.2", 8080), [21_008_112, 1_344_907], [912_000, 12_600], 64, 0),
    tcp(2291, ("172.17.0.2", 8080), (BRIDGE, 48_122), [7_011_236, 160_334_981], [41_000, 5_910_000], 58, 0),
    tcp(2291, ("172.17.0.2", 8080), (BRIDGE, 48_130), [1_344_907, 21_008_112], [12_600, 912_000], 61, 0),
    tcp(2291, ("172.17.0.2", 39_114), (BRIDGE, 5432), [911_430_777, 30_211_840], [1_730_000, 52_400], 71, 0),
    tcp(
        2291,
        ("172.17.0.2", 51_006),
        ("172.17.0.3", 6379),
        [12_008_345, 9_114_760],
        [204_000, 131_000],
        49,
        0,
    ),
    tcp(1044, (BRIDGE, 5432), ("172.17.0.2", 39_114), [30_211_840, 911_430_777], [52_400, 1_730_000], 70, 0),
    tcp(1101, (LAN, 5432), ("192.0.2.21", 44_702), [9_330_218, 2_204_118_530], [4_100, 693_000], 240, 0),
    tcp(
        2360,
        ("172.17.0.3", 6379),
        ("172.17.0.2", 51_006),
        [9_114_760, 12_008_345],
        [131_000, 204_000],
        50,
        0,
    ),
    tcp(2418, ("172.17.0.4", 58_240), ("192.0.2.25", 587), [40_117, 2_330_901], [900, 23_800], 510, 0),
    tcp(1530, (LAN, 9100), ("192.0.2.30", 37_750), [812_334, 61_200_118], [310, 11_900], 330, 0),
    tcp(3310, (LAN, 22), ("198.51.100.7", 61_004), [88_120, 240_006], [120, 410], 25_300, 0),
    tcp(3310, (LAN_V6, 22), ("2001:db8:71::5", 49_220), [12_004, 41_209], [0, 0], 27_100, 0),
    tcp(4127, (LAN, 36_420), ("192.0.2.40", 8000), [2_118_004, 1_730_118_226], [18_300, 4_120_000], 410, 2),
    Connection {
        from: 51,
        ..tcp(5012, (LAN, 51_372), ("198.51.100.200", 443), [0, 0], [5_480_000, 21_000], 9_800, 0)
    },
    udp(640, (LAN, 43_210), ("192.0.2.53", 53), [210, 118]),
    udp(655, (LAN, 39_871), ("192.0.2.123", 123), [12, 12]),
    udp(655, (LAN_V6, 47_002), ("2001:db8::123", 123), [6, 6]),
];

impl Connection {
    /// Received and sent bytes in this second: the average rate with a slow wave and noise, both without state.
    pub(super) fn moved(&self, second: u64) -> [u64; 2] {
        if second <= self.from {
            return [0, 0];
        }
        // The two sockets of a connection within this host move the same bytes.
        let seed = u64::from(self.local.1) ^ u64::from(self.remote.1);
        let factor = wave(second + seed % 7, 20 + seed % 5) * noise(seed.wrapping_mul(1021) + second);
        self.rates.map(|rate| rate * factor / 1_000_000)
    }
}

/// From 400 to 1600, as a triangle with this period in seconds.
fn wave(second: u64, period: u64) -> u64 {
    let phase = second % period * 2400 / period;
    if phase < 1200 { 400 + phase } else { 2800 - phase }
}

/// From 850 to 1149, different for each seed.
fn noise(seed: u64) -> u64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    850 + (mixed ^ mixed >> 29) % 300
}

const fn host(pid: u32, name: &'static str, user: &'static str) -> Process {
    Process { pid, name, user, container: None }
}

const fn in_container(pid: u32, name: &'static str, user: &'static str, container: usize) -> Process {
    Process { pid, name, user, container: Some(container) }
}

const fn tcp(
    pid: u32,
    local: (&'static str, u16),
    remote: (&'static str, u16),
    before: [u64; 2],
    rates: [u64; 2],
    rtt_us: u32,
    retransmits: u32,
) -> Connection {
    Connection { pid, protocol: "tcp", local, remote, from: 0, before, rates, rtt_us, retransmits }
}

const fn udp(
    pid: u32,
    local: (&'static str, u16),
    remote: (&'static str, u16),
    rates: [u64; 2],
) -> Connection {
    let (before, protocol) = ([0, 0], "udp");
    Connection { pid, protocol, local, remote, from: 0, before, rates, rtt_us: 0, retransmits: 0 }
}
