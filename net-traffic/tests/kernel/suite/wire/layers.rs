//! Stacked interfaces: VLANs and tunnels. The bytes of each and of its lower device add up.

use std::path::Path;

use super::device::{with_tags_in_band, without_offloads};
use super::place::Place;
use super::traffic::{tcp, udp};
use super::{MB, ip, pair, place};
use crate::suite::skips::{Kind, Reason};
use crate::suite::wire::sheet::Tool;

const VLAN: Kind = Kind { name: "vlan", function: "vlan_setup" };
const VXLAN: Kind = Kind { name: "vxlan", function: "vxlan_setup" };
const GRE: Kind = Kind { name: "gre", function: "ipgre_tunnel_setup" };
const GRETAP: Kind = Kind { name: "gretap", function: "ipgre_tap_setup" };
const WIREGUARD: Kind = Kind { name: "wireguard", function: "wg_setup" };
const IPIP: Kind = Kind { name: "ipip", function: "ipip_tunnel_setup" };

/// With VLAN offload the tag is in skb->vlan_tci, and the lower device does not count it.
pub(super) fn vlan() -> Result<(), Reason> {
    tagged(|_, _| {})
}

/// Without offload the tag is in the packet, and both devices count it.
pub(super) fn vlan_in_band() -> Result<(), Reason> {
    tagged(|one, other| {
        with_tags_in_band(one, "a");
        with_tags_in_band(other, "b");
    })
}

pub(super) fn vlan_in_band_without_offloads() -> Result<(), Reason> {
    tagged(|one, other| {
        with_tags_in_band(one, "a");
        with_tags_in_band(other, "b");
        without_offloads(one, "a");
        without_offloads(other, "b");
    })
}

fn tagged(prepare: fn(&Place, &Place)) -> Result<(), Reason> {
    let (one, other) = pair()?;
    prepare(&one, &other);
    add(&one, VLAN, "ip link add link a name top type vlan id 7")?;
    add(&other, VLAN, "ip link add link b name top type vlan id 7")?;
    let mut tool = address_and_watch(&one, &other);
    talk(&one, &other);
    let sheet = tool.read();
    sheet.carries("top", MB + 100_000, 2 * MB + 100_000);
    sheet.carries("a", MB + 100_000, 2 * MB + 100_000);
    Ok(())
}

/// VXLAN: frames in datagrams of kernel sockets.
pub(super) fn vxlan() -> Result<(), Reason> {
    tunnelled(VXLAN, vxlan_line)
}

fn vxlan_line(own: &str, peer: &str, below: &str) -> String {
    format!("ip link add name top type vxlan id 7 local {own} remote {peer} dstport 4789 dev {below}")
}

pub(super) fn gre() -> Result<(), Reason> {
    tunnelled(GRE, |own, peer, _| format!("ip link add name top type gre local {own} remote {peer}"))
}

pub(super) fn gretap() -> Result<(), Reason> {
    tunnelled(GRETAP, |own, peer, _| format!("ip link add name top type gretap local {own} remote {peer}"))
}

pub(super) fn ipip() -> Result<(), Reason> {
    tunnelled(IPIP, |own, peer, _| format!("ip link add name top type ipip local {own} remote {peer}"))
}

/// The keys of both ends: private, public.
const KEYS: [[&str; 2]; 2] = [
    ["YKfaGSh9sj3cpV7VBNT/5AQ2fLlHiD3o5VRbzENMm1Q=", "L20CrJj6DoGmerXTL3pQWxqLinmWoOVsrZKVd/CKGGU="],
    ["0EZksNs1/kpyKxjkjrs6bA5o2kBy5+jEhxTlyHuhzno=", "EBZkleCvHS29nqvSukJ28YFPde1RPt8OGlQWvOmMDyo="],
];

/// WireGuard: datagrams of kernel sockets at a configured port.
pub(super) fn wireguard() -> Result<(), Reason> {
    let (one, other) = pair()?;
    guard(&one, &other)?;
    tunnel_carries(&one, &other);
    Ok(())
}

/// A tunnel device moved to another namespace keeps its socket in the first one.
pub(super) fn wireguard_moved() -> Result<(), Reason> {
    let (one, other) = pair()?;
    guard(&one, &other)?;
    moved_carries(&one, &other)
}

pub(super) fn vxlan_moved() -> Result<(), Reason> {
    let (one, other) = pair()?;
    add(&one, VXLAN, &vxlan_line("10.7.0.1", "10.7.0.2", "a"))?;
    add(&other, VXLAN, &vxlan_line("10.7.0.2", "10.7.0.1", "b"))?;
    moved_carries(&one, &other)
}

fn moved_carries(one: &Place, other: &Place) -> Result<(), Reason> {
    let container = place()?;
    one.give("top", &container);
    container.sh("ip link set dev top up\nip addr add 10.8.0.1/24 dev top");
    other.sh("ip link set dev top up\nip addr add 10.8.0.2/24 dev top");
    let mut tool = Tool::watch(one);
    talk(&container, other);
    tool.read().serves_kernel("a", MB + 100_000, 2 * MB + 100_000);
    Ok(())
}

/// Makes both ends of a tunnel.
fn guard(one: &Place, other: &Place) -> Result<(), Reason> {
    if !Path::new("/usr/bin/wg").exists() {
        return Err(Reason::Tool("wg", "no such program".into()));
    }
    for (place, [private, _], [_, public], peer) in
        [(one, KEYS[0], KEYS[1], "10.7.0.2"), (other, KEYS[1], KEYS[0], "10.7.0.1")]
    {
        add(place, WIREGUARD, "ip link add name top type wireguard")?;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), private).unwrap();
        let secret = file.path().display();
        place.sh(&format!(
            "wg set top private-key {secret} listen-port 51820 peer {public} allowed-ips 0.0.0.0/0 \
             endpoint {peer}:51820"
        ));
    }
    Ok(())
}

/// On the tunnel the bytes belong to the process, on the lower device to the kernel.
fn tunnelled(kind: Kind, line: fn(&str, &str, &str) -> String) -> Result<(), Reason> {
    let (one, other) = pair()?;
    add(&one, kind, &line("10.7.0.1", "10.7.0.2", "a"))?;
    add(&other, kind, &line("10.7.0.2", "10.7.0.1", "b"))?;
    tunnel_carries(&one, &other);
    Ok(())
}

fn tunnel_carries(one: &Place, other: &Place) {
    let mut tool = address_and_watch(one, other);
    talk(one, other);
    let sheet = tool.read();
    sheet.carries("top", MB + 100_000, 2 * MB + 100_000);
    sheet.serves_kernel("a", MB + 100_000, 2 * MB + 100_000);
}

fn add(place: &Place, kind: Kind, line: &str) -> Result<(), Reason> {
    place.attempt(line).map_err(|refusal| Reason::Kind(kind, refusal))
}

fn address_and_watch(one: &Place, other: &Place) -> Tool {
    one.sh("ip link set dev top up\nip addr add 10.8.0.1/24 dev top");
    other.sh("ip link set dev top up\nip addr add 10.8.0.2/24 dev top");
    Tool::watch(one)
}

fn talk(one: &Place, other: &Place) {
    tcp(one, other, ip("10.8.0.2"), 2 * MB, MB);
    udp(one, other, ip("10.8.0.2"), 1000, 100);
}
