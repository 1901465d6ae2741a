//! Every end in a process of its own, which leaves a file behind if it did what it had to.

use std::path::PathBuf;

use windows_sys::Win32::System::Console::{CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT};

use super::*;
use crate::test_process;

/// Tells the process how to end, and where to leave its file.
const WAY: &str = "NET_TRAFFIC_TEST_END";
const FILE: &str = "NET_TRAFFIC_TEST_FILE";

/// Ends a process in this way; how often it did what it had to, and its status.
fn done_by(way: &str) -> (usize, Option<i32>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("done");
    let mut command = test_process::own();
    command
        .args(["--exact", "source::windows::at_end::tests::a_process_that_is_told_how_to_end"])
        .env(WAY, way)
        .env(FILE, &file);
    let output = test_process::output(&mut command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("running 1 test"), "{text}");
    (std::fs::read(&file).map_or(0, |octets| octets.len()), output.status.code())
}

/// Not by itself: the tests below start it.
#[test]
fn a_process_that_is_told_how_to_end() {
    let (Ok(way), Some(file)) = (std::env::var(WAY), std::env::var_os(FILE).map(PathBuf::from)) else {
        return;
    };
    let act = move || {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&file);
        file.unwrap().write_all(b"x").unwrap();
    };
    let at_end = AtEnd::new(act).unwrap();
    // SAFETY: it is called as the system does, with a number.
    let tell = |event| assert_eq!(unsafe { take(event) }, 0, "others in the list are called, too");
    match way.as_str() {
        "exit" => exit(7),
        "panic" => panic!("as it should"),
        "panic elsewhere" => {
            let panicking = std::thread::spawn(|| panic!("as it should"));
            assert!(panicking.join().is_err());
        }
        "close" => tell(CTRL_CLOSE_EVENT),
        "logoff" => tell(CTRL_LOGOFF_EVENT),
        "shutdown" => tell(CTRL_SHUTDOWN_EVENT),
        "twice" => {
            tell(CTRL_CLOSE_EVENT);
            exit(7);
        }
        "interrupt" => [CTRL_C_EVENT, CTRL_BREAK_EVENT].map(tell).into_iter().for_each(drop),
        "drop" => {
            drop(at_end);
            exit(7);
        }
        "return" => {
            unsafe extern "C" {
                fn exit(status: i32) -> !;
            }
            // SAFETY: what the C library does when `main` returns.
            unsafe { exit(7) }
        }
        other => panic!("no way to end: {other}"),
    }
}

#[test]
fn an_exit_does_it() {
    assert_eq!(done_by("exit"), (1, Some(7)));
}

#[test]
fn the_return_of_main_does_it() {
    assert_eq!(done_by("return"), (1, Some(7)));
}

#[test]
fn a_panic_does_it_on_every_thread() {
    assert_eq!(done_by("panic").0, 1);
    assert_eq!(done_by("panic elsewhere"), (1, Some(0)));
}

#[test]
fn the_end_of_console_user_and_system_do_it() {
    for way in ["close", "logoff", "shutdown"] {
        assert_eq!(done_by(way), (1, Some(0)), "{way}");
    }
}

#[test]
fn it_is_done_once() {
    assert_eq!(done_by("twice"), (1, Some(7)));
}

#[test]
fn who_is_interrupted_ends_by_itself_and_who_has_ended_does_nothing() {
    assert_eq!(done_by("interrupt"), (0, Some(0)));
    assert_eq!(done_by("drop"), (0, Some(7)));
}
