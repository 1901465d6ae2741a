//! Every map, with the reason for its type and size. The loader may change a size before it loads.

use aya_ebpf::{
    btf_maps::{HashMap, LruHashMap, PerCpuArray, RingBuf, SkStorage},
    macros::btf_map,
};
use net_traffic_common::{CgroupPath, ProcessCounters, ProcessKey, SocketCounters, SocketRecord, loss};

/// Counters of a socket, stored in the socket: no size to choose, no key to hash, freed with it.
#[btf_map]
pub(crate) static SOCKETS: SkStorage<SocketCounters> = SkStorage::new();

/// The same by the socket's address, for kprobes, which may not touch a socket's storage. Entries are removed when
/// the socket is destroyed. The loader shrinks it to one entry where it is not used.
#[btf_map]
pub(crate) static SOCKETS_BY_ADDR: HashMap<u64, SocketCounters, 131_072> = HashMap::new();

/// Counters of a process. Never LRU: an eviction would lose counts. What finds it full goes to the row `OTHER`.
#[btf_map]
pub(crate) static PROCESSES: HashMap<ProcessKey, ProcessCounters, 16_384> = HashMap::new();

/// The traced processes that live; the value means nothing. The loader shrinks it to one entry where none are traced.
#[btf_map]
pub(crate) static FAMILY: HashMap<ProcessKey, u32, 65_536> = HashMap::new();

/// The paths of the cgroups that were made last, by id: the reader may come when they are gone again. Old ones may
/// be forgotten, because the reader finds what lives by itself.
#[btf_map]
pub(crate) static CGROUP_PATHS: LruHashMap<u64, CgroupPath, 1024> = LruHashMap::new();

/// Room for a path, which is too long for the stack.
#[btf_map]
pub(crate) static PATH_BUFFER: PerCpuArray<CgroupPath, 1> = PerCpuArray::new();

/// One record for each destroyed socket; the reader sleeps until there is one.
#[btf_map]
pub(crate) static CLOSED_SOCKETS: RingBuf<SocketRecord, 4_194_304> = RingBuf::new();

/// How often something could not be counted, by cause; per CPU, because nothing may be lost here.
#[btf_map]
pub(crate) static LOSS: PerCpuArray<u64, { loss::CAUSES as usize }> = PerCpuArray::new();

/// A call that a kretprobe will see return: which socket it was about.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub sk: u64,
    pub flags: u64,
}

/// The calls under way, by thread and kind; a thread is in one call of a kind at a time.
#[btf_map]
pub(crate) static CALLS: HashMap<u64, Call, 16_384> = HashMap::new();
