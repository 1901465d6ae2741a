//! A session of the packet monitor: reports the packets of network adapters into a bounded queue.

use std::io;
use std::ptr::null_mut;

use super::api::{ADAPTERS, Api, DataSource, HAS_MAC, Object, Outcome, StreamConfiguration, VERSION};
use super::callbacks::{Context, PacketQueue, on_event, on_packet};
use crate::events::pktmon::MAX_SNAPLEN;
use crate::{narrow, wide};

/// The capacity of the queue in packets.
const QUEUE_CAPACITY: usize = 1 << 14;
/// The size of the monitor's buffer in units of 256 KiB. The maximum is 10.
const BUFFER_MULTIPLIER: u16 = 10;

/// A network adapter in the monitor's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Adapter {
    /// The component IDs that its packets may have.
    pub(super) components: Vec<u16>,
    pub(super) description: String,
    pub(super) mac: Option<[u8; 6]>,
    /// The index in the list.
    pub(super) index: usize,
}

impl Adapter {
    fn of(index: usize, source: &DataSource) -> Self {
        let ids = [source.id, source.secondary_id].into_iter().filter(|id| *id != 0);
        let mac = source.detail.first_chunk().copied();
        Self {
            components: ids.filter_map(|id| u16::try_from(id).ok()).collect(),
            description: narrow(&source.description),
            mac: mac.filter(|_| source.present & HAS_MAC != 0),
            index,
        }
    }

    /// Adds the component IDs of hidden data sources that are the same adapter: packets may have them.
    fn add_components(&mut self, hidden: &[Self]) {
        let same = hidden.iter().filter(|other| self.looks_like(other));
        let ids: Vec<u16> = same.flat_map(|other| other.components.iter().copied()).collect();
        for id in ids {
            if !self.components.contains(&id) {
                self.components.push(id);
            }
        }
    }

    fn looks_like(&self, other: &Self) -> bool {
        self.description == other.description && self.mac == other.mac
    }
}

/// The monitor without a session.
pub(super) struct Monitor {
    api: Api,
    handle: Object,
    /// The list of data sources. It has internal pointers, which the session uses.
    list: Vec<u64>,
}

/// A running session.
pub(super) struct Session {
    monitor: Monitor,
    object: Object,
    stream: Object,
    /// The argument of the callbacks, which lives until the stream is closed.
    context: *mut Context,
}

impl Monitor {
    /// Loads the DLL and lists the adapters.
    pub(super) fn open() -> io::Result<Self> {
        let api = Api::load()?;
        let mut handle = null_mut();
        // SAFETY: the handle is writable.
        done("start the monitor", unsafe { (api.initialize)(VERSION, null_mut(), &raw mut handle) })?;
        let mut monitor = Self { api, handle, list: Vec::new() };
        monitor.list = monitor.enumerate(Sources::Distinct)?;
        Ok(monitor)
    }

    /// The network adapters.
    pub(super) fn adapters(&self) -> Vec<Adapter> {
        // A failure leaves packets of hidden components unassigned. They are counted as foreign.
        let all = self.enumerate(Sources::All).unwrap_or_default();
        merge(listed(&self.list), &listed(&all))
    }

    /// Starts a session that reports the packets of these adapters.
    pub(super) fn start(self, adapters: &[Adapter]) -> io::Result<(Session, PacketQueue)> {
        let (context, packets) = Context::new(QUEUE_CAPACITY);
        let context = Box::into_raw(Box::new(context));
        let mut session = Session { monitor: self, object: null_mut(), stream: null_mut(), context };
        let name = wide("net-traffic");
        let api = &session.monitor.api;
        // SAFETY: the name is null-terminated; the session handle is writable.
        let created =
            unsafe { (api.create_session)(session.monitor.handle, name.as_ptr(), &raw mut session.object) };
        done("create a session", created)?;
        let sources = pointers(&session.monitor.list);
        for source in adapters.iter().filter_map(|adapter| sources.get(adapter.index)) {
            // SAFETY: the session is open; the source lies in the list, which lives as long.
            done("add an adapter", unsafe { (api.add_source)(session.object, *source) })?;
        }
        let configuration = StreamConfiguration {
            context: context.cast(),
            on_event: Some(on_event),
            on_packet: Some(on_packet),
            buffer_multiplier: BUFFER_MULTIPLIER,
            truncation: u16::try_from(MAX_SNAPLEN).unwrap_or(u16::MAX),
        };
        // SAFETY: the configuration is only read; the stream handle is writable.
        let created = unsafe {
            (api.create_stream)(session.monitor.handle, &raw const configuration, &raw mut session.stream)
        };
        done("create a stream", created)?;
        // SAFETY: both handles are open.
        done("attach the stream", unsafe { (api.attach)(session.object, session.stream) })?;
        // SAFETY: the session is open.
        done("start the session", unsafe { (api.set_active)(session.object, 1) })?;
        Ok((session, packets))
    }

    /// Reads the list of data sources with a growing buffer.
    fn enumerate(&self, sources: Sources) -> io::Result<Vec<u64>> {
        const ATTEMPTS: u32 = 8;
        let mut list: Vec<u64> = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut needed = 0;
            let size = size_of_val(list.as_slice());
            // SAFETY: the buffer has `size` octets; `needed` is writable.
            let outcome = unsafe {
                (self.api.enumerate)(
                    self.handle,
                    ADAPTERS,
                    sources as u8,
                    size,
                    &raw mut needed,
                    list.as_mut_ptr().cast(),
                )
            };
            if outcome >= 0 && needed <= size {
                return Ok(list);
            }
            if needed <= size {
                done("list the adapters", outcome)?;
            }
            list = vec![0; needed.div_ceil(size_of::<u64>())];
        }
        Err(io::Error::other("the list of adapters keeps growing"))
    }
}

/// The data sources to list: each adapter once, as a session takes them, or with hidden ones.
#[derive(Clone, Copy)]
enum Sources {
    Distinct = 0,
    All = 1,
}

fn listed(list: &[u64]) -> Vec<Adapter> {
    // SAFETY: the source lies within the list, and every bit pattern is valid.
    let read = |source: *const DataSource| unsafe { source.read_unaligned() };
    pointers(list)
        .into_iter()
        .map(read)
        .enumerate()
        .map(|(index, source)| Adapter::of(index, &source))
        .collect()
}

/// The pointers of `PACKETMONITOR_DATA_SOURCE_LIST`: a count, then a pointer to each source. Pointers out of the list are
/// skipped.
fn pointers(list: &[u64]) -> Vec<*const DataSource> {
    let count = list.first().copied().unwrap_or(0) & u64::from(u32::MAX);
    let begin = list.as_ptr().addr();
    let end = begin + size_of_val(list);
    let addresses = list.iter().skip(1).take(usize::try_from(count).unwrap_or(0));
    let inside = |at: usize| at >= begin && at.saturating_add(size_of::<DataSource>()) <= end;
    let addresses = addresses.filter_map(|at| usize::try_from(*at).ok()).filter(|at| inside(*at));
    addresses.map(|at| list.as_ptr().with_addr(at).cast()).collect()
}

/// Adds hidden components to the adapters, except where two adapters look alike.
fn merge(mut adapters: Vec<Adapter>, all: &[Adapter]) -> Vec<Adapter> {
    let shown: Vec<Adapter> = adapters.clone();
    for adapter in &mut adapters {
        if shown.iter().filter(|other| adapter.looks_like(other)).count() == 1 {
            adapter.add_components(all);
        }
    }
    adapters
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // SAFETY: the monitor is initialized, and its sessions are closed.
        unsafe { (self.api.uninitialize)(self.handle) };
    }
}

impl Session {
    /// Stops the reports.
    pub(super) fn stop(&mut self) {
        let api = &self.monitor.api;
        if !self.object.is_null() {
            // SAFETY: the session is open. After a failure, closing it stops it.
            unsafe { (api.set_active)(self.object, 0) };
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
        let api = &self.monitor.api;
        if !self.stream.is_null() {
            // SAFETY: the stream is open. No callback runs after this call.
            unsafe { (api.close_stream)(self.stream) };
        }
        if !self.object.is_null() {
            // SAFETY: the session is open.
            unsafe { (api.close_session)(self.object) };
        }
        // SAFETY: the pointer comes from `Box::into_raw`, and the callbacks have ended.
        drop(unsafe { Box::from_raw(self.context) });
    }
}

fn done(attempt: &str, outcome: Outcome) -> io::Result<()> {
    if outcome >= 0 {
        return Ok(());
    }
    let cause = io::Error::from_raw_os_error(outcome);
    Err(io::Error::new(cause.kind(), format!("failed to {attempt}: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(components: &[u16], description: &str, last: Option<u8>) -> Adapter {
        Adapter {
            components: components.to_vec(),
            description: description.to_owned(),
            mac: last.map(|last| [2, 0, 0, 0, 0, last]),
            index: 0,
        }
    }

    #[test]
    fn hidden_components_join_their_adapter() {
        let shown = vec![adapter(&[7, 8], "card", Some(1)), adapter(&[9], "card", Some(2))];
        let all =
            [adapter(&[7, 8], "card", Some(1)), adapter(&[20, 8], "card", Some(1)), adapter(&[30], "", None)];
        let merged = merge(shown, &all);
        assert_eq!(merged[0].components, [7, 8, 20]);
        assert_eq!(merged[1].components, [9]);
        // A component of two equal adapters is ambiguous.
        let twins = merge(
            vec![adapter(&[1], "twin", None), adapter(&[2], "twin", None)],
            &[adapter(&[3], "twin", None)],
        );
        assert_eq!((&twins[0].components[..], &twins[1].components[..]), (&[1][..], &[2][..]));
    }

    #[test]
    fn pointers_out_of_the_list_are_skipped() {
        let entry = size_of::<DataSource>() / size_of::<u64>();
        let mut list = vec![0_u64; 3 + entry];
        let begin = u64::try_from(list.as_ptr().addr()).unwrap();
        list[0] = 2;
        list[1] = begin + 24;
        // This source would end beyond the list.
        list[2] = begin + 32;
        list[3 + 48] = 12 << 32;
        list[3 + 50] = u64::from(HAS_MAC);
        list[3 + 51] = u64::from_le_bytes([2, 0, 0, 0, 0, 9, 0, 0]);
        assert_eq!(listed(&list), [adapter(&[12], "", Some(9))]);
        // The detail is not a MAC address.
        list[3 + 50] = 1;
        assert_eq!(listed(&list), [adapter(&[12], "", None)]);
        assert_eq!(listed(&[]), []);
    }
}
