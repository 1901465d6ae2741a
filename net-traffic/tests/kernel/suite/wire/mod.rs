//! The balance: known traffic over interfaces in new namespaces, and each byte in its category.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a trial fails by panicking")]

mod arrivals;
mod between;
mod device;
mod frames;
mod layers;
pub(super) mod place;
mod remains;
mod sheet;
pub(super) mod traffic;

use std::net::IpAddr;
use std::path::Path;

use aya::programs::TcAttachType;
use libtest_mimic::{Completion, Failed, Trial};
use net_traffic_model::Direction;

use self::device::{Losses, retransmits, without_offloads};
use self::place::Place;
use self::sheet::Tool;
use self::traffic::{tcp, udp};
use super::skips::{Reason, skip};

const MB: usize = 1 << 20;

/// The body of a trial. It panics on failure.
type Body = fn() -> Result<(), Reason>;

const TRIALS: &[(&str, Body)] = &[
    ("tcp", tcp_v4),
    ("tcp_without_offloads", tcp_without_offloads),
    ("tcp_v6", tcp_v6),
    ("udp", udp_v4),
    ("udp_v6", udp_v6),
    ("udp_in_fragments", udp_in_fragments),
    ("loopback", loopback),
    ("lost_on_the_way", between::lost_on_the_way),
    ("lost_without_offloads", between::lost_without_offloads),
    ("lost_behind_us", lost_behind_us),
    ("bridged", between::bridged),
    ("bridged_without_offloads", between::bridged_without_offloads),
    ("bridged_with_losses", between::bridged_with_losses),
    ("bridged_datagrams", between::bridged_datagrams),
    ("bridge_with_an_address", between::bridge_with_an_address),
    ("routed", between::routed),
    ("translated", between::translated),
    ("translated_with_losses", between::translated_with_losses),
    ("new_interface", new_interface),
    ("frames", frames::frames),
    ("arrivals", arrivals::arrivals),
    ("dropped_before_the_stack", arrivals::dropped_before_the_stack),
    ("vlan", layers::vlan),
    ("vlan_in_band", layers::vlan_in_band),
    ("vlan_in_band_without_offloads", layers::vlan_in_band_without_offloads),
    ("vxlan", layers::vxlan),
    ("vxlan_moved", layers::vxlan_moved),
    ("gre", layers::gre),
    ("gretap", layers::gretap),
    ("ipip", layers::ipip),
    ("wireguard", layers::wireguard),
    ("wireguard_moved", layers::wireguard_moved),
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

/// The tool for NAT rules.
pub(super) fn nft() -> Result<&'static str, Reason> {
    const NFT: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];
    let found = NFT.into_iter().find(|path| Path::new(path).exists());
    found.ok_or_else(|| Reason::Tool("nft", "no such program".into()))
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// Two namespaces connected by the veth pair `a` and `b`.
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
    // The interface counts the headers of each segment.
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
    // Client and server are in one namespace, each on its own thread.
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

/// A filter of another program drops packets that the interface has counted.
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

/// A new interface is counted from the next reading on.
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
