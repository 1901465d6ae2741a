//! Looks up this process and processes that the tests start.

use super::*;
use crate::test_process;

#[test]
fn own_process_has_name_user_and_start() {
    let mut processes = Processes::default();
    let id = processes.current_id(std::process::id());
    assert!(id.start_ticks != 0);
    assert_eq!(processes.current_id(std::process::id()), id);
    let listed = processes.report(&HashSet::from([id]), None);
    assert_eq!(listed.len(), 1);
    let own = std::env::current_exe().unwrap();
    assert_eq!(listed[0].name, own.file_stem().unwrap().to_string_lossy());
    assert!(listed[0].user.as_ref().is_some_and(|user| !user.is_empty()));
    assert!(!listed[0].exited);
}

#[test]
fn event_shortly_before_start_belongs_to_the_process() {
    let pid = std::process::id();
    let mut processes = Processes::default();
    processes.begin_snapshot();
    let own = processes.current_id(pid);
    let started = processes.current[&pid].started;
    // Within the difference of the clocks.
    assert_eq!(processes.process_at(pid, started - 100_000), own);
    assert_ne!(processes.process_at(pid, started - 100_000_000), own);
    // An earlier owner of the PID has precedence.
    let before = identity(pid, Some(started - 1_000_000));
    let process = Process { exited: false, ..unknown_process(before) };
    let entry = Entry { process, started: started - 1_000_000, handle: None, exists: true, reported: true };
    processes.ended.push(entry);
    assert_eq!(processes.process_at(pid, started - 100_000), before);
    assert_eq!(processes.process_at(pid, started - 1_100_000), before);
}

#[test]
fn process_inserted_twice_has_not_ended() {
    let pid = std::process::id();
    let new_process = || NewProcess { pid, handle: Handle::of_process(pid).unwrap() };
    let mut processes = Processes::default();
    processes.insert_new(new_process());
    let own = processes.current_id(pid);
    processes.insert_new(new_process());
    let reported = processes.report(&HashSet::from([own]), None);
    assert!(reported.len() == 1 && !reported[0].exited && reported[0].id == own, "{reported:?}");
}

#[test]
fn event_before_start_belongs_to_another_process() {
    let mut processes = Processes::default();
    let id = processes.current_id(std::process::id());
    let before = processes.process_at(std::process::id(), 1);
    assert_ne!(before, id);
    assert_eq!(before.pid, id.pid);
}

#[test]
fn ended_process_is_reported_once() {
    let mut child = test_process::brief();
    let mut processes = Processes::default();
    let id = processes.current_id(child.id());
    assert_eq!(processes.report(&HashSet::from([id]), None).len(), 1);
    child.wait().unwrap();
    processes.begin_snapshot();
    let ended = processes.report(&HashSet::new(), None);
    assert!(ended.len() == 1 && ended[0].exited && ended[0].id == id);
    assert!(processes.report(&HashSet::new(), None).is_empty());
}

#[test]
fn ended_process_with_late_bytes_keeps_its_name() {
    let mut child = test_process::brief();
    let mut processes = Processes::default();
    let id = processes.current_id(child.id());
    let counted = |rx| HashMap::from([(id, Bytes { rx, tx: 0 })]);
    let name = processes.report(&HashSet::new(), Some(&counted(1)))[0].name.clone();
    assert_ne!(name, UNKNOWN);
    child.wait().unwrap();
    processes.begin_snapshot();
    assert!(processes.report(&HashSet::new(), Some(&counted(2)))[0].exited);
    assert!(processes.report(&HashSet::new(), Some(&counted(2))).is_empty());
    let late = processes.report(&HashSet::new(), Some(&counted(3)));
    assert!(late.len() == 1 && late[0].name == name);
}

#[test]
fn name_is_the_file_name_without_exe() {
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

/// An ended process whose open handle reserves its PID.
fn ended() -> (std::process::Child, NewProcess) {
    let mut child = test_process::brief();
    let (pid, handle) = (child.id(), Handle::of_process(child.id()).unwrap());
    child.wait().unwrap();
    (child, NewProcess { pid, handle })
}

#[test]
fn ended_process_with_an_open_handle_is_found() {
    let (_child, new_process) = ended();
    let id = identity(new_process.pid, new_process.handle.started());
    assert_ne!(id.start_ticks, 0);
    let mut processes = Processes::default();
    processes.insert_new(new_process);
    processes.begin_snapshot();
    let time = i64::MAX - 1;
    assert_eq!(processes.process_at(id.pid, time), id);
    let reported = processes.report(&HashSet::from([id]), None);
    assert!(reported.len() == 1 && reported[0].exited && reported[0].id == id, "{reported:?}");
}

#[test]
fn late_events_belong_to_the_reported_process() {
    // No process has this PID: PIDs are multiples of four.
    const PID: u32 = u32::MAX;
    const STARTED: i64 = 133_000_000_000_000_000;
    let id = identity(PID, Some(STARTED));
    let mut processes = Processes::default();
    let process = Process { exited: false, ..unknown_process(id) };
    processes.ended.push(Entry { process, started: STARTED, handle: None, exists: true, reported: true });
    assert_eq!(processes.report(&HashSet::from([id]), None).len(), 1);
    processes.begin_snapshot();
    for _ in 0..2 {
        assert_eq!(processes.process_at(PID, STARTED + 1), id);
    }
    // Not the owner of an event before its start, nor the current owner of the PID.
    assert_ne!(processes.process_at(PID, STARTED - 100_000_000), id);
    assert_ne!(processes.current_id(PID), id);
}

#[test]
fn reused_pid_gets_only_its_own_events() {
    let pid = std::process::id();
    let mut processes = Processes::default();
    let own = processes.current_id(pid);
    let started = processes.current[&pid].started;
    let before = identity(pid, Some(started - 1_000_000));
    let process = Process { exited: false, ..unknown_process(before) };
    let entry = Entry { process, started: started - 1_000_000, handle: None, exists: true, reported: true };
    processes.ended.push(entry);
    for _ in 0..2 {
        assert_eq!(processes.process_at(pid, started), own);
        assert_eq!(processes.process_at(pid, started - 1), before);
        assert_ne!(processes.process_at(pid, started - 100_000_000), before);
        processes.report(&HashSet::new(), None);
        processes.begin_snapshot();
    }
}
