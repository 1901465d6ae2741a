//! Ends processes in each way, and counts how often their action ran. Each process appends to a file.

use std::path::PathBuf;

use windows_sys::Win32::System::Console::{CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT};

use super::*;
use crate::test_process;

/// How the process ends.
const WAY: &str = "NET_TRAFFIC_TEST_END";
/// The file that the action appends to.
const FILE: &str = "NET_TRAFFIC_TEST_FILE";

/// Starts a process that ends in this way: how often its action ran, and its exit status.
fn end_by(way: &str) -> (usize, Option<i32>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("done");
    let child = concat!(module_path!(), "::child_ends_as_told");
    let (_crate_name, child) = child.split_once("::").unwrap();
    let mut command = test_process::own();
    command.args(["--exact", child]).env(WAY, way).env(FILE, &file);
    let output = test_process::output(&mut command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("running 1 test"), "{text}");
    (std::fs::read(&file).map_or(0, |octets| octets.len()), output.status.code())
}

/// The body of the child processes. Without the variables the test does nothing.
#[test]
fn child_ends_as_told() {
    let (Ok(way), Some(file)) = (std::env::var(WAY), std::env::var_os(FILE).map(PathBuf::from)) else {
        return;
    };
    let action = move || {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&file);
        file.unwrap().write_all(b"x").unwrap();
    };
    let at_end = AtEnd::new(action).unwrap();
    // SAFETY: the handler takes any number.
    let raise =
        |event| assert_eq!(unsafe { on_control_event(event) }, 0, "the event reaches the next handler");
    match way.as_str() {
        "exit" => exit(7),
        "panic" => panic!("as it should"),
        "panic on a thread" => {
            let panicking = std::thread::spawn(|| panic!("as it should"));
            assert!(panicking.join().is_err());
        }
        "close" => raise(CTRL_CLOSE_EVENT),
        "logoff" => raise(CTRL_LOGOFF_EVENT),
        "shutdown" => raise(CTRL_SHUTDOWN_EVENT),
        "twice" => {
            raise(CTRL_CLOSE_EVENT);
            exit(7);
        }
        "interrupt" => [CTRL_C_EVENT, CTRL_BREAK_EVENT].map(raise).into_iter().for_each(drop),
        "drop" => {
            drop(at_end);
            exit(7);
        }
        "return" => {
            unsafe extern "C" {
                fn exit(status: i32) -> !;
            }
            // SAFETY: the C runtime calls this function when `main` returns.
            unsafe { exit(7) }
        }
        other => panic!("no way to end: {other}"),
    }
}

#[test]
fn exit_runs_the_action() {
    assert_eq!(end_by("exit"), (1, Some(7)));
}

#[test]
fn return_of_main_runs_the_action() {
    assert_eq!(end_by("return"), (1, Some(7)));
}

#[test]
fn panic_on_any_thread_runs_the_action() {
    assert_eq!(end_by("panic").0, 1);
    assert_eq!(end_by("panic on a thread"), (1, Some(0)));
}

#[test]
fn close_logoff_and_shutdown_run_the_action() {
    for way in ["close", "logoff", "shutdown"] {
        assert_eq!(end_by(way), (1, Some(0)), "{way}");
    }
}

#[test]
fn two_ends_run_the_action_once() {
    assert_eq!(end_by("twice"), (1, Some(7)));
}

#[test]
fn interrupt_and_drop_do_not_run_the_action() {
    assert_eq!(end_by("interrupt"), (0, Some(0)));
    assert_eq!(end_by("drop"), (0, Some(7)));
}
