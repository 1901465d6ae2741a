//! A namespace between two others bridges, routes or translates their traffic, and packets are lost.

use aya::programs::TcAttachType;

use super::device::{Losses, retransmits, without_offloads};
use super::place::Place;
use super::sheet::Tool;
use super::traffic::{tcp, udp};
use super::{MB, ip, nft, place};
use crate::suite::skips::Reason;

/// Prepares the three namespaces (between, left, right).
type Preparation = fn(&Place, &Place, &Place);

fn as_they_are(_: &Place, _: &Place, _: &Place) {}

/// Disables GSO, so that every device counts segments.
fn segmented(middle: &Place, left: &Place, right: &Place) {
    for (place, interface) in [(middle, "l"), (middle, "r"), (left, "a"), (right, "b")] {
        without_offloads(place, interface);
    }
}

/// Both ends drop one of sixteen received packets.
fn lossy(_: &Place, left: &Place, right: &Place) {
    let losses = Losses::new();
    losses.on(left, "a", TcAttachType::Ingress);
    losses.on(right, "b", TcAttachType::Ingress);
}

fn lossy_and_segmented(middle: &Place, left: &Place, right: &Place) {
    segmented(middle, left, right);
    lossy(middle, left, right);
}

/// Packets are lost in both directions: retransmitted bytes are overhead, and each byte of payload counts once, also
/// after reordering.
pub(super) fn lost_on_the_way() -> Result<(), Reason> {
    lost_when(as_they_are, 8 * MB)
}

/// The same with packets up to the MTU.
pub(super) fn lost_without_offloads() -> Result<(), Reason> {
    lost_when(segmented, MB / 2)
}

fn lost_when(prepare: Preparation, amount: usize) -> Result<(), Reason> {
    let (middle, left, right) = routes()?;
    prepare(&middle, &left, &right);
    right.sh("ip route add default via 10.7.2.9");
    let losses = Losses::new();
    losses.on(&middle, "l", TcAttachType::Ingress);
    losses.on(&middle, "r", TcAttachType::Ingress);
    let mut tool = Tool::watch(&left);
    tcp(&left, &right, ip("10.7.2.2"), amount, amount);
    let sheet = tool.read();
    let again = (retransmits(&left), retransmits(&right));
    assert!(again.0 > 0 && again.1 > 0, "too little was lost: {again:?}");
    sheet.carries("a", amount, amount);
    Ok(())
}

/// A namespace connected to two others.
fn between() -> Result<(Place, Place, Place), Reason> {
    let (middle, left, right) = (place()?, place()?, place()?);
    middle.connect("l", &left, "a");
    middle.connect("r", &right, "b");
    Ok((middle, left, right))
}

fn bridge() -> Result<(Place, Place, Place), Reason> {
    let (middle, left, right) = (place()?, place()?, place()?);
    // A bridge floods IPv6's neighbour and router discovery, which would be forwarded bytes too.
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

pub(super) fn bridged() -> Result<(), Reason> {
    bridged_when(as_they_are, 2 * MB)
}

pub(super) fn bridged_without_offloads() -> Result<(), Reason> {
    bridged_when(segmented, 2 * MB)
}

pub(super) fn bridged_with_losses() -> Result<(), Reason> {
    bridged_when(lossy_and_segmented, MB / 2)
}

fn bridged_when(prepare: Preparation, amount: usize) -> Result<(), Reason> {
    let (middle, left, right) = bridge()?;
    prepare(&middle, &left, &right);
    let mut tool = Tool::watch(&middle);
    tcp(&left, &right, ip("10.7.0.2"), amount, amount / 2);
    let sheet = tool.read();
    sheet.forwards("l", amount, amount / 2);
    sheet.forwards("r", amount / 2, amount);
    sheet.carries("br", 0, 0);
    Ok(())
}

pub(super) fn bridged_datagrams() -> Result<(), Reason> {
    let (middle, left, right) = bridge()?;
    let mut tool = Tool::watch(&middle);
    udp(&left, &right, ip("10.7.0.2"), 1000, 100);
    let sheet = tool.read();
    sheet.forwards("l", 100_000, 100_000);
    sheet.forwards("r", 100_000, 100_000);
    Ok(())
}

/// The bridge's own traffic belongs to the process on the bridge and on its port.
pub(super) fn bridge_with_an_address() -> Result<(), Reason> {
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

pub(super) fn routed() -> Result<(), Reason> {
    let (middle, left, right) = routes()?;
    right.sh("ip route add default via 10.7.2.9");
    // A local server on the same port does not get the bytes.
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

pub(super) fn translated() -> Result<(), Reason> {
    translated_when(as_they_are, 2 * MB)
}

pub(super) fn translated_with_losses() -> Result<(), Reason> {
    translated_when(lossy_and_segmented, MB / 2)
}

/// The right namespace has the address of the middle one only, which receives the replies.
fn translated_when(prepare: Preparation, amount: usize) -> Result<(), Reason> {
    let nft = nft()?;
    let (middle, left, right) = routes()?;
    middle.sh(&format!(
        "{nft} add table ip n
        {nft} add chain ip n post {{ type nat hook postrouting priority 100 ; }}
        {nft} add rule ip n post oifname r masquerade"
    ));
    let mut tool = Tool::watch(&middle);
    udp(&left, &right, ip("10.7.2.2"), 1000, 100);
    prepare(&middle, &left, &right);
    tcp(&left, &right, ip("10.7.2.2"), amount, amount / 2);
    let sheet = tool.read();
    sheet.forwards("l", amount + 100_000, amount / 2 + 100_000);
    sheet.forwards("r", amount / 2 + 100_000, amount + 100_000);
    Ok(())
}
