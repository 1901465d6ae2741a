//! Which connections are translated, as the kernel tracks them: the programs are told, so that they know whose the answers
//! are when nothing of the connection was captured before. A thread follows what the kernel tells; no packet waits for it.

mod message;

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;

use aya::maps::{HashMap as KernelMap, Map, MapData};
use net_traffic_common::Flow;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::SockProtocol;
use nix::unistd::pipe2;

use self::message::{DESTROYED, LIST, NEW};
use crate::netlink::Netlink;
use crate::netns::NetNs;

/// It is there where connections are tracked.
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// Those who are told of new ones, and of destroyed ones.
const GROUPS: u32 = 1 | 4;

/// Dropping it ends the thread.
pub(super) struct Translations {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Translations {
    /// Whether there may be any. To ask further where there are none would have the kernel load what tracks them.
    pub(super) fn may_be(netns: &NetNs) -> bool {
        netns.run(|| Path::new(TRACKED).exists()).unwrap_or(false)
    }

    /// Tells the programs of those that there are, and then of each that comes.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn follow(map: Map, netns: &NetNs) -> io::Result<Self> {
        let open = || netns.run(|| Netlink::open(SockProtocol::NetlinkNetFilter))?;
        let (table, told) = (open()?, open()?);
        told.join(GROUPS)?;
        let map = KernelMap::try_from(map).map_err(io::Error::other)?;
        // Not for the processes that we start: the thread ends when the last descriptor is closed.
        let (wait, stop) = pipe2(OFlag::O_CLOEXEC)?;
        let mut follower = Follower { map, table, told, wait };
        follower.read_table()?;
        let thread = std::thread::Builder::new().name("translations".into()).spawn(move || {
            while follower.turn()?.is_continue() {}
            Ok(())
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Why nothing is followed any more; once.
    pub(super) fn refusal(&mut self) -> Option<io::Error> {
        let ended = self.thread.take_if(|thread| thread.is_finished())?;
        // A panic has said itself what it was.
        ended.join().ok()?.err()
    }
}

impl Drop for Translations {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

struct Follower {
    /// What arrives, and what its receiver gets.
    map: KernelMap<MapData, Flow, Flow>,
    table: Netlink,
    told: Netlink,
    wait: OwnedFd,
}

impl Follower {
    /// Waits for news, until nobody wants them any more.
    fn turn(&mut self) -> io::Result<ControlFlow<()>> {
        let mut ready = [self.told.as_fd(), self.wait.as_fd()].map(|of| PollFd::new(of, PollFlags::POLLIN));
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if ready[1].revents().is_some_and(|events| !events.is_empty()) {
            return Ok(ControlFlow::Break(()));
        }
        let Self { map, told, .. } = self;
        let heard_all = told.drain_events(|kind, payload| {
            for (arriving, delivered) in message::translations(payload) {
                match kind {
                    NEW => tell(map, arriving, delivered),
                    // The programs may have forgotten it already.
                    DESTROYED => drop(map.remove(&arriving)),
                    _ => {}
                }
            }
        });
        if !heard_all? {
            self.read_table()?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// All that there are.
    fn read_table(&mut self) -> io::Result<()> {
        let mut found = Vec::new();
        self.table.dump(LIST, &message::EVERY_FAMILY, &mut found, |payload| {
            let translations: Vec<_> = message::translations(payload).collect();
            Ok(if translations.is_empty() { None } else { Some(translations) })
        })?;
        for (arriving, delivered) in found.into_iter().flatten() {
            tell(&mut self.map, arriving, delivered);
        }
        Ok(())
    }
}

/// The map forgets what was used least: that costs a name.
fn tell(map: &mut KernelMap<MapData, Flow, Flow>, arriving: Flow, delivered: Flow) {
    let _told = map.insert(arriving, delivered, 0);
}
