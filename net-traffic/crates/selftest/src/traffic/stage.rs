//! Plays one case: starts its two processes, holds them at the two points where a tracer starts and reads, ends them.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::actor::{ACT, Answer, Order};
use super::case::Case;
use super::channel::Channel;
use super::error::{Attempt, TrafficError};
use super::truth::Moved;

/// Both processes of one case. They run in the network namespace of the thread that prepared the stage; its end, or
/// dropping the stage, ends them.
pub struct Stage {
    actors: [Process; 2],
}

struct Process {
    role: &'static str,
    child: Child,
    channel: Channel,
}

impl Stage {
    /// Starts the processes and has them do what comes before the tracer; most cases do nothing there.
    ///
    /// # Errors
    /// [`TrafficError::Unsupported`] when the kernel lacks what the case needs; others when a call fails.
    pub fn prepare(case: &Case) -> Result<Self, TrafficError> {
        let (one, other) = Channel::pair()?;
        let mut stage =
            Self { actors: [Process::start(case, "client", one)?, Process::start(case, "server", other)?] };
        stage.collect(|answer, role| match answer {
            Answer::Prepared => Ok(vec![]),
            Answer::Done(_) => Err(TrafficError::Broken(format!("{role} did not wait for the tracer"))),
            failure => failure.into_truth(role),
        })?;
        Ok(stage)
    }

    /// Has the traffic flow and returns the truth. Sockets that it says are open stay so until `finish`.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn run(&mut self) -> Result<Vec<Moved>, TrafficError> {
        self.order(Order::Go)?;
        self.collect(Answer::into_truth)
    }

    /// Closes every socket and ends every process; the truth stays the same.
    ///
    /// # Errors
    /// When a process did not end well.
    pub fn finish(mut self) -> Result<(), TrafficError> {
        self.order(Order::End)?;
        for actor in &mut self.actors {
            // The channel's end is the process's: a wait that knows a time-out.
            match actor.channel.hear::<Answer>() {
                Err(TrafficError::Hangup) => {}
                Err(error) => return Err(error),
                Ok(answer) => return Err(TrafficError::Broken(format!("{}: {answer:?}", actor.role))),
            }
            let status = actor.child.wait().attempt("wait for a process")?;
            if !status.success() {
                return Err(TrafficError::Broken(format!("{} ended with {status}", actor.role)));
            }
        }
        Ok(())
    }

    fn order(&mut self, order: Order) -> Result<(), TrafficError> {
        self.actors.iter_mut().try_for_each(|actor| actor.channel.tell(&order))
    }

    /// One answer of each process, in the order in which they come: when one fails, the other may wait for ever.
    fn collect(
        &mut self,
        judge: impl Fn(Answer, &'static str) -> Result<Vec<Moved>, TrafficError>,
    ) -> Result<Vec<Moved>, TrafficError> {
        let mut truth = vec![];
        let mut hangup = false;
        let mut waiting = vec![0, 1];
        while !waiting.is_empty() {
            let next = self.ready(&waiting)?;
            waiting.retain(|index| *index != next);
            let actor = &mut self.actors[next];
            let answer = actor.channel.hear().map_err(|error| match error {
                TrafficError::Hangup => {
                    TrafficError::Broken(format!("{} ended without an answer", actor.role))
                }
                other => other,
            })?;
            match judge(answer, actor.role) {
                Ok(moved) => truth.extend(moved),
                // The other process knows why.
                Err(TrafficError::Hangup) => hangup = true,
                Err(error) => return Err(error),
            }
        }
        if hangup { Err(TrafficError::Hangup) } else { Ok(truth) }
    }

    fn ready(&self, waiting: &[usize]) -> Result<usize, TrafficError> {
        let mut ends: Vec<PollFd<'_>> = waiting
            .iter()
            .map(|index| PollFd::new(self.actors[*index].channel.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(patience()).unwrap_or(PollTimeout::MAX);
        poll(&mut ends, timeout).attempt("wait for the processes")?;
        let ready = waiting.iter().zip(&ends).find(|(_, end)| end.any() == Some(true));
        ready.map(|(index, _)| *index).ok_or_else(|| {
            let roles: Vec<_> = waiting.iter().map(|index| self.actors[*index].role).collect();
            TrafficError::Broken(format!("no answer of {} in {:?}", roles.join(" and "), patience()))
        })
    }
}

impl Process {
    fn start(case: &Case, role: &'static str, peer: Channel) -> Result<Self, TrafficError> {
        let (channel, theirs) = Channel::pair()?;
        channel.limit(patience())?;
        let child = Command::new("/proc/self/exe")
            .args([ACT, case.name, role])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .attempt("run this program again")?;
        let process = Self { role, child, channel };
        process.channel.pass(OwnedFd::from(peer).as_fd())?;
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a good end both find nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How long a process may take for one step. `NET_TRAFFIC_SLOW` multiplies it, for an emulated machine.
fn patience() -> Duration {
    let slowness = std::env::var("NET_TRAFFIC_SLOW").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    Duration::from_secs(20).saturating_mul(slowness)
}
