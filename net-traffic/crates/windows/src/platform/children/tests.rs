//! Runs commands of `cmd.exe`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::connections::Connections;
use crate::platform::descendants;
use crate::processes::Processes;
use crate::test_process;
use net_traffic_snapshot::{Collector, SocketFilter};
use net_traffic_snapshot::{ProcessId, Snapshot};

fn ended(children: &mut Children) -> Progress {
    for _ in 0..600 {
        match children.wait(Duration::from_millis(100)).unwrap() {
            Progress::Running | Progress::Outlived => {}
            end => return end,
        }
    }
    panic!("the command does not end");
}

/// Serializes the tests that read or extend the global set of descendants.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn wait_includes_the_processes_the_command_started() {
    let _alone = alone();
    let before = descendants::members();
    let mut children = Children::adopt().unwrap();
    let (command, members) = run_nested(&mut children, &before, "exit 3");
    assert!(members.iter().any(|member| member.pid == command && member.start_ticks != 0), "{members:?}");
    assert!(members.iter().any(|member| member.pid != command), "{members:?}");
}

/// Runs an outer command that starts the inner one and does not wait for it: the outer PID, and the new descendants.
fn run_nested(children: &mut Children, before: &[ProcessId], inner: &str) -> (u32, Vec<ProcessId>) {
    let line = ["cmd", "/c", "start", "/b", "cmd", "/c", inner].map(OsString::from);
    children.start(&line).unwrap();
    let command = children.command.as_ref().unwrap().id();
    assert_eq!(ended(children), Progress::Over);
    assert_eq!(children.status(), Some(0));
    let mut members = descendants::members();
    members.retain(|member| !before.contains(member));
    (command, members)
}

#[test]
fn reused_pid_of_a_descendant_is_no_descendant() {
    let _alone = alone();
    let children = Children::adopt().unwrap();
    // As if the job had reported a process that has ended, and this process had its PID now.
    let pid = std::process::id();
    record(&children.job, pid);
    let own = Processes::default().current_id(pid);
    assert!(!descendants::contains(own));
    let mut connections = Connections::new(SocketFilter::default(), None, true);
    let mut snapshot = Snapshot::default();
    connections.collect(&mut snapshot).unwrap();
    assert!(!snapshot.traced.contains(&own), "{:?}", snapshot.traced);
    assert!(
        snapshot.traced.iter().any(|traced| traced.pid == pid),
        "the bytes of the ended process are traced"
    );
}

#[test]
fn status_is_the_exit_code_of_the_command() {
    let _alone = alone();
    let mut children = Children::adopt().unwrap();
    children.start(&["cmd", "/c", "exit 7"].map(OsString::from)).unwrap();
    assert_eq!(ended(&mut children), Progress::Over);
    assert_eq!(children.status(), Some(7));
}

#[test]
fn job_without_messages_ends_when_empty() {
    let _alone = alone();
    let before = descendants::members();
    let mut children = Children::adopt().unwrap();
    // The job sends its messages to a port that the test does not read.
    let unread = std::mem::replace(&mut children.port, Children::adopt().unwrap().port);
    let (command, members) = run_nested(&mut children, &before, "ping -n 3 127.0.0.1");
    assert!(members.iter().any(|member| member.pid != command && member.start_ticks != 0), "{members:?}");
    drop(unread);
}

#[test]
fn resume_of_an_ended_process_finds_no_thread() {
    let mut child = test_process::brief();
    child.wait().unwrap();
    assert_eq!(resume(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn unknown_command_has_status_127() {
    let mut children = Children::adopt().unwrap();
    let refused = children.start(&["no-such-command".into()]).unwrap_err();
    assert_eq!(refused.status(), 127);
}
