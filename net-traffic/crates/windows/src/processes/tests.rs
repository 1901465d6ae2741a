//! Processes that the tests started themselves, and this one.

use super::*;
use crate::test_process;

#[test]
fn this_process_has_a_name_a_user_and_a_start() {
    let mut processes = Processes::default();
    let id = processes.now(std::process::id());
    assert!(id.start_ticks != 0);
    assert_eq!(processes.now(std::process::id()), id);
    let listed = processes.report(&HashSet::from([id]), None);
    assert_eq!(listed.len(), 1);
    let own = std::env::current_exe().unwrap();
    assert_eq!(listed[0].name, own.file_stem().unwrap().to_string_lossy());
    assert!(listed[0].user.as_ref().is_some_and(|user| !user.is_empty()));
    assert!(!listed[0].exited);
}

#[test]
fn an_event_a_moment_before_the_start_is_of_whoever_started_then() {
    let pid = std::process::id();
    let mut processes = Processes::default();
    processes.begin();
    let own = processes.now(pid);
    let started = processes.current[&pid].started;
    // The clocks may be so far apart.
    assert_eq!(processes.at(pid, started - 100_000), own);
    assert_ne!(processes.at(pid, started - 100_000_000), own);
    // Of somebody who had the id before it is his.
    let before = identity(pid, Some(started - 1_000_000));
    let process = Process { exited: false, ..gone(before) };
    let known = Known { process, started: started - 1_000_000, handle: None, is_there: true, reported: true };
    processes.ended.push(known);
    assert_eq!(processes.at(pid, started - 100_000), before);
    assert_eq!(processes.at(pid, started - 1_100_000), before);
}

#[test]
fn who_comes_twice_has_not_ended() {
    let pid = std::process::id();
    let newcomer = || Newcomer { pid, handle: Handle::of_process(pid).unwrap() };
    let mut processes = Processes::default();
    processes.adopt(newcomer());
    let own = processes.now(pid);
    processes.adopt(newcomer());
    let told = processes.report(&HashSet::from([own]), None);
    assert!(told.len() == 1 && !told[0].exited && told[0].id == own, "{told:?}");
}

#[test]
fn an_event_before_the_start_is_of_another_process() {
    let mut processes = Processes::default();
    let id = processes.now(std::process::id());
    let before = processes.at(std::process::id(), 1);
    assert_ne!(before, id);
    assert_eq!(before.pid, id.pid);
}

#[test]
fn an_ended_process_is_reported_once() {
    let mut child = test_process::brief();
    let mut processes = Processes::default();
    let id = processes.now(child.id());
    assert_eq!(processes.report(&HashSet::from([id]), None).len(), 1);
    child.wait().unwrap();
    processes.begin();
    let ended = processes.report(&HashSet::new(), None);
    assert!(ended.len() == 1 && ended[0].exited && ended[0].id == id);
    assert!(processes.report(&HashSet::new(), None).is_empty());
}

#[test]
fn an_ended_process_that_was_counted_keeps_its_name_and_is_not_repeated() {
    let mut child = test_process::brief();
    let mut processes = Processes::default();
    let id = processes.now(child.id());
    let counted = |rx| HashMap::from([(id, Bytes { rx, tx: 0 })]);
    let name = processes.report(&HashSet::new(), Some(&counted(1)))[0].name.clone();
    assert_ne!(name, UNKNOWN);
    child.wait().unwrap();
    processes.begin();
    assert!(processes.report(&HashSet::new(), Some(&counted(2)))[0].exited);
    assert!(processes.report(&HashSet::new(), Some(&counted(2))).is_empty());
    let late = processes.report(&HashSet::new(), Some(&counted(3)));
    assert!(late.len() == 1 && late[0].name == name);
}

#[test]
fn names_are_those_of_the_files() {
    for (path, name) in [
        (r"C:\Windows\System32\svchost.exe", "svchost"),
        ("X.EXE", "X"),
        ("System", "System"),
        ("a.b", "a.b"),
        ("é.exe", "é"),
        ("äöü", "äöü"),
        ("", ""),
    ] {
        assert_eq!(short_name(path), name);
    }
}
/// A process that has ended, held so that its id is still its own.
fn ended() -> (std::process::Child, Newcomer) {
    let mut child = test_process::brief();
    let (pid, handle) = (child.id(), Handle::of_process(child.id()).unwrap());
    child.wait().unwrap();
    (child, Newcomer { pid, handle })
}

#[test]
fn who_ended_before_it_was_asked_for_is_known_if_somebody_held_it() {
    let (_child, newcomer) = ended();
    let id = identity(newcomer.pid, newcomer.handle.started());
    assert_ne!(id.start_ticks, 0);
    let mut processes = Processes::default();
    processes.adopt(newcomer);
    processes.begin();
    let time = i64::MAX - 1;
    assert_eq!(processes.at(id.pid, time), id);
    let told = processes.report(&HashSet::from([id]), None);
    assert!(told.len() == 1 && told[0].exited && told[0].id == id, "{told:?}");
}

#[test]
fn events_that_come_after_the_end_was_told_are_those_of_who_ended() {
    // Nobody has this id any more: those of processes are multiples of four.
    const PID: u32 = u32::MAX;
    const STARTED: i64 = 133_000_000_000_000_000;
    let id = identity(PID, Some(STARTED));
    let mut processes = Processes::default();
    let process = Process { exited: false, ..gone(id) };
    processes.ended.push(Known { process, started: STARTED, handle: None, is_there: true, reported: true });
    assert_eq!(processes.report(&HashSet::from([id]), None).len(), 1);
    processes.begin();
    for _ in 0..2 {
        assert_eq!(processes.at(PID, STARTED + 1), id);
    }
    // An event before it began is not its own, and whoever asks for the present does not get the past.
    assert_ne!(processes.at(PID, STARTED - 100_000_000), id);
    assert_ne!(processes.now(PID), id);
}

#[test]
fn who_has_an_id_now_has_its_events_and_not_who_had_it_before() {
    let pid = std::process::id();
    let mut processes = Processes::default();
    let own = processes.now(pid);
    let started = processes.current[&pid].started;
    let before = identity(pid, Some(started - 1_000_000));
    let process = Process { exited: false, ..gone(before) };
    let known = Known { process, started: started - 1_000_000, handle: None, is_there: true, reported: true };
    processes.ended.push(known);
    for _ in 0..2 {
        assert_eq!(processes.at(pid, started), own);
        assert_eq!(processes.at(pid, started - 1), before);
        assert_ne!(processes.at(pid, started - 100_000_000), before);
        processes.report(&HashSet::new(), None);
        processes.begin();
    }
}
