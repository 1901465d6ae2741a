//! The balance sheet: known traffic over interfaces of our own, and every byte of them in its part.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a trial fails by panicking")]

mod device;
mod place;
mod remains;
mod sheet;
mod traffic;

use std::net::IpAddr;
use std::path::Path;

use aya::programs::TcAttachType;
use libtest_mimic::{Completion, Failed, Trial};
use net_traffic::model::Direction;

use self::device::{Losses, retransmits, without_offloads};
use self::place::Place;
use self::sheet::Tool;
use self::traffic::{tcp, udp};
use super::skips::{Reason, skip};

const MB: usize = 1 << 20;

/// A trial's body: panics where something is wrong.
type Body = fn() -> Result<(), Reason>;

const TRIALS: &[(&str, Body)] = &[
    ("tcp", tcp_v4),
    ("tcp_without_offloads", tcp_without_offloads),
    ("tcp_v6", tcp_v6),
    ("udp", udp_v4),
    ("udp_v6", udp_v6),
    ("udp_in_fragments", udp_in_fragments),
    ("loopback", loopback),
    ("lost_on_the_way", lost_on_the_way),
    ("lost_behind_us", lost_behind_us),
    ("bridged", bridged),
    ("bridge_with_an_address", bridge_with_an_address),
    ("routed", routed),
    ("translated", translated),
    ("new_interface", new_interface),
    ("killed", remains::killed),
    ("foreign_filter", remains::foreign_filter),
];

pub(super) fn trials() -> impl Iterator<Item = Trial> {
    TRIALS
        .iter()
        .map(|(name, body)| Trial::ignorable_test(format!("wire::{name}"), move || play(name, *body)))
}

fn play(name: &str, body: Body) -> Result<Completion, Failed> {
    match body() {
        Ok(()) => Ok(Completion::Completed),
        Err(reason) => skip(&format!("wire::{name}"), &reason),
    }
}

fn place() -> Result<Place, Reason> {
    Place::new().map_err(Reason::Rights)
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// Two places with a wire between them: `a` on the one, `b` on the other.
fn pair() -> Result<(Place, Place), Reason> {
    let (one, other) = (place()?, place()?);
    one.connect("a", &other, "b");
    one.sh("ip addr add 10.7.0.1/24 dev a\nip addr add fd07::1/64 dev a nodad");
    other.sh("ip addr add 10.7.0.2/24 dev b\nip addr add fd07::2/64 dev b nodad");
    Ok((one, other))
}

fn tcp_v4() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let mut tool = Tool::watch(&one);
    tcp(&one, &other, ip("10.7.0.2"), 8 * MB + 1, 3 * MB + 7);
    tcp(&other, &one, ip("10.7.0.1"), 5, 11);
    tool.read().carries("a", 3 * MB + 12, 8 * MB + 12);
    Ok(())
}

fn tcp_without_offloads() -> Result<(), Reason> {
    let (one, other) = pair()?;
    without_offloads(&one, "a");
    without_offloads(&other, "b");
    let mut tool = Tool::watch(&one);
    tcp(&one, &other, ip("10.7.0.2"), 4 * MB, 2 * MB);
    let sheet = tool.read();
    sheet.carries("a", 2 * MB, 4 * MB);
    // Each segment has its own headers, and the interface counts them.
    let least = (4 * MB / 1448 * 66) as u64;
    assert!(sheet.line("a", Direction::Tx).overhead >= least);
    Ok(())
}

fn tcp_v6() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let mut tool = Tool::watch(&one);
    tcp(&one, &other, ip("fd07::2"), 2 * MB, MB);
    tool.read().carries("a", MB, 2 * MB);
    Ok(())
}

fn udp_v4() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let mut tool = Tool::watch(&one);
    udp(&one, &other, ip("10.7.0.2"), 1000, 500);
    udp(&other, &one, ip("10.7.0.1"), 1, 100);
    tool.read().carries("a", 500_100, 500_100);
    Ok(())
}

fn udp_v6() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let mut tool = Tool::watch(&one);
    udp(&one, &other, ip("fd07::2"), 1200, 300);
    tool.read().carries("a", 360_000, 360_000);
    Ok(())
}

fn udp_in_fragments() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let mut tool = Tool::watch(&one);
    udp(&one, &other, ip("10.7.0.2"), 9000, 50);
    udp(&one, &other, ip("fd07::2"), 9000, 50);
    tool.read().carries("a", 900_000, 900_000);
    Ok(())
}

fn loopback() -> Result<(), Reason> {
    let (one, server) = (place()?, ip("127.0.0.1"));
    let mut tool = Tool::watch(&one);
    // Client and server are in one place, each on its own thread.
    let inside = one.run(move || {
        let listener = std::net::TcpListener::bind((server, 0)).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let reader = std::thread::spawn(move || std::io::copy(&mut accepted, &mut std::io::sink()).unwrap());
        std::io::Write::write_all(&mut client, &vec![b'u'; 3 * MB]).unwrap();
        drop(client);
        reader.join().unwrap()
    });
    assert_eq!(inside, 3 * MB as u64);
    tool.read().carries("lo", 3 * MB, 3 * MB);
    Ok(())
}

/// Packets are lost between the two places, in both directions: what is sent again is overhead, each byte of payload
/// counts once, and what comes in another order too.
fn lost_on_the_way() -> Result<(), Reason> {
    let (middle, left, right) = routes()?;
    right.sh("ip route add default via 10.7.2.9");
    let losses = Losses::new();
    losses.on(&middle, "l", TcAttachType::Ingress);
    losses.on(&middle, "r", TcAttachType::Ingress);
    let mut tool = Tool::watch(&left);
    tcp(&left, &right, ip("10.7.2.2"), 8 * MB, 8 * MB);
    let sheet = tool.read();
    let again = (retransmits(&left), retransmits(&right));
    assert!(again.0 > 0 && again.1 > 0, "too little was lost: {again:?}");
    sheet.carries("a", 8 * MB, 8 * MB);
    Ok(())
}

/// Another program's filter drops what the interface has received and counted.
fn lost_behind_us() -> Result<(), Reason> {
    let (one, other) = pair()?;
    let losses = Losses::new();
    losses.on(&one, "a", TcAttachType::Ingress);
    let mut tool = Tool::watch(&one);
    tcp(&other, &one, ip("10.7.0.1"), 4 * MB, 5);
    let sheet = tool.read();
    assert!(retransmits(&other) > 0, "nothing was lost");
    sheet.carries("a", 4 * MB, 5);
    Ok(())
}

/// A place with two others behind it.
fn between() -> Result<(Place, Place, Place), Reason> {
    let (middle, left, right) = (place()?, place()?, place()?);
    middle.connect("l", &left, "a");
    middle.connect("r", &right, "b");
    Ok((middle, left, right))
}

fn bridge() -> Result<(Place, Place, Place), Reason> {
    let (middle, left, right) = (place()?, place()?, place()?);
    // A bridge floods what IPv6 sends by itself to find routers and neighbours: rightly forwarded, but not ours to expect.
    for place in [&middle, &left, &right] {
        place.set("ipv6/conf/default/disable_ipv6", "1");
    }
    middle.connect("l", &left, "a");
    middle.connect("r", &right, "b");
    middle.sh("ip link add name br type bridge
        ip link set dev l master br
        ip link set dev r master br
        ip link set dev br up
        ip addr add 10.7.0.9/24 dev br");
    left.sh("ip addr add 10.7.0.1/24 dev a");
    right.sh("ip addr add 10.7.0.2/24 dev b");
    Ok((middle, left, right))
}

fn bridged() -> Result<(), Reason> {
    let (middle, left, right) = bridge()?;
    let mut tool = Tool::watch(&middle);
    tcp(&left, &right, ip("10.7.0.2"), 2 * MB, MB);
    udp(&left, &right, ip("10.7.0.2"), 1000, 100);
    let sheet = tool.read();
    sheet.forwards("l", 2 * MB + 100_000, MB + 100_000);
    sheet.forwards("r", MB + 100_000, 2 * MB + 100_000);
    sheet.carries("br", 0, 0);
    Ok(())
}

/// The bridge's own traffic is the process's on the bridge and on its port; each of them balances.
fn bridge_with_an_address() -> Result<(), Reason> {
    let (middle, left, _right) = bridge()?;
    let mut tool = Tool::watch(&middle);
    tcp(&left, &middle, ip("10.7.0.9"), 2 * MB, MB);
    let sheet = tool.read();
    sheet.carries("br", 2 * MB, MB);
    sheet.carries("l", 2 * MB, MB);
    Ok(())
}

fn routes() -> Result<(Place, Place, Place), Reason> {
    let (middle, left, right) = between()?;
    middle.sh("ip addr add 10.7.1.9/24 dev l\nip addr add 10.7.2.9/24 dev r");
    middle.set("ipv4/ip_forward", "1");
    left.sh("ip addr add 10.7.1.1/24 dev a\nip route add default via 10.7.1.9");
    right.sh("ip addr add 10.7.2.2/24 dev b");
    Ok((middle, left, right))
}

fn routed() -> Result<(), Reason> {
    let (middle, left, right) = routes()?;
    right.sh("ip route add default via 10.7.2.9");
    // A server here on the same port, for any address, has no part in it.
    let mut tool = Tool::watch(&middle);
    let listener = middle.run(|| std::net::TcpListener::bind("0.0.0.0:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    right.run(move || drop(std::net::TcpListener::bind(("10.7.2.2", port)).unwrap()));
    left.run(move || {
        let refused = std::net::TcpStream::connect(("10.7.2.2", port)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
    tcp(&left, &right, ip("10.7.2.2"), 2 * MB, MB);
    udp(&left, &right, ip("10.7.2.2"), 1000, 100);
    let sheet = tool.read();
    sheet.forwards("l", 2 * MB + 100_000, MB + 100_000);
    sheet.forwards("r", MB + 100_000, 2 * MB + 100_000);
    drop(listener);
    Ok(())
}

/// The right place sees only the middle's address, and what comes back is addressed to that.
fn translated() -> Result<(), Reason> {
    const NFT: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];
    let Some(nft) = NFT.iter().find(|path| Path::new(path).exists()) else {
        return Err(Reason::Tool("nft", "no such program".into()));
    };
    let (middle, left, right) = routes()?;
    middle.sh(&format!(
        "{nft} add table ip n
        {nft} add chain ip n post {{ type nat hook postrouting priority 100 ; }}
        {nft} add rule ip n post oifname r masquerade"
    ));
    let mut tool = Tool::watch(&middle);
    tcp(&left, &right, ip("10.7.2.2"), 2 * MB, MB);
    udp(&left, &right, ip("10.7.2.2"), 1000, 100);
    let sheet = tool.read();
    sheet.forwards("l", 2 * MB + 100_000, MB + 100_000);
    sheet.forwards("r", MB + 100_000, 2 * MB + 100_000);
    Ok(())
}

/// An interface that comes while the tool runs is followed from the next reading on.
fn new_interface() -> Result<(), Reason> {
    let (one, other) = (place()?, place()?);
    let mut tool = Tool::watch(&one);
    tool.read();
    one.connect("a", &other, "b");
    one.sh("ip addr add 10.7.0.1/24 dev a");
    other.sh("ip addr add 10.7.0.2/24 dev b");
    tool.read();
    tcp(&one, &other, ip("10.7.0.2"), MB, MB);
    tool.read().carries("a", MB, MB);
    one.sh("ip link del dev a");
    tool.read();
    Ok(())
}
