//! Commands of Windows's own shell.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::connections::Connections;
use crate::descendants;
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
    panic!("it does not end");
}

/// Whoever looks at who is a descendant must be the only one who makes any.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_command_is_waited_for_with_what_it_starts() {
    let _alone = alone();
    let before = descendants::members();
    let mut children = Children::adopt().unwrap();
    let (command, members) = run_one_that_starts_another(&mut children, &before, "exit 3");
    assert!(members.iter().any(|member| member.pid == command && member.start_ticks != 0), "{members:?}");
    assert!(members.iter().any(|member| member.pid != command), "{members:?}");
}

/// The inner command is started by an outer one, which does not wait for it. Gives the id of that, and who became a
/// descendant.
fn run_one_that_starts_another(
    children: &mut Children,
    before: &[ProcessId],
    inner: &str,
) -> (u32, Vec<ProcessId>) {
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
fn who_has_the_id_of_a_descendant_that_is_gone_is_no_descendant() {
    let _alone = alone();
    let children = Children::adopt().unwrap();
    // The job told of a process that ended before it was looked at, and whose id is this process's by now.
    let pid = std::process::id();
    remember(&children.job, pid);
    let own = Processes::default().now(pid);
    assert!(!descendants::has(own));
    let mut connections = Connections::new(SocketFilter::default(), None, true);
    let mut snapshot = Snapshot::default();
    connections.collect(&mut snapshot).unwrap();
    assert!(!snapshot.traced.contains(&own), "{:?}", snapshot.traced);
    assert!(snapshot.traced.iter().any(|traced| traced.pid == pid), "its own bytes are traced");
}

#[test]
fn the_status_is_that_of_the_command() {
    let _alone = alone();
    let mut children = Children::adopt().unwrap();
    children.start(&["cmd", "/c", "exit 7"].map(OsString::from)).unwrap();
    assert_eq!(ended(&mut children), Progress::Over);
    assert_eq!(children.status(), Some(7));
}

#[test]
fn a_job_that_sends_no_messages_is_over_when_nobody_is_in_it_any_more() {
    let _alone = alone();
    let before = descendants::members();
    let mut children = Children::adopt().unwrap();
    // The job's messages go to a port that nobody reads from.
    let unread = std::mem::replace(&mut children.port, Children::adopt().unwrap().port);
    let (command, members) = run_one_that_starts_another(&mut children, &before, "ping -n 3 127.0.0.1");
    assert!(members.iter().any(|member| member.pid != command && member.start_ticks != 0), "{members:?}");
    drop(unread);
}

#[test]
fn of_a_process_that_is_gone_no_thread_is_let_run() {
    let mut child = test_process::brief();
    child.wait().unwrap();
    assert_eq!(resume(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_command_that_is_not_there_is_refused_as_shells_do() {
    let mut children = Children::adopt().unwrap();
    let refused = children.start(&["no-such-command".into()]).unwrap_err();
    assert_eq!(refused.status(), 127);
}
