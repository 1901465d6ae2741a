//! Captures known packets on loopback: every one, each with its process.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::ops::ControlFlow;
use std::thread;

use crate::traffic::TrafficError;
use net_traffic_capture::{LiveCaptureOptions, StartError};
use net_traffic_linux::LiveCapture;
use net_traffic_linux::interfaces::Interfaces;
use net_traffic_linux::netns::NetNs;
use net_traffic_snapshot::Collector;
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::selftest::{CaseTrial, TierTrial};
use pcap_io::{Direction, Interface, Packet};

/// Where others could listen; nobody else does in a namespace of its own.
const PORT: u16 = 47_213;
const SNAPLEN: u32 = 128;
const RING_KIB: u32 = 4096;
/// Datagrams, and how many go between two looks at what was captured.
const DATAGRAMS: u64 = 4000;
const BURST: u64 = 200;
const STREAM: usize = 4 << 20;
const BLOCK: usize = 16 << 10;
const ETHERNET: u64 = 14;
const IPV4_UDP: u64 = 20 + 8;

/// `own_namespace`: all that crosses loopback is ours.
pub(super) fn run(own_namespace: bool) -> Result<TierTrial, TrafficError> {
    let mut tried = TierTrial { tier: "capture", ..TierTrial::default() };
    let cases: [(&'static str, Try); 2] = [("capture_udp", datagrams), ("capture_tcp", stream)];
    for (case, attempt) in cases {
        if case == "capture_tcp" && !own_namespace {
            let skipped = Some("loopback carries other packets, too".to_owned());
            tried.cases.push(CaseTrial { case, skipped, ..CaseTrial::default() });
            continue;
        }
        match attempt() {
            Ok(found) => tried.cases.push(found.judge(case)),
            Err(Stopped::Refused(reason)) => return Ok(TierTrial { refused: Some(reason), ..tried }),
            Err(Stopped::Broken(cause)) => {
                return Err(TrafficError::Call { attempt: "send packets to be captured", cause });
            }
        }
    }
    Ok(tried)
}

type Try = fn() -> Result<Found, Stopped>;

enum Stopped {
    Refused(String),
    Broken(io::Error),
}

impl From<StartError> for Stopped {
    fn from(error: StartError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Packets and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    packets: u64,
    octets: u64,
}

/// What passed, and what was captured of it.
#[derive(Default)]
struct Found {
    passed: Count,
    captured: Count,
    /// Captured without the process that they belong to.
    strangers: u64,
    dropped: u64,
}

impl Found {
    fn judge(&self, case: &'static str) -> CaseTrial {
        let Self { passed, captured, strangers, dropped } = self;
        let difference = if captured != passed {
            let (passed, captured) = (passed.packets, captured.packets);
            Some(format!("{passed} packets passed, {captured} were captured, {dropped} dropped"))
        } else if *dropped > 0 {
            Some(format!("{dropped} packets were dropped"))
        } else {
            (*strangers > 0).then(|| format!("{strangers} packets were captured without their process"))
        };
        CaseTrial {
            case,
            moved: passed.octets,
            counted: captured.octets,
            error: passed.octets.abs_diff(captured.octets),
            difference,
            skipped: None,
        }
    }

    fn take(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        self.captured.packets += 1;
        self.captured.octets += u64::from(packet.length);
        let own = std::process::id();
        self.strangers += u64::from(packet.process.is_none_or(|process| process.pid != own));
        ControlFlow::Continue(())
    }
}

/// A capture that counts.
struct Counting {
    live: LiveCapture,
    found: Found,
}

impl Counting {
    fn start(direction: Option<Direction>, expression: &str) -> Result<Self, Stopped> {
        let options = LiveCaptureOptions {
            interfaces: vec!["lo".to_owned()],
            snaplen: SNAPLEN,
            direction,
            ring_kib: RING_KIB,
            owners: true,
            ..LiveCaptureOptions::default()
        };
        let live = LiveCapture::start(&options, expression, true)?;
        Ok(Self { live, found: Found::default() })
    }

    /// Waits a moment and takes what was captured by then.
    fn look(&mut self) {
        let Self { live, found } = self;
        let _goes_on = live.next(&mut |_: &[Interface], packet: &Packet<'_>| found.take(packet));
    }

    fn end(self, passed: Count) -> Found {
        let Self { mut live, mut found } = self;
        live.finish(Some(&mut |_: &[Interface], packet: &Packet<'_>| found.take(packet)));
        if live.without_owners().is_some() {
            // The kernel gives them none, as `doctor` says.
            found.strangers = 0;
        }
        Found { passed, dropped: live.ledger().dropped(), ..found }
    }
}

fn datagrams() -> Result<Found, Stopped> {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    sender.connect(receiver.local_addr()?)?;
    let mut counting = Counting::start(None, &format!("udp dst port {PORT}"))?;
    let mut passed = Count::default();
    let payload = [0; 1400];
    for number in 0..DATAGRAMS {
        let size = 1 + usize::try_from(number % 1400).unwrap_or(0);
        let sent = sender.send(&payload[..size])?;
        receiver.recv(&mut [0; 1400])?;
        // Once going out, and once coming in.
        passed.packets += 2;
        passed.octets += 2 * (ETHERNET + IPV4_UDP + sent as u64);
        if number % BURST == BURST - 1 {
            counting.look();
        }
    }
    Ok(counting.end(passed))
}

/// What the interface itself counted is the truth: how many packets a stream takes is the stack's affair. Only coming
/// in are they the same: what goes out may be larger than loopback takes, and be divided behind the capture.
fn stream() -> Result<Found, Stopped> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let mut counting = Counting::start(Some(Direction::In), "")?;
    let before = crossed()?;
    let address = listener.local_addr()?;
    let sender = thread::spawn(move || -> io::Result<()> {
        let mut there = TcpStream::connect(address)?;
        for _ in 0..STREAM / BLOCK {
            there.write_all(&[0; BLOCK])?;
        }
        there.shutdown(std::net::Shutdown::Write)?;
        there.read_to_end(&mut Vec::new()).map(drop)
    });
    let (mut here, _) = listener.accept()?;
    let mut block = vec![0; BLOCK];
    let mut read = 0;
    while read < STREAM {
        let length = here.read(&mut block)?;
        if length == 0 {
            break;
        }
        read += length;
        if read % (STREAM / 8) < length {
            counting.look();
        }
    }
    drop(here);
    sender.join().map_err(|_panic| io::Error::other("the sender broke off"))??;
    let after = crossed()?;
    let packets = after.packets - before.packets;
    // Loopback counts from the network layer on.
    Ok(counting.end(Count { packets, octets: after.octets - before.octets + ETHERNET * packets }))
}

/// What crossed loopback since it is there.
fn crossed() -> io::Result<Count> {
    let mut snapshot = Snapshot::default();
    let own = NetNs::own().map_err(io::Error::other)?;
    Interfaces::new(own)?.collect(&mut snapshot).map_err(io::Error::other)?;
    let loopback = snapshot.interfaces.into_iter().find(|interface| interface.name == "lo");
    let loopback = loopback.ok_or_else(|| io::Error::other("there is no loopback"))?;
    Ok(Count { packets: loopback.tx.packets, octets: loopback.tx.bytes })
}
