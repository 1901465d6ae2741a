//! Captures known packets on loopback and checks that none is missing and each has its process.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::ops::ControlFlow;
use std::thread;

use crate::traffic::TrafficError;
use net_traffic_capture::{CaptureStartError, LiveCaptureOptions};
use net_traffic_linux::LiveCapture;
use net_traffic_linux::interfaces::Interfaces;
use net_traffic_linux::netns::NetNs;
use net_traffic_snapshot::Collector;
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::selftest::{CaseResult, TierResult};
use pcap_io::{Direction, Interface, Packet};

/// The receiver's port. In a network namespace of its own no other process uses the port.
const PORT: u16 = 47_213;
const SNAPLEN: u32 = 128;
const RING_KIB: u32 = 4096;
const DATAGRAMS: u64 = 4000;
/// Datagrams between two readings of the capture.
const BURST: u64 = 200;
const STREAM: usize = 4 << 20;
const BLOCK: usize = 16 << 10;
const ETHERNET: u64 = 14;
const IPV4_UDP: u64 = 20 + 8;

/// `own_namespace`: loopback carries the packets of the self-test only.
pub(super) fn run(own_namespace: bool) -> Result<TierResult, TrafficError> {
    let mut result = TierResult { tier: "capture", ..TierResult::default() };
    let cases: [(&'static str, CaptureCase); 2] = [("capture_udp", datagrams), ("capture_tcp", stream)];
    for (case, play) in cases {
        if case == "capture_tcp" && !own_namespace {
            let skipped = Some("loopback carries packets of other processes".to_owned());
            result.cases.push(CaseResult { case, skipped, ..CaseResult::default() });
            continue;
        }
        match play() {
            Ok(tally) => result.cases.push(tally.result(case)),
            Err(Failure::Refused(reason)) => return Ok(TierResult { refused: Some(reason), ..result }),
            Err(Failure::Traffic(cause)) => {
                return Err(TrafficError::Call { attempt: "send packets to be captured", cause });
            }
        }
    }
    Ok(result)
}

type CaptureCase = fn() -> Result<Tally, Failure>;

enum Failure {
    Refused(String),
    Traffic(io::Error),
}

impl From<CaptureStartError> for Failure {
    fn from(error: CaptureStartError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Traffic(error)
    }
}

/// Packets and their bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    packets: u64,
    bytes: u64,
}

/// Packets that crossed the interface, and packets of the capture.
#[derive(Default)]
struct Tally {
    sent: Count,
    captured: Count,
    /// Captured packets without their process.
    unowned: u64,
    dropped: u64,
}

impl Tally {
    fn result(&self, case: &'static str) -> CaseResult {
        let Self { sent, captured, unowned, dropped } = self;
        let difference = if captured != sent {
            let (sent, captured) = (sent.packets, captured.packets);
            Some(format!("{sent} packets crossed loopback, {captured} were captured, {dropped} dropped"))
        } else if *dropped > 0 {
            Some(format!("{dropped} packets were dropped"))
        } else {
            (*unowned > 0).then(|| format!("{unowned} packets were captured without their process"))
        };
        CaseResult {
            case,
            moved: sent.bytes,
            counted: captured.bytes,
            error: sent.bytes.abs_diff(captured.bytes),
            difference,
            skipped: None,
        }
    }

    fn add(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        self.captured.packets += 1;
        self.captured.bytes += u64::from(packet.length);
        let own = std::process::id();
        self.unowned += u64::from(packet.process.is_none_or(|process| process.pid != own));
        ControlFlow::Continue(())
    }
}

/// A live capture with its tally.
struct CountingCapture {
    live: LiveCapture,
    tally: Tally,
}

impl CountingCapture {
    fn start(direction: Option<Direction>, expression: &str) -> Result<Self, Failure> {
        let options = LiveCaptureOptions {
            interfaces: vec!["lo".to_owned()],
            snaplen: SNAPLEN,
            direction,
            ring_kib: RING_KIB,
            owners: true,
            ..LiveCaptureOptions::default()
        };
        let live = LiveCapture::start(&options, expression, true)?;
        Ok(Self { live, tally: Tally::default() })
    }

    /// Reads the packets captured so far.
    fn poll(&mut self) {
        let Self { live, tally } = self;
        let _goes_on = live.next(&mut |_: &[Interface], packet: &Packet<'_>| tally.add(packet));
    }

    fn finish(self, sent: Count) -> Tally {
        let Self { mut live, mut tally } = self;
        live.finish(Some(&mut |_: &[Interface], packet: &Packet<'_>| tally.add(packet)));
        if live.without_owners().is_some() {
            // The kernel grants no hook for the owners; `doctor` reports it.
            tally.unowned = 0;
        }
        Tally { sent, dropped: live.ledger().dropped(), ..tally }
    }
}

fn datagrams() -> Result<Tally, Failure> {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    sender.connect(receiver.local_addr()?)?;
    let mut capture = CountingCapture::start(None, &format!("udp dst port {PORT}"))?;
    let mut count = Count::default();
    let payload = [0; 1400];
    for number in 0..DATAGRAMS {
        let size = 1 + usize::try_from(number % 1400).unwrap_or(0);
        let sent = sender.send(&payload[..size])?;
        receiver.recv(&mut [0; 1400])?;
        // The capture has each packet twice: sent and received.
        count.packets += 2;
        count.bytes += 2 * (ETHERNET + IPV4_UDP + sent as u64);
        if number % BURST == BURST - 1 {
            capture.poll();
        }
    }
    Ok(capture.finish(count))
}

/// The interface's counters are the ground truth, because the TCP stack chooses the number of packets. The capture takes
/// received packets only: the stack may split a sent GSO packet after the capture's hook.
fn stream() -> Result<Tally, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let mut capture = CountingCapture::start(Some(Direction::In), "")?;
    let before = loopback_counters()?;
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
            capture.poll();
        }
    }
    drop(here);
    sender.join().map_err(|_panic| io::Error::other("the sender panicked"))??;
    let after = loopback_counters()?;
    let packets = after.packets - before.packets;
    // Loopback's counters leave out the Ethernet header.
    Ok(capture.finish(Count { packets, bytes: after.bytes - before.bytes + ETHERNET * packets }))
}

/// The packets and bytes of loopback since its creation.
fn loopback_counters() -> io::Result<Count> {
    let mut snapshot = Snapshot::default();
    let own = NetNs::own().map_err(io::Error::other)?;
    Interfaces::new(own)?.collect(&mut snapshot).map_err(io::Error::other)?;
    let loopback = snapshot.interfaces.into_iter().find(|interface| interface.name == "lo");
    let loopback = loopback.ok_or_else(|| io::Error::other("there is no loopback"))?;
    Ok(Count { packets: loopback.tx.packets, bytes: loopback.tx.bytes })
}
