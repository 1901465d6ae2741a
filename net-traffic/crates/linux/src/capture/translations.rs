//! Copies the NAT translations of conntrack to a map of the programs. With the map a program finds the owner of an
//! answer to a translated packet, even if no packet of the connection has been captured.
//!
//! A thread reads conntrack events, so that no packet waits for them.

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

use self::message::{DESTROYED, LIST, NEW, Translation};
use crate::netlink::Netlink;
use crate::netns::NetNs;

/// The file exists if conntrack is loaded
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/netfilter/nf_conntrack_standalone.c#L627>).
const CONNTRACK_COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// The multicast groups of created and destroyed connections, as bits.
const GROUPS: u32 = 1 << (libc::NFNLGRP_CONNTRACK_NEW - 1) | 1 << (libc::NFNLGRP_CONNTRACK_DESTROY - 1);

/// The thread; a drop ends it.
pub(super) struct Translations {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Translations {
    /// Whether conntrack is loaded. A netlink request would load the module
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/net/netfilter/nfnetlink.c#L236>).
    pub(super) fn is_tracking(netns: &NetNs) -> bool {
        netns.run(|| Path::new(CONNTRACK_COUNT).exists()).unwrap_or(false)
    }

    /// Writes the existing translations to `map`, and starts the thread, which writes new ones.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn follow(map: Map, netns: &NetNs) -> io::Result<Self> {
        let open = || netns.run(|| Netlink::open(SockProtocol::NetlinkNetFilter))?;
        let (table, events) = (open()?, open()?);
        events.join(GROUPS)?;
        let map = KernelMap::try_from(map).map_err(io::Error::other)?;
        // The thread ends when the write end is closed. O_CLOEXEC keeps the descriptor from child processes.
        let (wait, stop) = pipe2(OFlag::O_CLOEXEC)?;
        let mut follower = Follower { map, table, events, wait };
        follower.read_table()?;
        let thread = std::thread::Builder::new().name("translations".into()).spawn(move || {
            while follower.recv_notifications()?.is_continue() {}
            Ok(())
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// The error that ended the thread; `None` after the first call.
    pub(super) fn refusal(&mut self) -> Option<io::Error> {
        let ended = self.thread.take_if(|thread| thread.is_finished())?;
        // The panic handler has printed a panic.
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
    /// The flow of an arriving packet, and the flow that its receiver reads.
    map: KernelMap<MapData, Flow, Flow>,
    table: Netlink,
    events: Netlink,
    wait: OwnedFd,
}

impl Follower {
    /// Waits for conntrack events and copies them. Breaks when [`Translations`] is dropped.
    fn recv_notifications(&mut self) -> io::Result<ControlFlow<()>> {
        let mut ready = [self.events.as_fd(), self.wait.as_fd()].map(|of| PollFd::new(of, PollFlags::POLLIN));
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if ready[1].revents().is_some_and(|events| !events.is_empty()) {
            return Ok(ControlFlow::Break(()));
        }
        let Self { map, events, .. } = self;
        let complete = events.drain_events(|kind, payload| {
            for translation in message::translations(payload) {
                match kind {
                    NEW => insert(map, translation),
                    // The LRU map may have evicted the entry already.
                    DESTROYED => drop(map.remove(&translation.arriving)),
                    _ => {}
                }
            }
        });
        if !complete? {
            self.read_table()?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Dumps the conntrack table.
    fn read_table(&mut self) -> io::Result<()> {
        let mut found = Vec::new();
        self.table.dump(LIST, &message::EVERY_FAMILY, &mut found, |payload| {
            let translations: Vec<_> = message::translations(payload).collect();
            Ok(if translations.is_empty() { None } else { Some(translations) })
        })?;
        for translation in found.into_iter().flatten() {
            insert(&mut self.map, translation);
        }
        Ok(())
    }
}

/// An LRU map evicts an entry instead of refusing one. Packets of an evicted connection may have no process.
fn insert(map: &mut KernelMap<MapData, Flow, Flow>, translation: Translation) {
    let _inserted = map.insert(translation.arriving, translation.delivered, 0);
}
