//! Packets of loopback: each is captured once per direction, filtered, complete and with its process. The counters
//! account for each packet.

mod nat;

use std::net::UdpSocket;
use std::ops::ControlFlow;

use libtest_mimic::{Completion, Failed, Trial};
use net_traffic_capture::{Ledger, LiveCaptureOptions, OwnerFilter};
use net_traffic_linux::LiveCapture;
use net_traffic_selftest::traffic::NetNs;
use pcap_io::{Direction, Interface, Packet};

use super::skips::{Reason, skip};
use super::wire::{nft, place::Place};

const PACKETS: usize = 20;
const FILTER: &str = "udp dst port 7200 and less 9000";

type Run = fn() -> Result<(), Failed>;

pub(super) fn trials() -> Vec<Trial> {
    let trials: [(&'static str, Run); 7] = [
        ("capture::loopback", loopback),
        ("capture::xdp", xdp),
        ("capture::chosen", chosen),
        ("capture::enough", enough),
        ("capture::tiny_rings", tiny_rings),
        ("capture::bridge", bridge),
        ("capture::first_packets", first_packets),
    ];
    let trial = |(name, run): (&'static str, Run)| {
        Trial::ignorable_test(name, move || match NetNs::enter_new() {
            Ok(_namespace) => run().map(|()| Completion::Completed),
            Err(error) => skip(name, &Reason::Rights(error)),
        })
    };
    let translating = nat::TRIALS.map(|(name, run)| {
        Trial::ignorable_test(name, move || {
            if let Err(error) = NetNs::enter_new() {
                return skip(name, &Reason::Rights(error));
            }
            match nft() {
                Ok(_) => run().map(|()| Completion::Completed),
                Err(reason) => skip(name, &reason),
            }
        })
    });
    trials.map(trial).into_iter().chain(translating).collect()
}

/// The compared fields of a packet.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    direction: Option<Direction>,
    last: Option<u8>,
    length: u32,
    pid: Option<u32>,
}

/// The result of a capture.
#[derive(Debug)]
struct Outcome {
    seen: Vec<Seen>,
    ledger: Ledger,
    without_owners: Option<String>,
}

fn options() -> LiveCaptureOptions {
    LiveCaptureOptions {
        interfaces: vec!["lo".to_owned()],
        snaplen: 262_144,
        ring_kib: 256,
        owners: true,
        ..LiveCaptureOptions::default()
    }
}

/// Captures the packets of `act` until there are `enough`.
fn capture(
    options: &LiveCaptureOptions,
    enough: usize,
    act: impl FnOnce() -> Result<(), Failed>,
) -> Result<Outcome, Failed> {
    capture_by(options, FILTER, enough, act)
}

fn capture_by(
    options: &LiveCaptureOptions,
    filter: &str,
    enough: usize,
    act: impl FnOnce() -> Result<(), Failed>,
) -> Result<Outcome, Failed> {
    let mut live = LiveCapture::start(options, filter, true)?;
    act()?;
    let mut seen = Vec::new();
    let mut take = |_: &[Interface], packet: &Packet<'_>| {
        seen.push(Seen {
            direction: packet.direction,
            last: packet.data.last().copied(),
            length: packet.length,
            pid: packet.process.map(|process| process.pid),
        });
        if seen.len() < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    live.finish(Some(&mut take));
    let without_owners = live.without_owners().map(str::to_owned);
    Ok(Outcome { ledger: live.ledger(), seen, without_owners })
}

/// Sends numbered packets of several lengths, and packets that the filter rejects.
fn send() -> Result<(), Failed> {
    let receiver = UdpSocket::bind("127.0.0.1:7200")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    for number in 0..PACKETS {
        sender.send_to(&vec![u8::try_from(number)?; payload(number)], "127.0.0.1:7200")?;
        sender.send_to(&[0; 100], "127.0.0.1:7201")?;
        receiver.recv(&mut [0; 9000])?;
    }
    Ok(())
}

const fn payload(number: usize) -> usize {
    1 + number * 250
}

fn seen(number: usize, direction: Direction, pid: Option<u32>) -> Seen {
    let length = u32::try_from(14 + 20 + 8 + payload(number)).unwrap_or(0);
    Seen { direction: Some(direction), last: u8::try_from(number).ok(), length, pid }
}

/// The received packets are the sum of captured, lost and left-over packets.
fn accounted(outcome: &Outcome, received: usize) -> Result<(), Failed> {
    let Outcome { seen, ledger, .. } = outcome;
    let sum = seen.len() as u64 + ledger.dropped() + ledger.left_over;
    if ledger.received == received as u64 && sum == ledger.received {
        return Ok(());
    }
    Err(format!("{} of {received} captured: {ledger:?}", seen.len()).into())
}

fn loopback() -> Result<(), Failed> {
    let outcome = capture(&options(), usize::MAX, send)?;
    let pid = outcome.without_owners.is_none().then(std::process::id);
    let expected: Vec<_> = (0..PACKETS)
        .flat_map(|number| [Direction::Out, Direction::In].map(|direction| seen(number, direction, pid)))
        .collect();
    if outcome.seen != expected || outcome.ledger.dropped() != 0 {
        return Err(format!("{outcome:#?}").into());
    }
    accounted(&outcome, 2 * PACKETS)
}

/// XDP has received frames only, without a process.
fn xdp() -> Result<(), Failed> {
    let options = LiveCaptureOptions { xdp: true, owners: false, ..options() };
    let outcome = capture(&options, usize::MAX, send)?;
    let expected: Vec<_> = (0..PACKETS).map(|number| seen(number, Direction::In, None)).collect();
    if outcome.seen != expected || outcome.ledger.dropped() != 0 {
        return Err(format!("{outcome:#?}").into());
    }
    accounted(&outcome, PACKETS)
}

/// The filter rejects packets of other processes.
fn chosen() -> Result<(), Failed> {
    let own = std::process::id();
    let name = std::fs::read_to_string("/proc/self/comm")?.trim_end().to_owned();
    let user = nix::unistd::geteuid().to_string();
    let pid = |pid| OwnerFilter { pids: vec![pid], ..OwnerFilter::default() };
    let process = |name: &str| OwnerFilter { process: Some(name.to_owned()), ..OwnerFilter::default() };
    let uid = |user: &str| OwnerFilter { user: Some(user.to_owned()), ..OwnerFilter::default() };
    let cases = [
        (pid(own), true),
        (pid(1), false),
        (process(&name), true),
        (process("somebody"), false),
        (uid(&user), true),
        (uid("65533"), false),
    ];
    for (choice, is_wanted) in cases {
        let options = LiveCaptureOptions { choice: choice.clone(), ..options() };
        let outcome = capture(&options, usize::MAX, send)?;
        accounted(&outcome, if is_wanted { 2 * PACKETS } else { 0 })
            .map_err(|error| format!("{choice:?}: {}", error.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// Packets after the last wanted one are left over.
fn enough() -> Result<(), Failed> {
    let outcome = capture(&options(), 5, send)?;
    if outcome.seen.len() != 5 || outcome.ledger.left_over == 0 {
        return Err(format!("{outcome:#?}").into());
    }
    accounted(&outcome, 2 * PACKETS)
}

/// The packets that fit into ring buffers of a page or two.
fn tiny_rings() -> Result<(), Failed> {
    const MANY: usize = 2000;
    let options = LiveCaptureOptions { ring_kib: 8, ..options() };
    let outcome = capture(&options, usize::MAX, || {
        let sender = UdpSocket::bind("127.0.0.1:0")?;
        for _ in 0..MANY {
            // No socket receives: a datagram whose send returns an ICMP error was sent too.
            drop(sender.send_to(&[7; 3000], "127.0.0.1:7200"));
        }
        Ok(())
    })?;
    if outcome.ledger.ring_full == 0 {
        return Err(format!("nothing was lost: {:?}", outcome.ledger).into());
    }
    accounted(&outcome, 2 * MANY)
}

/// A bridge forwards packets without their sockets; the owner comes from the bridge's port.
fn bridge() -> Result<(), Failed> {
    let (host, guest) = (Place::new()?, Place::new()?);
    host.connect("port", &guest, "eth0");
    host.sh("ip link add name br0 type bridge
        ip link set br0 up
        ip link set port master br0
        ip addr add 10.9.0.1/24 dev br0");
    guest.sh("ip addr add 10.9.0.2/24 dev eth0");
    let options = LiveCaptureOptions { interfaces: vec!["br0".to_owned()], ..options() };
    let captured = host.run(move || {
        let send = || {
            guest.run(|| {
                let sender = UdpSocket::bind("10.9.0.2:0")?;
                for number in 0..PACKETS {
                    // No socket receives: a datagram whose send returns an ICMP error was sent too.
                    drop(sender.send_to(&vec![u8::try_from(number)?; payload(number)], "10.9.0.1:7200"));
                }
                Ok(())
            })
        };
        capture(&options, usize::MAX, send).map_err(|error| error.message().unwrap_or_default().to_owned())
    });
    let outcome = captured?;
    let pid = Some(std::process::id());
    let owned = outcome.seen.iter().filter(|seen| seen.pid == pid && seen.direction == Some(Direction::In));
    if owned.count() < PACKETS || outcome.ledger.dropped() != 0 {
        return Err(format!("{outcome:#?}").into());
    }
    accounted(&outcome, outcome.seen.len())
}

/// Packets to a container before its first own packet: forwarded by a bridge, or to its own interface.
fn first_packets() -> Result<(), Failed> {
    let (host, guest, far) = (Place::new()?, Place::new()?, Place::new()?);
    host.connect("port", &guest, "eth0");
    host.connect("uplink", &far, "eth0");
    host.set("ipv4/ip_forward", "1");
    host.sh("ip link add name br0 type bridge
        ip link set br0 up
        ip link set port master br0
        ip addr add 10.9.0.1/24 dev br0
        ip addr add 10.8.0.1/24 dev uplink");
    guest.sh("ip addr add 10.9.0.2/24 dev eth0
        ip route add default via 10.9.0.1");
    far.sh("ip addr add 10.8.0.2/24 dev eth0
        ip route add default via 10.8.0.1");
    let server = guest.run(|| UdpSocket::bind("10.9.0.2:7200"))?;
    for interface in ["br0", "port"] {
        let options = LiveCaptureOptions {
            interfaces: vec![interface.to_owned()],
            direction: Some(Direction::Out),
            ..options()
        };
        let sender = far.run(|| UdpSocket::bind("10.8.0.2:0"))?;
        let receiver = server.try_clone()?;
        let outcome = host.run(move || {
            let send = || {
                sender.send_to(&[7; 100], "10.9.0.2:7200")?;
                receiver.recv(&mut [0; 100])?;
                Ok(())
            };
            capture(&options, usize::MAX, send)
                .map_err(|error| error.message().unwrap_or_default().to_owned())
        })?;
        let owners: Vec<_> = outcome.seen.iter().map(|seen| seen.pid).collect();
        if owners != [Some(std::process::id())] {
            return Err(format!("{interface}: {outcome:#?}").into());
        }
    }
    Ok(())
}
