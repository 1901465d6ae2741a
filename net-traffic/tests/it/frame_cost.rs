//! The CPU time of one frame at 10 000 connections. Measures an optimised build:
//! `cargo test --release --test it frame_cost -- --ignored --nocapture`.

use std::net::{IpAddr, Ipv4Addr};

use net_traffic_snapshot::{
    Bytes, Endpoint, Interface, Process, ProcessId, Protocol, Snapshot, Socket, TcpInfo,
};
use net_traffic_view::Screen;

use crate::screen::TestScreen;

const CONNECTIONS: u32 = 10_000;
const PROCESSES: u32 = 1_000;
const FRAMES: u32 = 50;
const MOST_MS: f64 = 16.0;

#[test]
#[ignore = "a benchmark; needs an optimised build"]
fn frame_of_ten_thousand_connections_takes_under_16_ms() {
    let mut slow = Vec::new();
    for size in [(80, 24), (140, 40)] {
        for (title, kind, keys) in [
            ("connections", Screen::Top, "1"),
            ("connections by remote", Screen::Top, "1ssss"),
            ("connections, last rows", Screen::Top, "1G"),
            ("connections with a word", Screen::Top, "1/198.51.1<Enter>"),
            ("connections with criteria", Screen::Top, "1/port:443 remote:10.0.0.0/9<Enter>"),
            ("processes", Screen::Top, "2"),
            ("containers", Screen::Top, "3"),
            ("destinations", Screen::Top, "4"),
            ("details", Screen::Top, "1G<Enter>"),
            ("bandwidth", Screen::Bandwidth, ""),
        ] {
            let mut screen = TestScreen::empty(kind, size, true);
            for second in 1..4 {
                screen.advance(snapshot(second));
            }
            screen.press(keys);
            let before = cpu_ms();
            for _ in 0..FRAMES {
                // Projection, layout and comparison with the previous frame: the whole work for a key or a snapshot.
                screen.frame();
            }
            let each = (cpu_ms() - before) / f64::from(FRAMES);
            println!("{:>3}x{:<3} {title:<28} {each:6.2} ms of CPU a frame", size.0, size.1);
            if each > MOST_MS {
                slow.push(title);
            }
        }
    }
    assert!(slow.is_empty(), "more than {MOST_MS} ms: {slow:?}");
}

/// The CPU time of this thread so far (`/proc/thread-self/schedstat`).
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let ns: f64 = text.split_whitespace().next().unwrap().parse().unwrap();
    ns / 1e6
}

fn snapshot(second: u64) -> Snapshot {
    Snapshot {
        sockets: (0..CONNECTIONS).map(|place| socket(place, second)).collect(),
        processes: (0..PROCESSES).map(|place| process(place, second)).collect(),
        interfaces: vec![Interface { index: 2, name: "eth0".to_owned(), up: true, ..Interface::default() }],
        ..net_traffic_testing::snapshot(second)
    }
}

fn socket(place: u32, second: u64) -> Socket {
    let amount = u64::from(place.wrapping_mul(2_654_435_761) % 100_000) * second;
    let remote = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + place * 7);
    Socket {
        protocol: if place.is_multiple_of(5) { Protocol::Udp } else { Protocol::Tcp },
        remote: Some(Endpoint {
            address: IpAddr::V4(remote),
            port: 1024 + u16::try_from(place % 60_000).unwrap(),
        }),
        netns: Some(4_026_531_840),
        ifindex: Some(2),
        owner: Some(ProcessId { pid: 1000 + place % PROCESSES, start_ticks: 1 }),
        uid: Some(33),
        inode: Some(u64::from(place)),
        lifetime: Some(Bytes { rx: amount, tx: amount / 2 }),
        counted: Some(Bytes { rx: amount, tx: amount / 2 }),
        tcp: Some(TcpInfo { rtt_us: Some(420), retransmits: Some(1), ..TcpInfo::default() }),
        ..net_traffic_testing::socket(u64::from(place) + 1)
    }
}

fn process(place: u32, second: u64) -> Process {
    let amount = u64::from(place) * second * 1000;
    Process {
        name: format!("worker-{place}"),
        command: Some(format!("/usr/bin/worker --number {place}")),
        uid: Some(33),
        user: Some("www-data".to_owned()),
        container: place.is_multiple_of(10).then(|| format!("{place:064}")),
        counted: Some(Bytes { rx: amount, tx: amount }),
        ..net_traffic_testing::process(1000 + place)
    }
}
