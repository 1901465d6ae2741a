//! Every map, with the reason for its type and size. The loader may change a size before it loads.

use aya_ebpf::{
    bindings::{BPF_F_CLONE, BPF_F_NO_PREALLOC, bpf_map_type::BPF_MAP_TYPE_SK_STORAGE},
    btf_maps::{
        Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, ProgramArray, RingBuf, SkStorage,
    },
    macros::btf_map,
};
use net_traffic_common::{
    ArrivalCounters, CgroupPath, Flow as CapturedFlow, ProcessCounters, ProcessKey, SocketCounters,
    SocketRecord, WireCounters, WireKey, loss,
    packet::{Inside, LostPackets, MAX_CPUS, PacketRecord, captured, next},
};

use crate::packet::{Datagram, Flow};

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

/// The records of a walk over the sockets, which pauses when there is no more room and goes on where it was when the
/// reader has made some. Small, because the reader has all of it mapped twice.
#[btf_map]
pub(crate) static OPEN_SOCKETS: RingBuf<SocketRecord, 524_288> = RingBuf::new();

/// How often something could not be counted, by cause; per CPU, because nothing may be lost here.
#[btf_map]
pub(crate) static LOSS: PerCpuArray<u64, { loss::CAUSES as usize }> = PerCpuArray::new();

/// How many events there were, where one in so many is lost on purpose.
#[btf_map]
pub(crate) static EVENTS: Array<u64, 1> = Array::new();

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

/// What crossed each interface; per CPU, because every packet adds to it. The loader shrinks this and the maps below
/// to one entry where nobody asks.
#[btf_map]
pub(crate) static WIRE: PerCpuHashMap<WireKey, WireCounters, 8192> = PerCpuHashMap::new();

/// What arrived at each interface before anything could drop it.
#[btf_map]
pub(crate) static ARRIVALS: PerCpuHashMap<u32, ArrivalCounters, 1024> = PerCpuHashMap::new();

/// How far a socket's payload has come on each interface, to tell what passes for the first time.
#[btf_map]
pub(crate) static STREAMS: SkStorage<Streams> = SkStorage::new();

/// Flows that left this host on behalf of others, as they were on the wire: what comes back for them is addressed to
/// this host where addresses are translated. The oldest is forgotten; nothing is counted here.
#[btf_map]
pub(crate) static FORWARDED: LruHashMap<Flow, u32, 16_384> = LruHashMap::new();

/// The link-layer addresses of this namespace's own interfaces, as [`crate::packet::destination`] reads them: on a
/// bridge's port, what is addressed to the bridge looks as if it were for another host. The collector fills it.
#[btf_map]
pub(crate) static OWN_ADDRESSES: HashMap<u64, u32, 8192> = HashMap::new();

/// The class of datagrams that arrive in fragments, of which only the first has ports.
#[btf_map]
pub(crate) static FRAGMENTED: LruHashMap<Datagram, u32, 4096> = LruHashMap::new();

/// A socket's payload on the interfaces that it used last, by direction.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Streams {
    pub rx: [Stream; PATHS],
    pub tx: [Stream; PATHS],
}

/// One packet crosses up to that many interfaces: the bridge, its port, and what is below.
pub(crate) const PATHS: usize = 4;

/// How far a stream has come on one interface.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Stream {
    /// 0: free.
    pub ifindex: u64,
    /// [`crate::account::stream::Position`] in one word; 0 until the first segment.
    pub position: u64,
}

/// Capture: a ring for each CPU, made and put in by the loader.
#[btf_map]
pub(crate) static RINGS: ArrayOfMaps<RingBuf<PacketRecord, 65_536>, { MAX_CPUS as usize }> =
    ArrayOfMaps::new();

/// Capture: what became of the packets, by `captured::*`; per CPU, because nothing may be lost here.
#[btf_map]
pub(crate) static CAPTURED: PerCpuArray<u64, { captured::COUNTERS as usize }> = PerCpuArray::new();

/// Capture: the same by interface, of those that were lost. It is touched when a packet is lost only.
#[btf_map]
pub(crate) static LOST: PerCpuHashMap<u32, LostPackets, 1024> = PerCpuHashMap::new();

/// Capture: what a filter calls with a packet that it accepts, by `next::*`. The filters are made at run time.
#[btf_map]
pub(crate) static NEXT: ProgramArray<{ next::STAGES as usize }> = ProgramArray::new();

/// Capture: the same for filters that run where frames arrive. Programs of different types cannot share a map.
#[btf_map]
pub(crate) static NEXT_XDP: ProgramArray<1> = ProgramArray::new();

/// Capture: whose a socket is, stored in the socket. One that is accepted inherits it from the one that listens.
#[btf_map]
pub(crate) static HOLDERS: InheritedSkStorage<Holder> = InheritedSkStorage::new();

/// Who made a socket, and from its first use on who uses it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Holder {
    pub owner: ProcessKey,
    pub is_used: u64,
    /// The flow that was remembered last, and when, folded.
    pub remembered: u64,
}

/// Capture: owners of flows for whose packets no socket can be found. Least recently used: what is forgotten costs a
/// name. The loader shrinks it where nothing is captured.
#[btf_map]
pub(crate) static FLOWS: LruHashMap<CapturedFlow, ProcessKey, 16_384> = LruHashMap::new();

/// Capture: in which network namespaces the addresses behind interfaces are, as the collector knows it. The loader
/// shrinks it where nothing is captured.
#[btf_map]
pub(crate) static INSIDE: HashMap<Inside, u32, 8192> = HashMap::new();

/// Capture: flows whose destination is translated, as they arrive, and what the receiver gets. Kept by the programs, where
/// they see a translated packet leave, and by the collector. Least recently used, as above.
#[btf_map]
pub(crate) static TRANSLATED: LruHashMap<CapturedFlow, CapturedFlow, 16_384> = LruHashMap::new();

/// Capture: 1 once one of the two maps above has something, so that others need not ask them for each packet.
#[btf_map]
pub(crate) static BEHIND: Array<u32, 1> = Array::new();

/// Capture: the processes that are chosen, with `CHOSEN_*`.
#[btf_map]
pub(crate) static CHOSEN_PIDS: HashMap<u32, u32, 4096> = HashMap::new();

/// Capture: the cgroups whose processes are chosen.
#[btf_map]
pub(crate) static CHOSEN_CGROUPS: HashMap<u64, u32, 1024> = HashMap::new();

/// A socket's storage that its children begin with. The library has no such type.
#[repr(C)]
pub(crate) struct InheritedSkStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

impl<T> InheritedSkStorage<T> {
    const fn new() -> Self {
        let (r#type, key, value) = (core::ptr::null(), core::ptr::null(), core::ptr::null());
        Self { r#type, key, value, max_entries: core::ptr::null(), map_flags: core::ptr::null() }
    }
}

// SAFETY: the members only describe the map; nobody reads them.
unsafe impl<T> Sync for InheritedSkStorage<T> {}
