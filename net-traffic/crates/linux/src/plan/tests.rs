//! The decision after refusals, and the agreement of the plan with the object.

use std::collections::BTreeSet;
use std::sync::Arc;

use aya_obj::Object;
use net_traffic_common::packet::{CaptureSettings, NetnsAddress};
use net_traffic_common::{
    Flow, IfaceBytes, IfaceKey, ProcessCounters, ProcessKey, SocketCounters, XdpRxCounters,
};

use super::*;
use crate::load::OBJECT;

/// The programs that only `capture` loads.
const CAPTURE: &[&str] = &[
    "nt_capture_in",
    "nt_capture_out",
    "nt_capture_xdp",
    "nt_cache_owner",
    "nt_creator_cg",
    "nt_own_sfast_tp",
    "nt_own_rfast_tp",
    "nt_own_send_tp",
    "nt_own_recv_tp",
    "nt_fd_owners",
    "nt_cap_fork_tp",
];

fn slot(name: &str) -> &'static Slot {
    SLOTS.iter().find(|slot| slot.name == name).unwrap()
}

fn fill_with(name: &str, tiers: &[Tier], storage: Storage, refused: &[&str]) -> Filled {
    fill(slot(name), tiers, storage, &mut |program| {
        if refused.contains(&program.name) { refuse(&format!("no {}", program.name)) } else { Ok(()) }
    })
}

fn refuse(reason: &str) -> Attempt {
    Err(Arc::new(std::io::Error::other(reason)))
}

fn refusals(filled: &Filled) -> Vec<String> {
    filled.refusals.iter().map(Refusal::to_string).collect()
}

#[test]
fn first_attachable_hook_is_taken_refusals_are_kept() {
    let both = [Tier::TpBtf, Tier::Fentry];
    let filled = fill_with("tcp_send", &both, Storage::InSocket, &[]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "nt_send_fast_tp");
    assert!(filled.refusals.is_empty());

    let filled = fill_with("tcp_send", &both, Storage::InSocket, &["nt_send_fast_tp"]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "nt_send_tp");
    assert_eq!(refusals(&filled), ["nt_send_fast_tp: no nt_send_fast_tp"]);

    let filled = fill_with("tcp_send", &both, Storage::InSocket, &["nt_send_fast_tp", "nt_send_tp"]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "nt_tcp_send_fx");

    let filled =
        fill_with("tcp_send", &both, Storage::InSocket, &["nt_send_fast_tp", "nt_send_tp", "nt_tcp_send_fx"]);
    assert!(filled.hook.is_none() && !filled.holds());
}

#[test]
fn hook_with_one_refused_program_is_skipped() {
    let filled = fill_with("udp_send", &[Tier::Fentry], Storage::InSocket, &["nt_udp6_send_fx"]);
    assert!(filled.hook.is_none());
    assert_eq!(filled.refusals.len(), 1);
}

#[test]
fn storage_selects_the_walk_program() {
    let filled = fill_with("sockets", &[Tier::Kprobe], Storage::ByAddress, &[]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "nt_iter_by_addr");
    let filled = fill_with("sockets", &[Tier::TpBtf], Storage::InSocket, &[]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "nt_iter_sockets");
}

#[test]
fn empty_optional_slot_holds() {
    assert!(fill_with("process_exit", &[Tier::TpBtf], Storage::InSocket, &["nt_exit_tp"]).holds());
}

#[test]
fn refused_tcx_falls_back_to_clsact() {
    let filled =
        fill(&INTERFACE_SLOTS[0], &[Tier::TpBtf], Storage::InSocket, &mut |program| match program.attach {
            Attach::Tcx(_) => refuse("invalid argument"),
            _ => Ok(()),
        });
    let status = filled.status();
    assert_eq!(status.tier.as_deref(), Some("clsact"));
    assert_eq!(status.reason.as_deref(), Some("nt_ingress: invalid argument"));
}

#[test]
fn program_names_are_short_and_unique() {
    let all = programs();
    assert!(programs().all(|program| program.name.len() <= 15));
    // One program serves tcx and clsact.
    let mut programs: Vec<_> = all.filter(|program| !matches!(program.attach, Attach::Clsact(_))).collect();
    programs.sort_by_key(|program| program.name);
    programs.dedup_by(|a, b| a == b);
    assert!(programs.windows(2).all(|pair| pair[0].name != pair[1].name));
}

#[test]
fn object_programs_equal_planned_programs() {
    let object = Object::parse(OBJECT).unwrap();
    let there: BTreeSet<&str> = object.programs.keys().map(String::as_str).collect();
    let planned: BTreeSet<&str> =
        programs().map(|program| program.name).chain(CAPTURE.iter().copied()).collect();
    assert_eq!(there, planned);
}

#[test]
fn object_maps_have_the_shared_types() {
    let object = Object::parse(OBJECT).unwrap();
    let sizes = |name: &str| (object.maps[name].key_size() as usize, object.maps[name].value_size() as usize);
    assert_eq!(sizes("nt_processes"), (size_of::<ProcessKey>(), size_of::<ProcessCounters>()));
    assert_eq!(sizes("nt_sockets"), (size_of::<i32>(), size_of::<SocketCounters>()));
    assert_eq!(sizes("nt_socks_addr"), (size_of::<u64>(), size_of::<SocketCounters>()));
    assert_eq!(sizes("nt_iface_bytes"), (size_of::<IfaceKey>(), size_of::<IfaceBytes>()));
    assert_eq!(sizes("nt_xdp_rx_bytes"), (size_of::<u32>(), size_of::<XdpRxCounters>()));
    assert_eq!(sizes("nt_addr_netns"), (size_of::<NetnsAddress>(), size_of::<u32>()));
    assert_eq!(sizes("nt_nat_flows"), (size_of::<Flow>(), size_of::<Flow>()));
}

#[test]
fn unused_map_has_one_entry() {
    let object = Object::parse(OBJECT).unwrap();
    let entries = |usage: &MapUse| -> Vec<(&str, u32)> {
        MAPS.iter().map(|map| (map.name, (map.entries)(usage))).filter(|(_, entries)| *entries > 1).collect()
    };
    assert!(MAPS.iter().all(|map| object.maps.contains_key(map.name)));
    let bare = entries(&MapUse::capture(CaptureSettings::default(), false));
    assert_eq!(bare, [("nt_closed_socks", 65_536), ("nt_open_socks", 65_536), ("nt_lost_packets", 1024)]);
    let options = LoadOptions { descendants: 5, ..LoadOptions::default() };
    let counting = MapUse { options, storage: Some(Storage::ByAddress), interfaces: false, owners: true };
    let names: Vec<_> = entries(&counting).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["nt_processes", "nt_descendants", "nt_closed_socks", "nt_open_socks", "nt_socks_addr", "nt_calls"]
    );
}

#[test]
fn missing_function_takes_no_slot() {
    assert_eq!(optional_slots(|_| false).count(), 0);
    let names: Vec<_> = optional_slots(|name| name == "ip_append_page").map(|slot| slot.name).collect();
    assert_eq!(names, ["udp_pages"]);
    let slot = optional_slots(|name| name == "tcp_sendpage").next().unwrap();
    for (storage, program) in [(Storage::InSocket, "nt_tcp_page_fx"), (Storage::ByAddress, "nt_tcp_page_kp")]
    {
        let filled = fill(slot, &[Tier::Kprobe], storage, &mut |_| Ok(()));
        assert_eq!(filled.hook.unwrap().programs[0].name, program);
    }
}

#[test]
fn kprobe_tier_is_offered_on_x86_64_only() {
    assert_eq!(attempts(Tier::Auto, "x86_64"), [vec![Tier::TpBtf, Tier::Fentry], vec![Tier::Kprobe]]);
    assert_eq!(attempts(Tier::Auto, "aarch64"), [vec![Tier::TpBtf, Tier::Fentry]]);
    assert!(attempts(Tier::Kprobe, "aarch64").is_empty());
    assert!(unsupported(Tier::Kprobe, "aarch64").unwrap().contains("x86-64"));
    for tier in [Tier::Auto, Tier::TpBtf, Tier::Fentry, Tier::Polling] {
        assert_eq!(unsupported(tier, "aarch64"), None);
    }
}
