//! Plays one case: starts its two processes, stops them where a tracer starts and where it reads, and ends them.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::case::Case;
use super::channel::Channel;
use super::error::{Attempt, TrafficError};
use super::ground_truth::Transfer;
use super::launch::WORKER;
use super::worker::{Instruction, Reply};

/// Both processes of one case. They run in the network namespace of the thread that prepared the run. `finish` or
/// drop ends them.
pub struct CaseRun {
    workers: [Process; 2],
}

struct Process {
    role: &'static str,
    child: Child,
    channel: Channel,
}

impl CaseRun {
    /// Starts the processes and plays the part of the case before the tracer, which is empty in most cases.
    ///
    /// # Errors
    /// [`TrafficError::Unsupported`] when the kernel lacks a feature of the case; others when a call fails.
    pub fn prepare(case: &Case) -> Result<Self, TrafficError> {
        let (one, other) = Channel::pair()?;
        let mut run =
            Self { workers: [Process::start(case, "client", one)?, Process::start(case, "server", other)?] };
        run.collect(|reply, role| match reply {
            Reply::Prepared => Ok(vec![]),
            Reply::Done(_) => Err(TrafficError::Unexpected(format!("{role} did not wait for the tracer"))),
            failure => failure.into_transfers(role),
        })?;
        Ok(run)
    }

    /// Moves the bytes and returns the ground truth. Sockets that it lists as open stay open until `finish`.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn run(&mut self) -> Result<Vec<Transfer>, TrafficError> {
        self.instruct(Instruction::Start)?;
        self.collect(Reply::into_transfers)
    }

    /// Closes every socket and ends every process. The ground truth stays valid.
    ///
    /// # Errors
    /// When a process fails.
    pub fn finish(mut self) -> Result<(), TrafficError> {
        self.instruct(Instruction::Finish)?;
        for worker in &mut self.workers {
            // The channel ends with the process, and reading it has a time-out; wait() has none.
            match worker.channel.receive::<Reply>() {
                Err(TrafficError::PeerExited) => {}
                Err(error) => return Err(error),
                Ok(reply) => return Err(TrafficError::Unexpected(format!("{}: {reply:?}", worker.role))),
            }
            let status = worker.child.wait().attempt("wait for a process")?;
            if !status.success() {
                return Err(TrafficError::Unexpected(format!("{} ended with {status}", worker.role)));
            }
        }
        Ok(())
    }

    fn instruct(&mut self, instruction: Instruction) -> Result<(), TrafficError> {
        self.workers.iter_mut().try_for_each(|worker| worker.channel.send(&instruction))
    }

    /// Reads one reply of each process in the order of arrival: when one fails, the other may never reply.
    fn collect(
        &mut self,
        judge: impl Fn(Reply, &'static str) -> Result<Vec<Transfer>, TrafficError>,
    ) -> Result<Vec<Transfer>, TrafficError> {
        let mut transfers = vec![];
        let mut peer_exited = false;
        let mut waiting = vec![0, 1];
        while !waiting.is_empty() {
            let next = self.ready(&waiting)?;
            waiting.retain(|index| *index != next);
            let worker = &mut self.workers[next];
            let reply = worker.channel.receive().map_err(|error| match error {
                TrafficError::PeerExited => {
                    TrafficError::Unexpected(format!("{} ended without a reply", worker.role))
                }
                other => other,
            })?;
            match judge(reply, worker.role) {
                Ok(moved) => transfers.extend(moved),
                // The other process has the cause in its own reply.
                Err(TrafficError::PeerExited) => peer_exited = true,
                Err(error) => return Err(error),
            }
        }
        if peer_exited { Err(TrafficError::PeerExited) } else { Ok(transfers) }
    }

    fn ready(&self, waiting: &[usize]) -> Result<usize, TrafficError> {
        let mut ends: Vec<PollFd<'_>> = waiting
            .iter()
            .map(|index| PollFd::new(self.workers[*index].channel.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(step_timeout()).unwrap_or(PollTimeout::MAX);
        poll(&mut ends, timeout).attempt("wait for the processes")?;
        let ready = waiting.iter().zip(&ends).find(|(_, end)| end.any() == Some(true));
        ready.map(|(index, _)| *index).ok_or_else(|| {
            let roles: Vec<_> = waiting.iter().map(|index| self.workers[*index].role).collect();
            TrafficError::Unexpected(format!("no reply of {} in {:?}", roles.join(" and "), step_timeout()))
        })
    }
}

impl Process {
    fn start(case: &Case, role: &'static str, peer: Channel) -> Result<Self, TrafficError> {
        let (channel, theirs) = Channel::pair()?;
        channel.set_timeout(step_timeout())?;
        let child = Command::new("/proc/self/exe")
            .args([WORKER, case.name, role])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .attempt("run this program again")?;
        let process = Self { role, child, channel };
        process.channel.send_descriptor(OwnedFd::from(peer).as_fd())?;
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail after `finish`: the process has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The longest time of one step of a process. `NET_TRAFFIC_SLOW` multiplies it, for an emulated machine.
fn step_timeout() -> Duration {
    let slowness = std::env::var("NET_TRAFFIC_SLOW").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    Duration::from_secs(20).saturating_mul(slowness)
}
