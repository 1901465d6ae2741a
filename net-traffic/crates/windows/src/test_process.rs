//! Starts processes for tests.

use std::process::{Child, Command, Output, Stdio};

/// Wine 8 occasionally fails to start a process while others start (`ERROR_INTERNAL_ERROR`, 1359).
const ATTEMPTS: usize = 5;

/// A process that lists the tests of this binary and ends.
pub(super) fn brief() -> Child {
    let mut command = own();
    spawn(command.arg("--list").stdout(Stdio::null()))
}

pub(super) fn spawn(command: &mut Command) -> Child {
    (0..ATTEMPTS).find_map(|_| command.spawn().ok()).expect("a process starts")
}

pub(super) fn output(command: &mut Command) -> Output {
    (0..ATTEMPTS).find_map(|_| command.output().ok()).expect("a process starts")
}

/// A command that runs this test binary.
pub(super) fn own() -> Command {
    Command::new(std::env::current_exe().unwrap())
}
