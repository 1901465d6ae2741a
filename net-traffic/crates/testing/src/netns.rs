//! Runs a test in a network namespace of its own.

use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::skip;

/// Runs `test` in a thread with a new network namespace, where loopback is up. Other threads keep their namespace. Skips
/// where the process may not make a namespace.
pub fn in_new_netns(name: &str, test: impl FnOnce() + Send) {
    let entered = thread::scope(|scope| {
        let inside = scope.spawn(|| enter().map(|()| test()));
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    if let Err(reason) = entered {
        skip(&format!("{name}: {reason}"));
    }
}

fn enter() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("a network namespace: {error}"))?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    match up {
        Ok(status) if status.success() => Ok(()),
        outcome => Err(format!("ip link set lo up: {outcome:?}")),
    }
}
