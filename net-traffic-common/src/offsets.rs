//! Where the running kernel keeps the fields that the programs read.

/// Byte offsets of members of the kernel's structs, filled in by the loader from the kernel's own BTF.
///
/// The programs see them as constants: the section is frozen before the verifier looks. Members of `sock_common`
/// and `sock` lie at the same offset in every kind of socket, because a `tcp_sock` begins with its `sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    pub skc_family: u32,
    pub skc_state: u32,
    pub skc_daddr: u32,
    pub skc_rcv_saddr: u32,
    pub skc_dport: u32,
    pub skc_num: u32,
    pub skc_v6_daddr: u32,
    pub skc_v6_rcv_saddr: u32,
    pub skc_bound_dev_if: u32,
    pub skc_net: u32,
    pub skc_cookie: u32,
    pub sk_protocol: u32,
    pub sk_flags: u32,
    pub sk_lock_owned: u32,
    pub net_inum: u32,
    pub copied_seq: u32,
    pub rcv_nxt: u32,
    pub write_seq: u32,
    pub snd_una: u32,
    pub snd_nxt: u32,
    pub bytes_received: u32,
    pub bytes_acked: u32,
    pub bytes_sent: u32,
    pub bytes_retrans: u32,
    pub srtt_us: u32,
    pub mdev_us: u32,
    pub total_retrans: u32,
    pub snd_cwnd: u32,
    pub mss_cache: u32,
    /// The member of `tcp_sock` that marks a subflow; [`u32::MAX`] where the kernel has no MPTCP.
    pub is_mptcp: u32,
    pub task_flags: u32,
    pub group_leader: u32,
    pub start_boottime: u32,
    pub tgid: u32,
    pub pid: u32,
    pub comm: u32,
    pub socket_sk: u32,
    pub signal: u32,
    /// The member of `signal_struct` that counts the threads which have not begun to exit.
    pub live: u32,
    pub task_cgroups: u32,
    pub css_cgroup: u32,
    pub cgroup_kn: u32,
    pub cgroup_root: u32,
    pub kn_id: u32,
    pub hierarchy_id: u32,
    pub cred: u32,
    pub cred_uid: u32,
    /// Where `css_set` has the cgroup of version 2.
    pub dfl_cgrp: u32,
    /// Where `sk_buff` says what is known of the checksum, in bits; 0 if that was not found.
    pub ip_summed: u32,
    /// Where `sk_buff` has its connection's entry in the table of tracked ones; [`u32::MAX`] if this kernel's entries
    /// are not as the programs know them.
    pub nfct: u32,
    /// Where such an entry has the tuple of the first direction.
    pub nf_tuple: u32,
    /// The member of `sock` that has what maps store in the socket. This and the next three are [`u32::MAX`] where the
    /// kernel keeps it in another way.
    pub sk_bpf_storage: u32,
    /// The pointers of `bpf_local_storage` to what was used last.
    pub storage_cache: u32,
    /// The members of `bpf_local_storage_data`: the map whose it is, and the value.
    pub storage_map: u32,
    pub storage_value: u32,
    /// The member of `udp_sock` with what takes packets before any process; [`u32::MAX`] if not found.
    pub encap_rcv: u32,
}

/// The hierarchy of cgroups that tells containers apart.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// As the first field in /proc/PID/cgroup has it; 0 is version 2.
    pub id: u32,
    /// Version 1: where `css_set` points to the state of a controller of the hierarchy.
    pub subsystem: u32,
}

/// The process whose descendants are traced, as it sees itself. A `pid` of 0 traces none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancestor {
    /// Device and inode of its PID namespace.
    pub namespace_device: u64,
    pub namespace_inode: u64,
    pub pid: u32,
    pub reserved: u32,
}
