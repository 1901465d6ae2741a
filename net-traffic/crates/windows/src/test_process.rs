//! Processes that tests start.

use std::process::{Child, Command, Output, Stdio};

/// Wine now and then refuses to start a process while others are started (1359, an internal error).
const TRIES: usize = 5;

/// A process that lists the tests and ends.
pub(super) fn brief() -> Child {
    let mut command = own();
    spawn(command.arg("--list").stdout(Stdio::null()))
}

pub(super) fn spawn(command: &mut Command) -> Child {
    (0..TRIES).find_map(|_| command.spawn().ok()).expect("a process starts")
}

/// What a command says and how it ends.
pub(super) fn output(command: &mut Command) -> Output {
    (0..TRIES).find_map(|_| command.output().ok()).expect("a process starts")
}

/// This program, as a command.
pub(super) fn own() -> Command {
    Command::new(std::env::current_exe().unwrap())
}
