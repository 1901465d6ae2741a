//! A process of a case: plays one role and reports the bytes that it moved.
//!
//! Its steps: it sends `Prepared`, waits for `Start` (the tracer runs now), moves bytes, sends `Done` with the ground
//! truth, waits for `Finish`, closes its sockets and exits.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::error::{Attempt, Feature, TrafficError};
use super::ground_truth::{Tally, Transfer, this_process};
use super::metered_socket::MeteredSocket;
use net_traffic_snapshot::ProcessId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Instruction {
    Start,
    Finish,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Prepared,
    Done(Vec<Transfer>),
    Unsupported(Feature, String),
    Failed(String),
    /// The other process exited first; its own reply has the failure to report.
    PeerExited,
}

/// One process, with every socket that it ever used.
pub(super) struct Worker {
    name: String,
    process: ProcessId,
    parent: Channel,
    peer: Channel,
    tallies: Vec<Arc<Tally>>,
    children: Vec<Child>,
}

/// When a forked process exits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ChildExit {
    /// When the run finishes.
    AtFinish,
    /// After its work.
    AfterWork,
}

struct Child {
    pid: Pid,
    channel: Channel,
}

impl Worker {
    pub(super) fn new(name: String, parent: Channel, peer: Channel) -> Result<Self, TrafficError> {
        // No worker outlives the run, also when the run's process is killed.
        set_pdeathsig(Signal::SIGKILL).attempt("ask for a signal when the parent dies")?;
        Ok(Self { name, process: this_process()?, parent, peer, tallies: vec![], children: vec![] })
    }

    /// Waits until the tracer runs; the bytes moved so far are older. Only a case with `starts_before_tracer` calls it.
    pub(super) fn wait_for_tracer(&mut self) -> Result<(), TrafficError> {
        for tally in &self.tallies {
            tally.mark_tracer_start();
        }
        self.parent.send(&Reply::Prepared)?;
        self.expect(Instruction::Start)
    }

    /// Sends a message to the other process of the case.
    pub(super) fn send<T: Serialize>(&mut self, message: &T) -> Result<(), TrafficError> {
        self.peer.send(message)
    }

    /// Waits for a message of the other process.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T, TrafficError> {
        self.peer.receive()
    }

    /// Ends one `wait_for_peer` of the other process.
    pub(super) fn signal_peer(&mut self) -> Result<(), TrafficError> {
        self.send(&())
    }

    pub(super) fn wait_for_peer(&mut self) -> Result<(), TrafficError> {
        self.receive()
    }

    pub(super) fn record(&mut self, tally: Tally) -> Arc<Tally> {
        let tally = Arc::new(tally);
        self.tallies.push(Arc::clone(&tally));
        tally
    }

    /// A socket inherited from the parent, with a tally of this process.
    pub(super) fn share(&mut self, inherited: &MeteredSocket) -> Result<MeteredSocket, TrafficError> {
        let descriptor = inherited.as_fd().try_clone_to_owned().attempt("duplicate a socket")?;
        self.meter(descriptor)
    }

    /// Starts a process with a copy of everything, including open sockets. Both run on at once. The child's transfers
    /// become part of this process's reply. The calling worker must have one thread.
    pub(super) fn fork(
        &mut self,
        exit: ChildExit,
        work: impl FnOnce(&mut Self) -> Result<Vec<MeteredSocket>, TrafficError>,
    ) -> Result<(), TrafficError> {
        let (ours, theirs) = Channel::pair()?;
        let peer = self.peer.try_clone()?;
        // SAFETY: a worker has one thread whenever it forks, so no lock is held in the child.
        match unsafe { fork() }.attempt("fork")? {
            ForkResult::Parent { child } => {
                self.children.push(Child { pid: child, channel: ours });
                Ok(())
            }
            ForkResult::Child => {
                drop(ours);
                let name = format!("{}'s child", self.name);
                let performed = Self::new(name, theirs, peer).and_then(|mut child| match exit {
                    ChildExit::AtFinish => child.perform(work),
                    ChildExit::AfterWork => child.work_and_report(work).map(drop),
                });
                // SAFETY: _exit ends the process without destructors: buffers and guards belong to the parent.
                unsafe { libc::_exit(i32::from(performed.is_err())) }
            }
        }
    }

    /// Sends a descriptor to the process that was forked last.
    pub(super) fn send_to_child(&self, sock: &MeteredSocket) -> Result<(), TrafficError> {
        let child = self.children.last().ok_or_else(|| TrafficError::Unexpected("no child".to_owned()))?;
        child.channel.send_descriptor(sock.as_fd())
    }

    pub(super) fn receive_from_parent(&mut self) -> Result<MeteredSocket, TrafficError> {
        let descriptor = self.parent.receive_descriptor()?;
        self.meter(descriptor)
    }

    pub(super) fn perform(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Vec<MeteredSocket>, TrafficError>,
    ) -> Result<(), TrafficError> {
        let kept_open = self.work_and_report(work)?;
        self.expect(Instruction::Finish)?;
        drop(kept_open);
        for mut child in self.children.drain(..) {
            // Sending fails to a child of `AfterWork`, which has exited.
            drop(child.channel.send(&Instruction::Finish));
            waitpid(child.pid, None).attempt("wait for a forked process")?;
        }
        Ok(())
    }

    fn expect(&mut self, expected: Instruction) -> Result<(), TrafficError> {
        let instruction: Instruction = self.parent.receive()?;
        if instruction == expected {
            return Ok(());
        }
        Err(TrafficError::Unexpected(format!("received {instruction:?} instead of {expected:?}")))
    }

    fn work_and_report(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Vec<MeteredSocket>, TrafficError>,
    ) -> Result<Vec<MeteredSocket>, TrafficError> {
        let worked = work(self).and_then(|kept_open| Ok((kept_open, self.transfers()?)));
        let reply = match &worked {
            Ok((_kept_open, transfers)) => Reply::Done(transfers.clone()),
            Err(TrafficError::Unsupported { feature, reason }) => {
                Reply::Unsupported(*feature, reason.clone())
            }
            Err(TrafficError::PeerExited) => Reply::PeerExited,
            Err(error) => Reply::Failed(error.to_string()),
        };
        self.parent.send(&reply)?;
        worked.map(|(kept_open, _transfers)| kept_open)
    }

    /// The transfers of this process and of the processes that it forked.
    fn transfers(&mut self) -> Result<Vec<Transfer>, TrafficError> {
        let mut transfers: Vec<Transfer> =
            self.tallies.iter().map(|tally| tally.transfer(&self.name, self.process)).collect();
        for child in &mut self.children {
            transfers.extend(child.channel.receive::<Reply>()?.into_transfers(&self.name)?);
        }
        Ok(transfers)
    }
}

impl Reply {
    pub(super) fn into_transfers(self, role: &str) -> Result<Vec<Transfer>, TrafficError> {
        match self {
            Self::Done(transfers) => Ok(transfers),
            Self::Unsupported(feature, reason) => Err(TrafficError::Unsupported { feature, reason }),
            Self::Failed(message) => Err(TrafficError::Unexpected(format!("{role}: {message}"))),
            Self::PeerExited => Err(TrafficError::PeerExited),
            Self::Prepared => {
                Err(TrafficError::Unexpected(format!("{role} waits for the tracer a second time")))
            }
        }
    }
}

/// Lets a peer block, or a process reach a minimum age. No result depends on the length.
pub(super) fn sleep_ms(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}
