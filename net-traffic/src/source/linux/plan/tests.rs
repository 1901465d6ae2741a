//! What is decided when programs are refused.

use super::*;

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
    let all = SLOTS
        .iter()
        .chain(WIRE_SLOTS)
        .chain([&DESCENDANTS, &ARRIVAL])
        .flat_map(|slot| slot.hooks)
        .flat_map(|hook| hook.programs);
    assert!(all.clone().all(|program| program.name.len() <= 15));
    // What crosses an interface has one program for both of its attach points.
    let mut programs: Vec<_> = all.filter(|program| !matches!(program.attach, Attach::Clsact(_))).collect();
    programs.sort_by_key(|program| program.name);
    programs.dedup_by(|a, b| a == b);
    assert!(programs.windows(2).all(|pair| pair[0].name != pair[1].name));
}
