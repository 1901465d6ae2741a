//! A process of a case: it plays its part when told, and tells what it moved.
//!
//! Its life: `Prepared` → (`Go`: the tracer runs) → `Done` with the truth → (`End`) → sockets close, it exits.

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cases::cases;
use super::channel::Channel;
use super::error::{Attempt, Feature, TrafficError};
use super::link::Link;
use super::truth::{Moved, Tally, this_process};
use net_traffic_snapshot::ProcessId;

/// The hidden first argument; after it come the case's name and the role's.
pub(super) const ACT: &str = "traffic-actor";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    Go,
    End,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Prepared,
    Done(Vec<Moved>),
    Unsupported(Feature, String),
    Failed(String),
    /// The other process went away: the failure to report is that one's.
    Hangup,
}

/// Plays a part if the command line says so, and gives the status to exit with.
///
/// Every program that uses a [`Stage`](super::Stage) calls it first thing in `main`, before it starts a thread: the
/// stage starts its actors by running the program again.
#[must_use]
pub fn act_if_told() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ACT {
        return None;
    }
    let (case, role) = (arguments.next()?, arguments.next()?);
    Some(if act(&case, &role).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Errors have been answered already where there is somebody to answer to.
fn act(case: &str, role: &str) -> Result<(), TrafficError> {
    let case = cases()
        .find(|known| known.name == case)
        .ok_or_else(|| TrafficError::Broken(format!("no case {case}")))?;
    let part = if role == "client" { case.client } else { case.server };
    // The stage passes the way to itself as standard input, and through that the way to the other process.
    let control = std::io::stdin().as_fd().try_clone_to_owned().attempt("duplicate standard input")?;
    let stage = Channel::from(control);
    let peer = Channel::from(stage.take()?);
    let mut actor = Actor::new(role.to_owned(), stage, peer)?;
    actor.perform(|actor| {
        if !case.older {
            actor.tracer_starts()?;
        }
        part(actor)
    })
}

/// One process, with every socket that it ever used.
pub(super) struct Actor {
    name: String,
    process: ProcessId,
    stage: Channel,
    peer: Channel,
    tallies: Vec<Arc<Tally>>,
    children: Vec<Child>,
}

/// How long a forked process lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Until the stage finishes.
    Whole,
    /// It exits as soon as it has done its work.
    Brief,
}

struct Child {
    pid: Pid,
    channel: Channel,
}

impl Actor {
    fn new(name: String, stage: Channel, peer: Channel) -> Result<Self, TrafficError> {
        // Nothing may outlive the stage, however that ends.
        set_pdeathsig(Signal::SIGKILL).attempt("ask for a signal when the parent dies")?;
        Ok(Self { name, process: this_process()?, stage, peer, tallies: vec![], children: vec![] })
    }

    /// Everything moved so far is older than the tracer. Only a case that says `older` calls it in its parts.
    pub(super) fn tracer_starts(&mut self) -> Result<(), TrafficError> {
        for tally in &self.tallies {
            tally.tracer_starts();
        }
        self.stage.tell(&Answer::Prepared)?;
        self.obey(Order::Go)
    }

    pub(super) fn tell<T: Serialize>(&mut self, message: &T) -> Result<(), TrafficError> {
        self.peer.tell(message)
    }

    pub(super) fn hear<T: DeserializeOwned>(&mut self) -> Result<T, TrafficError> {
        self.peer.hear()
    }

    /// Lets the other process go on from where it waits.
    pub(super) fn signal(&mut self) -> Result<(), TrafficError> {
        self.tell(&())
    }

    /// Goes on when the other process signals.
    pub(super) fn wait(&mut self) -> Result<(), TrafficError> {
        self.hear()
    }

    pub(super) fn record(&mut self, tally: Tally) -> Arc<Tally> {
        let tally = Arc::new(tally);
        self.tallies.push(Arc::clone(&tally));
        tally
    }

    /// The same socket in this process, on this process's record: for a link that a forked process inherited.
    pub(super) fn share(&mut self, inherited: &Link) -> Result<Link, TrafficError> {
        let descriptor = inherited.as_fd().try_clone_to_owned().attempt("duplicate a socket")?;
        self.meter(descriptor)
    }

    /// Starts a process with a copy of everything, open sockets included; both go on at once. What it moved becomes
    /// part of this process's answer. Only for an actor without threads.
    pub(super) fn fork(
        &mut self,
        life: Life,
        work: impl FnOnce(&mut Self) -> Result<Vec<Link>, TrafficError>,
    ) -> Result<(), TrafficError> {
        let (ours, theirs) = Channel::pair()?;
        let peer = self.peer.another()?;
        // SAFETY: an actor has one thread whenever it forks, so the child finds no lock held.
        match unsafe { fork() }.attempt("fork")? {
            ForkResult::Parent { child } => {
                self.children.push(Child { pid: child, channel: ours });
                Ok(())
            }
            ForkResult::Child => {
                drop(ours);
                let name = format!("{}'s child", self.name);
                let performed = Self::new(name, theirs, peer).and_then(|mut child| match life {
                    Life::Whole => child.perform(work),
                    Life::Brief => child.tell_truth(work).map(drop),
                });
                // SAFETY: it only ends the process; what the parent has buffered or must drop stays the parent's.
                unsafe { libc::_exit(i32::from(performed.is_err())) }
            }
        }
    }

    /// A descriptor for the process that was forked last, and the taking of it there.
    pub(super) fn pass_to_child(&self, link: &Link) -> Result<(), TrafficError> {
        let child = self.children.last().ok_or_else(|| TrafficError::Broken("no child".to_owned()))?;
        child.channel.pass(link.as_fd())
    }

    pub(super) fn take_from_parent(&mut self) -> Result<Link, TrafficError> {
        let descriptor = self.stage.take()?;
        self.meter(descriptor)
    }

    fn perform(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<Vec<Link>, TrafficError>,
    ) -> Result<(), TrafficError> {
        let kept = self.tell_truth(part)?;
        self.obey(Order::End)?;
        drop(kept);
        for mut child in self.children.drain(..) {
            // A brief one is gone already, and so is its end of the channel.
            drop(child.channel.tell(&Order::End));
            waitpid(child.pid, None).attempt("wait for a forked process")?;
        }
        Ok(())
    }

    fn obey(&mut self, expected: Order) -> Result<(), TrafficError> {
        let order: Order = self.stage.hear()?;
        if order == expected {
            return Ok(());
        }
        Err(TrafficError::Broken(format!("told to {order:?} when only {expected:?} makes sense")))
    }

    fn tell_truth(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<Vec<Link>, TrafficError>,
    ) -> Result<Vec<Link>, TrafficError> {
        let played = part(self).and_then(|kept| Ok((kept, self.truth()?)));
        let answer = match &played {
            Ok((_kept, truth)) => Answer::Done(truth.clone()),
            Err(TrafficError::Unsupported { feature, reason }) => {
                Answer::Unsupported(*feature, reason.clone())
            }
            Err(TrafficError::Hangup) => Answer::Hangup,
            Err(error) => Answer::Failed(error.to_string()),
        };
        self.stage.tell(&answer)?;
        played.map(|(kept, _truth)| kept)
    }

    /// What this process and those that it forked have moved.
    fn truth(&mut self) -> Result<Vec<Moved>, TrafficError> {
        let mut truth: Vec<Moved> =
            self.tallies.iter().map(|tally| tally.told_by(&self.name, self.process)).collect();
        for child in &mut self.children {
            truth.extend(child.channel.hear::<Answer>()?.into_truth(&self.name)?);
        }
        Ok(truth)
    }
}

impl Answer {
    pub(super) fn into_truth(self, who: &str) -> Result<Vec<Moved>, TrafficError> {
        match self {
            Self::Done(truth) => Ok(truth),
            Self::Unsupported(feature, reason) => Err(TrafficError::Unsupported { feature, reason }),
            Self::Failed(message) => Err(TrafficError::Broken(format!("{who}: {message}"))),
            Self::Hangup => Err(TrafficError::Hangup),
            Self::Prepared => Err(TrafficError::Broken(format!("{who} waits for the tracer a second time"))),
        }
    }
}

/// Time that a part lets pass, so that a peer gets to wait or a process grows a little old.
pub(super) fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}
