//! A session of the packet monitor: what passes the network adapters comes through a queue with an end.

use std::io;
use std::ptr::null_mut;

use super::api::{ADAPTERS, Api, DataSource, HARDWARE, Object, Outcome, StreamConfiguration, VERSION};
use super::callbacks::{Context, Packets, on_event, on_packet};
use crate::events::pktmon::MOST;
use crate::{narrow, wide};

/// Packets that may wait for the writer.
const QUEUE: usize = 1 << 14;
/// The monitor's own buffer, in units of 256 KiB; it takes no more than ten.
const BUFFERS: u16 = 10;

/// A network adapter that the monitor knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Adapter {
    /// What packets name as their component: one of these.
    pub(super) components: Vec<u16>,
    pub(super) description: String,
    /// The hardware's address, where it has one.
    pub(super) hardware: Option<[u8; 6]>,
    pub(super) place: usize,
}

impl Adapter {
    fn of(place: usize, source: &DataSource) -> Self {
        let ids = [source.id, source.secondary_id].into_iter().filter(|id| *id != 0);
        let begin = source.detail.first_chunk().copied();
        Self {
            components: ids.filter_map(|id| u16::try_from(id).ok()).collect(),
            description: narrow(&source.description),
            hardware: begin.filter(|_| source.present & HARDWARE != 0),
            place,
        }
    }

    /// Takes over the components of those that the monitor does not show by themselves, because they are this one once
    /// more: packets may name them.
    fn join(&mut self, hidden: &[Self]) {
        let same = hidden.iter().filter(|other| self.looks_like(other));
        let ids: Vec<u16> = same.flat_map(|other| other.components.iter().copied()).collect();
        for id in ids {
            if !self.components.contains(&id) {
                self.components.push(id);
            }
        }
    }

    fn looks_like(&self, other: &Self) -> bool {
        self.description == other.description && self.hardware == other.hardware
    }
}

/// The monitor, before anything is captured.
pub(super) struct Monitor {
    api: Api,
    handle: Object,
    /// The list as the system filled it in; the session wants its entries where they are.
    list: Vec<u64>,
}

/// A running session. What it has is closed in the order in which it depends on each other.
pub(super) struct Session {
    monitor: Monitor,
    object: Object,
    stream: Object,
    /// What the callback is given: it lives until the stream is closed.
    context: *mut Context,
}

impl Monitor {
    /// Finds the library and the adapters.
    pub(super) fn open() -> io::Result<Self> {
        let api = Api::load()?;
        let mut handle = null_mut();
        // SAFETY: the handle is writable.
        done("start the monitor", unsafe { (api.initialize)(VERSION, null_mut(), &raw mut handle) })?;
        let mut monitor = Self { api, handle, list: Vec::new() };
        monitor.list = monitor.enumerate(Extent::Each)?;
        Ok(monitor)
    }

    /// The network adapters that can be listened to.
    pub(super) fn adapters(&self) -> Vec<Adapter> {
        // Without those that are hidden some packets may be of a component that nobody knows, which is said.
        let all = self.enumerate(Extent::All).unwrap_or_default();
        unite(listed(&self.list), &listed(&all))
    }

    /// Begins to hand over what passes these adapters.
    pub(super) fn start(self, adapters: &[Adapter]) -> io::Result<(Session, Packets)> {
        let (context, packets) = Context::new(QUEUE);
        let context = Box::into_raw(Box::new(context));
        let mut it = Session { monitor: self, object: null_mut(), stream: null_mut(), context };
        let name = wide("net-traffic");
        let api = &it.monitor.api;
        // SAFETY: the name has an end; the session is writable.
        let made = unsafe { (api.create_session)(it.monitor.handle, name.as_ptr(), &raw mut it.object) };
        done("make a session", made)?;
        let places = pointers(&it.monitor.list);
        for source in adapters.iter().filter_map(|adapter| places.get(adapter.place)) {
            // SAFETY: the session is open; the source lies in the list, which lives as long.
            done("listen to an adapter", unsafe { (api.add_source)(it.object, *source) })?;
        }
        let configuration = StreamConfiguration {
            context: context.cast(),
            on_event: Some(on_event),
            on_packet: Some(on_packet),
            buffer_multiplier: BUFFERS,
            truncation: u16::try_from(MOST).unwrap_or(u16::MAX),
        };
        // SAFETY: the configuration is read only; the stream is writable.
        let made =
            unsafe { (api.create_stream)(it.monitor.handle, &raw const configuration, &raw mut it.stream) };
        done("make a stream", made)?;
        // SAFETY: both are open.
        done("attach the stream", unsafe { (api.attach)(it.object, it.stream) })?;
        // SAFETY: the session is open.
        done("start the session", unsafe { (api.set_active)(it.object, 1) })?;
        Ok((it, packets))
    }

    /// Asks with a buffer that grows until the list fits.
    fn enumerate(&self, extent: Extent) -> io::Result<Vec<u64>> {
        const TRIALS: u32 = 8;
        let mut list: Vec<u64> = Vec::new();
        for _ in 0..TRIALS {
            let mut needed = 0;
            let size = size_of_val(list.as_slice());
            // SAFETY: the buffer has so many octets; what it takes is writable.
            let outcome = unsafe {
                (self.api.enumerate)(
                    self.handle,
                    ADAPTERS,
                    extent as u8,
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
        Err(io::Error::other("the list of adapters grows"))
    }
}

/// Which data sources are listed: each once, as a session wants them, or under every number that they have.
#[derive(Clone, Copy)]
enum Extent {
    Each = 0,
    All = 1,
}

fn listed(list: &[u64]) -> Vec<Adapter> {
    // SAFETY: it lies within the list as a whole, and any octets are one.
    let read = |source: *const DataSource| unsafe { source.read_unaligned() };
    pointers(list)
        .into_iter()
        .map(read)
        .enumerate()
        .map(|(place, source)| Adapter::of(place, &source))
        .collect()
}

/// The list's entries where they are: their number, then a pointer to each.
fn pointers(list: &[u64]) -> Vec<*const DataSource> {
    let count = list.first().copied().unwrap_or(0) & u64::from(u32::MAX);
    let begin = list.as_ptr().addr();
    let end = begin + size_of_val(list);
    let places = list.iter().skip(1).take(usize::try_from(count).unwrap_or(0));
    let inside = |at: usize| at >= begin && at.saturating_add(size_of::<DataSource>()) <= end;
    let places = places.filter_map(|at| usize::try_from(*at).ok()).filter(|at| inside(*at));
    places.map(|at| list.as_ptr().with_addr(at).cast()).collect()
}

/// The adapters with all their components. Those of two that look the same stay with neither.
fn unite(mut adapters: Vec<Adapter>, all: &[Adapter]) -> Vec<Adapter> {
    let shown: Vec<Adapter> = adapters.clone();
    for adapter in &mut adapters {
        if shown.iter().filter(|other| adapter.looks_like(other)).count() == 1 {
            adapter.join(all);
        }
    }
    adapters
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // SAFETY: it was initialized, and what depended on it is closed.
        unsafe { (self.api.uninitialize)(self.handle) };
    }
}

impl Session {
    /// No more packets come.
    pub(super) fn stop(&mut self) {
        let api = &self.monitor.api;
        if !self.object.is_null() {
            // SAFETY: the session is open. If it cannot be stopped, it is when it is closed.
            unsafe { (api.set_active)(self.object, 0) };
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
        let api = &self.monitor.api;
        if !self.stream.is_null() {
            // SAFETY: it is open; afterwards the callback is not called any more.
            unsafe { (api.close_stream)(self.stream) };
        }
        if !self.object.is_null() {
            // SAFETY: it is open.
            unsafe { (api.close_session)(self.object) };
        }
        // SAFETY: it was made by a box, and nobody uses it any more.
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
            hardware: last.map(|last| [2, 0, 0, 0, 0, last]),
            place: 0,
        }
    }

    #[test]
    fn an_adapter_has_the_components_that_are_hidden_too() {
        let shown = vec![adapter(&[7, 8], "card", Some(1)), adapter(&[9], "card", Some(2))];
        let all =
            [adapter(&[7, 8], "card", Some(1)), adapter(&[20, 8], "card", Some(1)), adapter(&[30], "", None)];
        let united = unite(shown, &all);
        assert_eq!(united[0].components, [7, 8, 20]);
        assert_eq!(united[1].components, [9]);
        // Of two that look the same nobody knows whose it is.
        let twins = unite(
            vec![adapter(&[1], "twin", None), adapter(&[2], "twin", None)],
            &[adapter(&[3], "twin", None)],
        );
        assert_eq!((&twins[0].components[..], &twins[1].components[..]), (&[1][..], &[2][..]));
    }

    #[test]
    fn a_list_is_read_as_far_as_its_pointers_lie_within() {
        let entry = size_of::<DataSource>() / size_of::<u64>();
        let mut list = vec![0_u64; 3 + entry];
        let begin = u64::try_from(list.as_ptr().addr()).unwrap();
        list[0] = 2;
        list[1] = begin + 24;
        // This one would end beyond.
        list[2] = begin + 32;
        list[3 + 48] = 12 << 32;
        list[3 + 50] = u64::from(HARDWARE);
        list[3 + 51] = u64::from_le_bytes([2, 0, 0, 0, 0, 9, 0, 0]);
        assert_eq!(listed(&list), [adapter(&[12], "", Some(9))]);
        // What is there instead of an address is none.
        list[3 + 50] = 1;
        assert_eq!(listed(&list), [adapter(&[12], "", None)]);
        assert_eq!(listed(&[]), []);
    }
}
