//! The owners of routed and translated packets, on the outer interface.
//!
//! A router removes skb->sk, so the replies carry no socket.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use net_traffic_capture::{LiveCaptureOptions, OwnerFilter};
use net_traffic_linux::LiveCapture;
use pcap_io::{Direction, Interface, Packet};

use super::{Outcome, PACKETS, Run, accounted, capture_by};
use crate::suite::program::command;
use crate::suite::wire::nft;
use crate::suite::wire::place::Place;
use crate::suite::wire::traffic::{tcp, udp};

const BYTES: usize = 100_000;
const SERVERS: [&str; 2] = ["10.7.0.2", "fd07::2"];

pub(super) const TRIALS: [(&str, Run); 7] = [
    ("capture::routed", routed),
    ("capture::masqueraded", masqueraded),
    ("capture::masqueraded_and_chosen", masqueraded_and_chosen),
    ("capture::answers_of_before", answers_of_before),
    ("capture::answers_of_later", answers_of_later),
    ("capture::published", published),
    ("capture::published_to_a_neighbour", published_to_a_neighbour),
];
/// The number of attempts at a condition that becomes true later.
const TRIES: usize = 500;
const PATIENCE: Duration = Duration::from_mins(1);

/// The namespaces of a container, of its host, and of a remote host.
struct Places {
    guest: Place,
    host: Place,
    far: Place,
    router: Place,
}

impl Places {
    fn new() -> Result<Self, Failed> {
        let (guest, host) = (Place::new()?, Place::new()?);
        let (router, far) = (Place::new()?, Place::new()?);
        host.connect("port", &guest, "eth0");
        host.connect("uplink", &router, "west");
        router.connect("east", &far, "eth0");
        for place in [&host, &router] {
            place.set("ipv4/ip_forward", "1");
            place.set("ipv6/conf/all/forwarding", "1");
        }
        guest.sh("ip addr add 10.9.0.2/24 dev eth0
            ip addr add fd09::2/64 dev eth0 nodad
            ip route add default via 10.9.0.1
            ip route add default via fd09::1");
        host.sh("ip addr add 10.9.0.1/24 dev port
            ip addr add fd09::1/64 dev port nodad
            ip addr add 10.8.0.1/24 dev uplink
            ip addr add fd08::1/64 dev uplink nodad
            ip route add default via 10.8.0.2
            ip route add default via fd08::2");
        router.sh("ip addr add 10.8.0.2/24 dev west
            ip addr add fd08::2/64 dev west nodad
            ip addr add 10.7.0.1/24 dev east
            ip addr add fd07::1/64 dev east nodad
            ip route add 10.9.0.0/24 via 10.8.0.1
            ip route add fd09::/64 via fd08::1");
        far.sh("ip addr add 10.7.0.2/24 dev eth0
            ip addr add fd07::2/64 dev eth0 nodad
            ip route add default via 10.7.0.1
            ip route add default via fd07::1");
        Ok(Self { guest, host, far, router })
    }

    /// Adds a NAT rule on the host.
    fn translating(hook: &str, rule: &str) -> Result<Self, Failed> {
        let nft = nft().map_err(|_missing| "nft is missing")?;
        let places = Self::new()?;
        places.host.sh(&format!(
            "{nft} add table inet n
            {nft} add chain inet n c {{ type nat hook {hook} priority 100 ; }}
            {nft} add rule inet n c {rule}"
        ));
        Ok(places)
    }

    /// Captures on the outer interface while the container exchanges packets with the remote host.
    fn talk(self, options: LiveCaptureOptions, filter: &'static str) -> Result<Outcome, Failed> {
        let Self { guest, host, far, router: _router } = self;
        let captured = host.run(move || {
            capture_by(&options, filter, usize::MAX, || {
                for server in SERVERS {
                    let server: IpAddr = server.parse()?;
                    tcp(&guest, &far, server, BYTES, BYTES);
                    udp(&guest, &far, server, 100, PACKETS);
                }
                Ok(())
            })
            .map_err(|error| text(&error))
        });
        Ok(captured?)
    }
}

fn options() -> LiveCaptureOptions {
    LiveCaptureOptions { interfaces: vec!["uplink".to_owned()], ring_kib: 4096, ..super::options() }
}

/// Checks that each packet belongs to this process.
fn all_owned(outcome: &Outcome, directions: &[Direction]) -> Result<(), Failed> {
    let pid = Some(std::process::id());
    let strays: Vec<_> = outcome.seen.iter().enumerate().filter(|(_, seen)| seen.pid != pid).collect();
    let seen: BTreeSet<_> =
        outcome.seen.iter().filter_map(|seen| seen.direction).map(|way| way == Direction::In).collect();
    let wanted: BTreeSet<_> = directions.iter().map(|way| *way == Direction::In).collect();
    if !strays.is_empty() || seen != wanted || outcome.ledger.dropped() != 0 {
        let (all, ledger) = (outcome.seen.len(), outcome.ledger);
        return Err(format!("of {all} packets these are not ours: {strays:?}; {ledger:?}").into());
    }
    accounted(outcome, outcome.seen.len())
}

const FILTER: &str = "tcp or udp";
const BOTH: [Direction; 2] = [Direction::In, Direction::Out];

/// Routed without translation.
fn routed() -> Result<(), Failed> {
    let outcome = Places::new()?.talk(options(), FILTER)?;
    all_owned(&outcome, &BOTH)
}

/// With the host's address from the first packet (SNAT).
fn masqueraded() -> Result<(), Failed> {
    let outcome = masquerading()?.talk(options(), FILTER)?;
    all_owned(&outcome, &BOTH)
}

/// The same with a filter by process in the kernel.
fn masqueraded_and_chosen() -> Result<(), Failed> {
    for (pid, is_wanted) in [(std::process::id(), true), (1, false)] {
        let choice = OwnerFilter { pids: vec![pid], ..OwnerFilter::default() };
        let outcome = masquerading()?.talk(LiveCaptureOptions { choice, ..options() }, FILTER)?;
        if is_wanted {
            all_owned(&outcome, &BOTH)?;
            // Both directions of each connection, and each datagram.
            if outcome.seen.len() < 2 * (2 * PACKETS + 10) {
                return Err(format!("too few: {}", outcome.seen.len()).into());
            }
        } else {
            accounted(&outcome, 0)?;
        }
    }
    Ok(())
}

/// A connection older than the capture, with captured replies only: the owner comes from the conntrack table.
fn answers_of_before() -> Result<(), Failed> {
    let exchange = Exchange::new(masquerading()?)?;
    exchange.once()?;
    let host = Arc::clone(&exchange.host);
    let captured = host.run(move || {
        let exchange_all = || (0..PACKETS).try_for_each(|_| exchange.once());
        capture_by(&arriving(), FILTER, usize::MAX, exchange_all).map_err(|error| text(&error))
    });
    all_owned(&captured?, &[Direction::In])
}

/// The same for a younger connection: its conntrack event arrives with a delay.
fn answers_of_later() -> Result<(), Failed> {
    let exchange = Exchange::new(masquerading()?)?;
    let host = Arc::clone(&exchange.host);
    let found = host.run(move || {
        let mut live = LiveCapture::start(&arriving(), FILTER, true).map_err(|error| error.to_string())?;
        let mut is_ours = false;
        let mut take = |_: &[Interface], packet: &Packet<'_>| {
            is_ours |= packet.process.is_some_and(|process| process.pid == std::process::id());
            if is_ours { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        for _ in 0..TRIES {
            exchange.once().map_err(|error| text(&error))?;
            if live.next(&mut take).is_some() {
                return Ok(());
            }
        }
        Err("no answer had a process".to_owned())
    });
    Ok(found?)
}

fn arriving() -> LiveCaptureOptions {
    LiveCaptureOptions { direction: Some(Direction::In), ..options() }
}

const PUBLISHED: &str = "iifname uplink tcp dport 8080 dnat ip to 10.9.0.2:80";

/// A connection from outside to a published port: its packets have their owner from the first reply on.
fn published() -> Result<(), Failed> {
    let places = Places::translating("prerouting", PUBLISHED)?;
    let Places { guest, host, far, router: _router } = places;
    let listener = guest.run(|| TcpListener::bind("10.9.0.2:80"))?;
    let server = guest.start(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.read_to_end(&mut Vec::new())?;
        stream.write_all(&vec![1; BYTES])
    });
    let mut outcome = host.run(move || {
        let talk = || {
            far.run(|| -> io::Result<()> {
                let mut stream = TcpStream::connect("10.8.0.1:8080")?;
                stream.write_all(&vec![2; BYTES])?;
                stream.shutdown(Shutdown::Write)?;
                stream.read_to_end(&mut Vec::new()).map(drop)
            })?;
            Ok(server.finish()?)
        };
        capture_by(&options(), FILTER, usize::MAX, talk).map_err(|error| text(&error))
    })?;
    accounted(&outcome, outcome.seen.len())?;
    let first = outcome.seen.iter().position(|seen| seen.direction == Some(Direction::Out)).unwrap_or(0);
    let later = outcome.seen.split_off(first);
    if !matches!(outcome.seen.len(), 1..=3) {
        return Err(format!("before the first answer there were {:?}", outcome.seen).into());
    }
    outcome.seen = later;
    outcome.ledger.received -= first as u64;
    all_owned(&outcome, &BOTH)
}

/// A connection to the published port from another namespace of the host: on both sides of the translation the packets
/// belong to the sender, not to this process, which receives them.
fn published_to_a_neighbour() -> Result<(), Failed> {
    let places = Places::translating("prerouting", PUBLISHED)?;
    let Places { guest, host, far: _far, router } = places;
    let listener = guest.run(|| TcpListener::bind("10.9.0.2:80"))?;
    let server = guest.start(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let outcome = host.run(move || {
        let visit = || {
            let visitor = router.run(|| -> io::Result<bool> {
                let words = command("stream", &["10.8.0.1:8080", "1000"]);
                Ok(Command::new(&words[0]).args(&words[1..]).status()?.success())
            });
            server.finish()?;
            if visitor? { Ok(()) } else { Err("the visitor failed".into()) }
        };
        let interfaces = vec!["uplink".to_owned(), "port".to_owned()];
        let options = LiveCaptureOptions { interfaces, ..options() };
        capture_by(&options, "tcp dst port 8080 or tcp dst port 80", usize::MAX, visit)
            .map_err(|error| text(&error))
    })?;
    accounted(&outcome, outcome.seen.len())?;
    let visitors: BTreeSet<_> = outcome.seen.iter().map(|seen| seen.pid).collect();
    let of_one = visitors.len() == 1 && !visitors.contains(&None);
    if !of_one || visitors.contains(&Some(std::process::id())) {
        return Err(format!("not of the visitor: {:?}", outcome.seen).into());
    }
    // Each interface carries at least the handshake, the data and the end.
    let ways = |way: Direction| outcome.seen.iter().filter(|seen| seen.direction == Some(way)).count();
    if ways(Direction::In) < 4 || ways(Direction::Out) < 4 {
        return Err(format!("too few: {:?}", outcome.seen).into());
    }
    Ok(())
}

/// Datagrams and replies of one flow.
struct Exchange {
    client: UdpSocket,
    server: UdpSocket,
    host: Arc<Place>,
    _others: [Place; 3],
}

impl Exchange {
    fn new(places: Places) -> Result<Self, Failed> {
        let Places { guest, host, far, router } = places;
        let server = far.run(|| UdpSocket::bind("10.7.0.2:0"))?;
        let client = guest.run(|| UdpSocket::bind("10.9.0.2:0"))?;
        client.connect(server.local_addr()?)?;
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        Ok(Self { client, server, host: Arc::new(host), _others: [guest, far, router] })
    }

    fn once(&self) -> Result<(), Failed> {
        self.client.send(&[1; 100])?;
        let (_, from) = self.server.recv_from(&mut [0; 200])?;
        self.server.send_to(&[2; 100], from)?;
        self.client.recv(&mut [0; 200])?;
        Ok(())
    }
}

fn text(error: &Failed) -> String {
    error.message().unwrap_or_default().to_owned()
}

fn masquerading() -> Result<Places, Failed> {
    Places::translating("postrouting", "oifname uplink masquerade")
}
