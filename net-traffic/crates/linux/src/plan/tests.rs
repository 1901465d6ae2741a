//! What is decided when programs are refused, and that the plan and the object name the same.

use std::collections::BTreeSet;

use aya_obj::Object;
use net_traffic_common::packet::Inside;
use net_traffic_common::{
    ArrivalCounters, Flow, ProcessCounters, ProcessKey, SocketCounters, WireCounters, WireKey,
};

use super::*;
use crate::load::OBJECT;

/// What `capture` loads besides.
const CAPTURE: &[&str] = &[
    "keep_in",
    "keep_out",
    "keep_xdp",
    "learn_in",
    "creator_cgroup",
    "glance_send_tp",
    "glance_recv_tp",
    "holder_send_tp",
    "holder_recv_tp",
    "holders",
    "chosen_fork_tp",
];

fn programs() -> impl Iterator<Item = &'static Program> {
    SLOTS
        .iter()
        .chain(WIRE_SLOTS)
        .chain([&DESCENDANTS, &ARRIVAL])
        .chain(SELDOM.iter().map(|(_, slot)| slot))
        .flat_map(|slot| slot.hooks)
        .flat_map(|hook| hook.programs)
}

fn slot(name: &str) -> &'static Slot {
    SLOTS.iter().find(|slot| slot.name == name).unwrap()
}

fn fill_with(name: &str, tiers: &[Tier], storage: Storage, refused: &[&str]) -> Filled {
    fill(slot(name), tiers, storage, &mut |program| {
        if refused.contains(&program.name) { Err(format!("no {}", program.name)) } else { Ok(()) }
    })
}

#[test]
fn the_first_hook_that_attaches_is_taken_and_refusals_are_kept() {
    let both = [Tier::TpBtf, Tier::Fentry];
    let filled = fill_with("tcp_send", &both, Storage::InSocket, &[]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "send_peek_tp");
    assert!(filled.refusals.is_empty());

    let filled = fill_with("tcp_send", &both, Storage::InSocket, &["send_peek_tp"]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "send_tp");
    assert_eq!(filled.refusals, [Refusal { program: "send_peek_tp", reason: "no send_peek_tp".into() }]);

    let filled = fill_with("tcp_send", &both, Storage::InSocket, &["send_peek_tp", "send_tp"]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "tcp_send_fx");

    let filled = fill_with("tcp_send", &both, Storage::InSocket, &["send_peek_tp", "send_tp", "tcp_send_fx"]);
    assert!(filled.hook.is_none() && !filled.holds());
}

#[test]
fn a_hook_needs_all_its_programs() {
    let filled = fill_with("udp_send", &[Tier::Fentry], Storage::InSocket, &["udp6_send_fx"]);
    assert!(filled.hook.is_none());
    assert_eq!(filled.refusals.len(), 1);
}

#[test]
fn storage_decides_between_hooks_of_every_tier() {
    let filled = fill_with("sockets", &[Tier::Kprobe], Storage::ByAddress, &[]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "harvest_addr");
    let filled = fill_with("sockets", &[Tier::TpBtf], Storage::InSocket, &[]);
    assert_eq!(filled.hook.unwrap().programs[0].name, "harvest");
}

#[test]
fn an_optional_slot_holds_without_a_hook() {
    assert!(fill_with("process_exit", &[Tier::TpBtf], Storage::InSocket, &["exit_tp"]).holds());
}

#[test]
fn the_wire_falls_back_from_tcx_to_clsact_and_says_so() {
    let filled =
        fill(&WIRE_SLOTS[0], &[Tier::TpBtf], Storage::InSocket, &mut |program| match program.attach {
            Attach::Tcx(_) => Err("invalid argument".into()),
            _ => Ok(()),
        });
    let status = filled.status();
    assert_eq!(status.tier.as_deref(), Some("clsact"));
    assert_eq!(status.reason.as_deref(), Some("wire_ingress: invalid argument"));
}

#[test]
fn program_names_fit_the_kernel_and_are_unique_per_attach_point() {
    let all = programs();
    assert!(programs().all(|program| program.name.len() <= 15));
    // What crosses an interface has one program for both of its attach points.
    let mut programs: Vec<_> = all.filter(|program| !matches!(program.attach, Attach::Clsact(_))).collect();
    programs.sort_by_key(|program| program.name);
    programs.dedup_by(|a, b| a == b);
    assert!(programs.windows(2).all(|pair| pair[0].name != pair[1].name));
}

#[test]
fn the_object_has_the_programs_of_the_plan_and_no_others() {
    let object = Object::parse(OBJECT).unwrap();
    let there: BTreeSet<&str> = object.programs.keys().map(String::as_str).collect();
    let planned: BTreeSet<&str> =
        programs().map(|program| program.name).chain(CAPTURE.iter().copied()).collect();
    assert_eq!(there, planned);
}

#[test]
fn the_object_s_maps_hold_what_both_sides_share() {
    let object = Object::parse(OBJECT).unwrap();
    let sizes = |name: &str| (object.maps[name].key_size() as usize, object.maps[name].value_size() as usize);
    assert_eq!(sizes("PROCESSES"), (size_of::<ProcessKey>(), size_of::<ProcessCounters>()));
    assert_eq!(sizes("SOCKETS"), (size_of::<i32>(), size_of::<SocketCounters>()));
    assert_eq!(sizes("SOCKETS_BY_ADDR"), (size_of::<u64>(), size_of::<SocketCounters>()));
    assert_eq!(sizes("WIRE"), (size_of::<WireKey>(), size_of::<WireCounters>()));
    assert_eq!(sizes("ARRIVALS"), (size_of::<u32>(), size_of::<ArrivalCounters>()));
    assert_eq!(sizes("INSIDE"), (size_of::<Inside>(), size_of::<u32>()));
    assert_eq!(sizes("TRANSLATED"), (size_of::<Flow>(), size_of::<Flow>()));
}

#[test]
fn what_a_kernel_lacks_takes_no_slot() {
    assert_eq!(needed(&[]).count(), 0);
    let names: Vec<_> = needed(&["ip_append_page", "something_else"]).map(|slot| slot.name).collect();
    assert_eq!(names, ["udp_pages"]);
    let slot = needed(&["tcp_sendpage"]).next().unwrap();
    for (storage, program) in [(Storage::InSocket, "tcp_page_fx"), (Storage::ByAddress, "tcp_page_kp")] {
        let filled = fill(slot, &[Tier::Kprobe], storage, &mut |_| Ok(()));
        assert_eq!(filled.hook.unwrap().programs[0].name, program);
    }
}

#[test]
fn kprobe_tier_is_offered_on_x86_64_only() {
    assert_eq!(rounds(Tier::Auto, "x86_64"), [vec![Tier::TpBtf, Tier::Fentry], vec![Tier::Kprobe]]);
    assert_eq!(rounds(Tier::Auto, "aarch64"), [vec![Tier::TpBtf, Tier::Fentry]]);
    assert!(rounds(Tier::Kprobe, "aarch64").is_empty());
    assert!(unsupported(Tier::Kprobe, "aarch64").unwrap().contains("x86-64"));
    for tier in [Tier::Auto, Tier::TpBtf, Tier::Fentry, Tier::Polling] {
        assert_eq!(unsupported(tier, "aarch64"), None);
    }
}
