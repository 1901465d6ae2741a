//! Every map, with the reason for its type and size. The loader may change a size before it loads.

use core::ptr::{self, NonNull};

use aya_ebpf::{
    bindings::{
        BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_SK_STORAGE,
    },
    btf_maps::{
        Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, ProgramArray, RingBuf, SkStorage,
    },
    cty::c_void,
    helpers::generated::bpf_sk_storage_get,
    macros::btf_map,
};
use net_traffic_common::{
    CgroupPath, Flow as CapturedFlow, IfaceBytes, IfaceKey, ProcessCounters, ProcessKey, SocketCounters,
    SocketRecord, XdpRxCounters, loss,
    packet::{LostPackets, MAX_CPUS, NetnsAddress, PacketRecord, captured, tail_call},
};

use crate::packet::{Datagram, Flow};

/// Counters of a socket, in the socket's storage ([`BPF_MAP_TYPE_SK_STORAGE`][storage]): the map needs no size, a
/// look-up no hash, and the kernel frees the value with the socket.
///
/// [storage]: https://github.com/gregkh/linux/blob/v6.12.117/Documentation/bpf/map_sk_storage.rst
#[btf_map(name = "nt_sockets")]
pub(crate) static SOCKETS: SkStorage<SocketCounters> = SkStorage::new();

/// The same by the socket's address, for kprobes, which [are not given][kprobe] the storage helper. An entry is
/// removed when its socket is destroyed. The loader shrinks the map to one entry where it is not used.
///
/// [kprobe]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/trace/bpf_trace.c#L1563-L1585
#[btf_map(name = "nt_socks_addr")]
pub(crate) static SOCKETS_BY_ADDRESS: HashMap<u64, SocketCounters, 131_072> = HashMap::new();

/// Counters of a process. Never LRU: an eviction would lose counts. Bytes that find the map full go to the row
/// `OTHER`.
#[btf_map(name = "nt_processes")]
pub(crate) static PROCESSES: HashMap<ProcessKey, ProcessCounters, 16_384> = HashMap::new();

/// The traced processes that live; the value is unused. The loader shrinks the map to one entry where none are traced.
#[btf_map(name = "nt_descendants")]
pub(crate) static DESCENDANTS: HashMap<ProcessKey, u32, 65_536> = HashMap::new();

/// Paths of the cgroups that were made last, by ID: a cgroup may be gone before user space reads. LRU, because user
/// space finds the paths of living cgroups by itself.
#[btf_map(name = "nt_cgroup_paths")]
pub(crate) static CGROUP_PATHS: LruHashMap<u64, CgroupPath, 1024> = LruHashMap::new();

/// Room for a path, which is too long for the stack of [512 bytes][stack].
///
/// [stack]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/filter.h#L97
#[btf_map(name = "nt_path_buffer")]
pub(crate) static PATH_BUFFER: PerCpuArray<CgroupPath, 1> = PerCpuArray::new();

/// One record for each destroyed socket; a record wakes the reader.
#[btf_map(name = "nt_closed_socks")]
pub(crate) static CLOSED_SOCKETS: RingBuf<SocketRecord, 4_194_304> = RingBuf::new();

/// The records of a socket walk. A full ring pauses the walk, which resumes after the reader made room. Small,
/// because the kernel [maps a ring's pages twice][twice] and the reader touches all of them.
///
/// [twice]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/ringbuf.c#L101-L117
#[btf_map(name = "nt_open_socks")]
pub(crate) static OPEN_SOCKETS: RingBuf<SocketRecord, 524_288> = RingBuf::new();

/// How often something could not be counted, by cause; per CPU, because an increment must not be lost.
#[btf_map(name = "nt_loss")]
pub(crate) static LOSS: PerCpuArray<u64, { loss::CAUSES as usize }> = PerCpuArray::new();

/// Fault injection: the number of events so far.
#[btf_map(name = "nt_fault_events")]
pub(crate) static FAULT_EVENTS: Array<u64, 1> = Array::new();

/// The socket of a call whose return is probed, and an argument of that call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub sk: u64,
    pub flags: u64,
}

/// Calls in progress, by thread and kind; a thread is in one call of a kind at a time.
#[btf_map(name = "nt_calls")]
pub(crate) static CALLS: HashMap<u64, Call, 16_384> = HashMap::new();

/// Bytes that crossed each interface; per CPU, because every packet adds to a row. The loader shrinks this and the
/// next five maps to one entry where interfaces are not counted.
#[btf_map(name = "nt_iface_bytes")]
pub(crate) static INTERFACES: PerCpuHashMap<IfaceKey, IfaceBytes, 8192> = PerCpuHashMap::new();

/// Frames that each interface received, counted by XDP before any program or queue could drop them.
#[btf_map(name = "nt_xdp_rx_bytes")]
pub(crate) static XDP_RX: PerCpuHashMap<u32, XdpRxCounters, 1024> = PerCpuHashMap::new();

/// How far a socket's payload has come on each interface, which separates first transmissions from retransmissions.
#[btf_map(name = "nt_tcp_streams")]
pub(crate) static STREAMS: SkStorage<Streams> = SkStorage::new();

/// Flows that this host forwarded out of an interface, after NAT. Replies to masqueraded flows are addressed to this
/// host, but are forwarded too. LRU: an evicted flow costs a classification and no bytes.
#[btf_map(name = "nt_forwarded")]
pub(crate) static FORWARDED: LruHashMap<Flow, u32, 16_384> = LruHashMap::new();

/// MAC addresses of this namespace's interfaces, encoded as [`crate::packet::destination_mac`] does. On a bridge
/// port, the kernel marks a frame for the bridge itself as [`PACKET_OTHERHOST`][otherhost]. User space fills the map.
///
/// [otherhost]: https://github.com/gregkh/linux/blob/v6.12.117/net/ethernet/eth.c#L155-L165
#[btf_map(name = "nt_own_macs")]
pub(crate) static OWN_MACS: HashMap<u64, u32, 8192> = HashMap::new();

/// The class of datagrams that arrive in fragments, of which only the first has ports.
#[btf_map(name = "nt_fragments")]
pub(crate) static FRAGMENTED: LruHashMap<Datagram, u32, 4096> = LruHashMap::new();

/// A socket's payload on the interfaces that it used last, by direction.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Streams {
    pub rx: [Stream; PATHS],
    pub tx: [Stream; PATHS],
}

/// The most interfaces that one packet crosses: a bridge, its port, and the interfaces below.
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

/// Capture: one ring per CPU. The loader makes the rings and puts them into the map.
#[btf_map(name = "nt_rings")]
pub(crate) static RINGS: ArrayOfMaps<RingBuf<PacketRecord, 65_536>, { MAX_CPUS as usize }> =
    ArrayOfMaps::new();

/// Capture: packet counts by `captured::*`; per CPU, because an increment must not be lost.
#[btf_map(name = "nt_captured")]
pub(crate) static CAPTURED: PerCpuArray<u64, { captured::COUNTERS as usize }> = PerCpuArray::new();

/// Capture: lost packets by interface. Only a loss touches the map.
#[btf_map(name = "nt_lost_packets")]
pub(crate) static LOST_PACKETS: PerCpuHashMap<u32, LostPackets, 1024> = PerCpuHashMap::new();

/// Capture: the programs that a filter tail-calls with an accepted packet, by `tail_call::*`. Filters are generated
/// at run time.
#[btf_map(name = "nt_tail_calls")]
pub(crate) static TAIL_CALLS: ProgramArray<{ tail_call::PROGRAMS as usize }> = ProgramArray::new();

/// Capture: the same for filters of XDP. All programs of such a map [must have one type][type].
///
/// [type]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/core.c#L2423
#[btf_map(name = "nt_tail_xdp")]
pub(crate) static TAIL_CALLS_XDP: ProgramArray<1> = ProgramArray::new();

/// Capture: the owner of a socket, in the socket's storage. An accepted socket [inherits][clone] the listener's.
///
/// [clone]: https://github.com/gregkh/linux/blob/v6.12.117/net/core/bpf_sk_storage.c#L153-L172
#[btf_map(name = "nt_sock_owners")]
pub(crate) static SOCKET_OWNERS: InheritedSkStorage<SocketOwner> = InheritedSkStorage::new();

/// The process that created a socket, and from the first call on the process that uses the socket.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct SocketOwner {
    pub owner: ProcessKey,
    pub is_used: u64,
    /// A hash of the flow that was cached last in [`FLOW_OWNERS`], and of the time.
    pub cached: u64,
}

/// Capture: owners of flows for whose packets no socket is found. LRU: an evicted flow costs an owner's name and no
/// packet. The loader shrinks the map where nothing is captured.
#[btf_map(name = "nt_flow_owners")]
pub(crate) static FLOW_OWNERS: LruHashMap<CapturedFlow, ProcessKey, 16_384> = LruHashMap::new();

/// Capture: the network namespaces of the addresses behind interfaces (containers, guests), filled by user space. The
/// loader shrinks the map where nothing is captured.
#[btf_map(name = "nt_addr_netns")]
pub(crate) static ADDR_TO_NETNS: HashMap<NetnsAddress, u32, 8192> = HashMap::new();

/// Capture: flows with a translated destination as they arrive, and as the receiver gets them. Programs add an entry
/// when a translated packet leaves; user space adds entries too. LRU, as above.
#[btf_map(name = "nt_nat_flows")]
pub(crate) static NAT_FLOWS: LruHashMap<CapturedFlow, CapturedFlow, 16_384> = LruHashMap::new();

/// Capture: 1 once one of the two maps above has an entry, which saves other hosts two look-ups per packet.
#[btf_map(name = "nt_peers_known")]
pub(crate) static PEERS_KNOWN: Array<u32, 1> = Array::new();

/// Capture: the PIDs that `--pid` and the like select, with `CHOSEN_*`.
#[btf_map(name = "nt_filter_pids")]
pub(crate) static FILTER_PIDS: HashMap<u32, u32, 4096> = HashMap::new();

/// Capture: the cgroups whose processes are selected.
#[btf_map(name = "nt_filter_cgrps")]
pub(crate) static FILTER_CGROUPS: HashMap<u64, u32, 1024> = HashMap::new();

/// A socket storage whose value an accepted socket inherits. aya has no such type.
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
        let (r#type, key, value) = (ptr::null(), ptr::null(), ptr::null());
        Self { r#type, key, value, max_entries: ptr::null(), map_flags: ptr::null() }
    }
}

// SAFETY: the members describe the map for the loader; no program reads them.
unsafe impl<T> Sync for InheritedSkStorage<T> {}

/// A map that stores a value in each socket.
pub(crate) trait SocketStorage {
    type Value;

    /// The address of the kernel's `struct bpf_map`, by relocation.
    #[inline(always)]
    fn address(&self) -> *const c_void {
        ptr::from_ref(self).cast()
    }

    /// The value in a socket, if the socket has one.
    ///
    /// # Safety
    /// `sk` is a socket in full, with a type that the verifier tracks.
    #[inline(always)]
    unsafe fn get(&self, sk: *const c_void) -> Option<NonNull<Self::Value>> {
        // SAFETY: as the caller promises.
        unsafe { self.helper(sk, ptr::null(), 0) }
    }

    /// The value in a socket; a copy of `initial`, or zeros for null, if the socket had none. `None` if the kernel
    /// refuses.
    ///
    /// # Safety
    /// As for [`Self::get`]; `initial` is null or readable.
    #[inline(always)]
    unsafe fn get_or_create(
        &self,
        sk: *const c_void,
        initial: *const Self::Value,
    ) -> Option<NonNull<Self::Value>> {
        // SAFETY: as the caller promises.
        unsafe { self.helper(sk, initial, u64::from(BPF_SK_STORAGE_GET_F_CREATE)) }
    }

    /// # Safety
    /// As for [`Self::get_or_create`].
    #[inline(always)]
    unsafe fn helper(
        &self,
        sk: *const c_void,
        initial: *const Self::Value,
        flags: u64,
    ) -> Option<NonNull<Self::Value>> {
        // SAFETY: the helper checks the socket and copies the initial value.
        let value = unsafe {
            bpf_sk_storage_get(self.address().cast_mut(), sk.cast_mut(), initial.cast_mut().cast(), flags)
        };
        NonNull::new(value.cast())
    }
}

impl<T> SocketStorage for SkStorage<T> {
    type Value = T;
}

impl<T> SocketStorage for InheritedSkStorage<T> {
    type Value = T;
}
