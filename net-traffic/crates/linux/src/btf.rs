//! The running kernel's BTF: where it keeps the members that the programs read.
//!
//! A reader of just the part that is needed: structs and unions, their members, and the types between them.

use std::collections::HashMap;
use std::sync::OnceLock;

use net_traffic_common::Offsets;

const MAGIC: u16 = 0xeb9f;
const PATH: &str = "/sys/kernel/btf/vmlinux";

/// Why no offsets could be had.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    #[error("read {PATH}: {0} (the kernel needs CONFIG_DEBUG_INFO_BTF)")]
    Read(#[from] std::io::Error),
    #[error("understand {PATH}: {0}")]
    Format(&'static str),
    #[error("find `{member}` in this kernel's struct {owner}")]
    Missing { owner: &'static str, member: &'static str },
}

/// What was asked of the running kernel's BTF.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Of every member that the programs use.
    pub offsets: Offsets,
    /// Where `css_set` points to the state of the controller, if this kernel has it.
    pub subsystem: Option<u32>,
    /// Those of the functions that this kernel has.
    pub functions: Vec<&'static str>,
}

/// Asks for all that the programs need, once: the kernel stays the same while we run.
///
/// # Errors
/// When the kernel has no BTF, or lacks a member without which nothing can be counted.
pub fn find(controller: Option<&str>, functions: &[&'static str]) -> Result<&'static Found, BtfError> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let blob = std::fs::read(PATH)?;
    let btf = Btf::parse(&blob)?;
    let found = Found {
        offsets: offsets_in(&btf)?,
        subsystem: controller.and_then(|controller| subsystem_in(&btf, controller)),
        functions: functions.iter().copied().filter(|name| btf.has_function(name)).collect(),
    };
    Ok(FOUND.get_or_init(|| found))
}

fn offsets_in(btf: &Btf<'_>) -> Result<Offsets, BtfError> {
    let at = |owner: &'static str, member: &'static str| {
        btf.offset_of(owner, member).ok_or(BtfError::Missing { owner, member })
    };
    let or_nowhere = |owner, member| btf.offset_of(owner, member).unwrap_or(u32::MAX);
    let tracked = tracked_tuple(btf);
    Ok(Offsets {
        skc_family: at("sock_common", "skc_family")?,
        skc_state: at("sock_common", "skc_state")?,
        skc_daddr: at("sock_common", "skc_daddr")?,
        skc_rcv_saddr: at("sock_common", "skc_rcv_saddr")?,
        skc_dport: at("sock_common", "skc_dport")?,
        skc_num: at("sock_common", "skc_num")?,
        skc_v6_daddr: at("sock_common", "skc_v6_daddr")?,
        skc_v6_rcv_saddr: at("sock_common", "skc_v6_rcv_saddr")?,
        skc_bound_dev_if: at("sock_common", "skc_bound_dev_if")?,
        skc_net: at("sock_common", "skc_net")?,
        skc_cookie: at("sock_common", "skc_cookie")?,
        sk_protocol: at("sock", "sk_protocol")?,
        sk_flags: at("sock_common", "skc_flags")?,
        sk_lock_owned: at("sock", "sk_lock")? + at("socket_lock_t", "owned")?,
        net_inum: at("net", "ns")? + at("ns_common", "inum")?,
        copied_seq: at("tcp_sock", "copied_seq")?,
        rcv_nxt: at("tcp_sock", "rcv_nxt")?,
        write_seq: at("tcp_sock", "write_seq")?,
        snd_una: at("tcp_sock", "snd_una")?,
        snd_nxt: at("tcp_sock", "snd_nxt")?,
        bytes_received: at("tcp_sock", "bytes_received")?,
        bytes_acked: at("tcp_sock", "bytes_acked")?,
        bytes_sent: at("tcp_sock", "bytes_sent")?,
        bytes_retrans: at("tcp_sock", "bytes_retrans")?,
        srtt_us: at("tcp_sock", "srtt_us")?,
        mdev_us: at("tcp_sock", "mdev_us")?,
        total_retrans: at("tcp_sock", "total_retrans")?,
        snd_cwnd: at("tcp_sock", "snd_cwnd")?,
        mss_cache: at("tcp_sock", "mss_cache")?,
        is_mptcp: or_nowhere("tcp_sock", "is_mptcp"),
        task_flags: at("task_struct", "flags")?,
        group_leader: at("task_struct", "group_leader")?,
        start_boottime: at("task_struct", "start_boottime")?,
        tgid: at("task_struct", "tgid")?,
        pid: at("task_struct", "pid")?,
        comm: at("task_struct", "comm")?,
        socket_sk: at("socket", "sk")?,
        signal: at("task_struct", "signal")?,
        live: at("signal_struct", "live")?,
        task_cgroups: at("task_struct", "cgroups")?,
        css_cgroup: at("cgroup_subsys_state", "cgroup")?,
        cgroup_kn: at("cgroup", "kn")?,
        cgroup_root: at("cgroup", "root")?,
        kn_id: at("kernfs_node", "id")?,
        hierarchy_id: at("cgroup_root", "hierarchy_id")?,
        cred: at("task_struct", "cred")?,
        cred_uid: at("cred", "uid")?,
        dfl_cgrp: at("css_set", "dfl_cgrp")?,
        ip_summed: btf.bit_offset_of("sk_buff", "ip_summed").unwrap_or(0),
        nfct: if tracked.is_some() { or_nowhere("sk_buff", "_nfct") } else { u32::MAX },
        nf_tuple: tracked.unwrap_or(0),
        sk_bpf_storage: or_nowhere("sock", "sk_bpf_storage"),
        storage_cache: or_nowhere("bpf_local_storage", "cache"),
        storage_map: or_nowhere("bpf_local_storage_data", "smap"),
        storage_value: or_nowhere("bpf_local_storage_data", "data"),
        encap_rcv: or_nowhere("udp_sock", "encap_rcv"),
    })
}

/// Where an entry of the tracked connections has its first tuple, if it is laid out as the programs read it.
fn tracked_tuple(btf: &Btf<'_>) -> Option<u32> {
    let layout = [
        btf.size_of("nf_conntrack_tuple_hash")?,
        btf.size_of("nf_conntrack_tuple")?,
        btf.offset_of("nf_conntrack_tuple", "dst")?,
        btf.offset_of("nf_conntrack_man", "u")?,
    ];
    let tuple =
        || Some(btf.offset_of("nf_conn", "tuplehash")? + btf.offset_of("nf_conntrack_tuple_hash", "tuple")?);
    if layout == [56, 40, 20, 16] { tuple() } else { None }
}

fn subsystem_in(btf: &Btf<'_>, controller: &str) -> Option<u32> {
    const POINTER: u32 = 8;
    let index = btf.enumerator("cgroup_subsys_id", &format!("{controller}_cgrp_id"))?;
    Some(btf.offset_of("css_set", "subsys")? + POINTER * index)
}

/// The type section of a BTF blob, indexed.
struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where the type of each id begins in `types`; id 0 is `void`.
    starts: Vec<u32>,
    /// Structs, unions, enumerations and typedefs by name.
    named: HashMap<&'a [u8], u32>,
}

/// The kinds of types, by the kernel's numbers.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// The three words that every type begins with.
struct Head {
    name: u32,
    info: u32,
    /// A size or another type's id.
    detail: u32,
}

impl Head {
    const SIZE: usize = 12;

    fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn members(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Member offsets carry the width of a bit field in their upper eight bits.
    fn has_bit_fields(&self) -> bool {
        self.info >> 31 == 1
    }

    /// How many bytes follow the head.
    fn tail(&self) -> usize {
        let n = self.members();
        match self.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * n,
            kind::ENUM | kind::FUNC_PROTO => 8 * n,
            _ => 0,
        }
    }
}

impl<'a> Btf<'a> {
    fn parse(blob: &'a [u8]) -> Result<Self, BtfError> {
        let header = || -> Option<(&'a [u8], &'a [u8])> {
            if u16::from_ne_bytes(blob.get(..2)?.try_into().ok()?) != MAGIC {
                return None;
            }
            let word = |i: usize| word_at(blob, 4 + 4 * i).map(|w| w as usize);
            let body = blob.get(word(0)?..)?;
            let part = |offset: usize, length: usize| body.get(offset..offset.checked_add(length)?);
            Some((part(word(1)?, word(2)?)?, part(word(3)?, word(4)?)?))
        };
        let (types, strings) = header().ok_or(BtfError::Format("no BTF header"))?;
        let mut btf = Self { types, strings, starts: vec![u32::MAX], named: HashMap::new() };
        let mut at = 0;
        while at < types.len() {
            let head = btf.head_at(at).ok_or(BtfError::Format("a type is cut short"))?;
            let too_long = || BtfError::Format("too many types");
            let id = u32::try_from(btf.starts.len()).ok().ok_or_else(too_long)?;
            if matches!(head.kind(), kind::STRUCT | kind::UNION | kind::ENUM | kind::TYPEDEF)
                && head.name != 0
            {
                btf.named.entry(btf.string(head.name)).or_insert(id);
            }
            btf.starts.push(u32::try_from(at).ok().ok_or_else(too_long)?);
            at += Head::SIZE + head.tail();
        }
        Ok(btf)
    }

    /// The byte offset of a member, also of one inside unnamed structs and unions.
    fn offset_of(&self, owner: &str, member: &str) -> Option<u32> {
        self.bit_offset_of(owner, member).map(|bits| bits / 8)
    }

    /// The same in bits, for a bit field.
    fn bit_offset_of(&self, owner: &str, member: &str) -> Option<u32> {
        let id = self.resolve(*self.named.get(owner.as_bytes())?)?;
        self.bit_offset(id, member.as_bytes(), 0)
    }

    /// The size of a struct or union.
    fn size_of(&self, name: &str) -> Option<u32> {
        let id = self.resolve(*self.named.get(name.as_bytes())?)?;
        Some(self.head_at(*self.starts.get(id as usize)? as usize)?.detail)
    }

    /// The value of a member of an enumeration.
    fn enumerator(&self, owner: &str, member: &str) -> Option<u32> {
        let start = *self.starts.get(*self.named.get(owner.as_bytes())? as usize)? as usize;
        let head = self.head_at(start).filter(|head| head.kind() == kind::ENUM)?;
        (0..head.members()).map(|i| start + Head::SIZE + 8 * i).find_map(|at| {
            let name = self.string(word_at(self.types, at)?);
            if name == member.as_bytes() { word_at(self.types, at + 4) } else { None }
        })
    }

    fn has_function(&self, name: &str) -> bool {
        self.starts
            .iter()
            .filter_map(|start| self.head_at(*start as usize))
            .any(|head| head.kind() == kind::FUNC && self.string(head.name) == name.as_bytes())
    }

    fn bit_offset(&self, id: u32, wanted: &[u8], depth: u8) -> Option<u32> {
        let start = *self.starts.get(id as usize)? as usize;
        let head = self.head_at(start)?;
        if !matches!(head.kind(), kind::STRUCT | kind::UNION) || depth > 16 {
            return None;
        }
        (0..head.members()).find_map(|i| {
            let at = start + Head::SIZE + 12 * i;
            let name = self.string(word_at(self.types, at)?);
            let offset = word_at(self.types, at + 8)?;
            let offset = if head.has_bit_fields() { offset & 0x00ff_ffff } else { offset };
            if name == wanted {
                return Some(offset);
            }
            if !name.is_empty() {
                return None;
            }
            let inner = self.resolve(word_at(self.types, at + 4)?)?;
            Some(offset + self.bit_offset(inner, wanted, depth + 1)?)
        })
    }

    /// Follows typedefs and qualifiers to the type itself.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..32 {
            let head = self.head_at(*self.starts.get(id as usize)? as usize)?;
            match head.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = head.detail;
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn head_at(&self, at: usize) -> Option<Head> {
        Some(Head {
            name: word_at(self.types, at)?,
            info: word_at(self.types, at + 4)?,
            detail: word_at(self.types, at + 8)?,
        })
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|&octet| octet == 0).next().unwrap_or_default()
    }
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a blob: `struct outer { int a; struct { int b; union { int c; int d; }; }; bits e:1 }`, behind a typedef, and
    /// `void run(void)`.
    fn blob() -> Vec<u8> {
        let strings = b"\0int\0outer\0a\0b\0c\0d\0e\0alias\0run\0";
        let name = |text: &[u8]| {
            let with_end = [text, b"\0"].concat();
            let at = strings.windows(with_end.len()).position(|w| w == with_end && text.len() < w.len());
            u32::try_from(at.unwrap()).unwrap()
        };
        let mut types: Vec<u32> = Vec::new();
        types.extend([name(b"int"), kind::INT << 24, 4, 0x0100_0020]);
        types.extend([0, kind::UNION << 24 | 2, 4, name(b"c"), 1, 0, name(b"d"), 1, 0]);
        types.extend([0, kind::STRUCT << 24 | 2, 8, name(b"b"), 1, 0, 0, 2, 32]);
        types.extend([name(b"outer"), 1 << 31 | kind::STRUCT << 24 | 3, 20]);
        types.extend([name(b"a"), 1, 0, 0, 3, 32, name(b"e"), 1, 0x0100_0060]);
        types.extend([name(b"alias"), kind::TYPEDEF << 24, 4]);
        types.extend([0, kind::FUNC_PROTO << 24, 0]);
        types.extend([name(b"run"), kind::FUNC << 24, 6]);
        let types: Vec<u8> = types.iter().flat_map(|w| w.to_ne_bytes()).collect();
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let mut blob = MAGIC.to_ne_bytes().to_vec();
        blob.extend([1, 0]);
        for word in [24, 0, length(&types), length(&types), length(strings)] {
            blob.extend(word.to_ne_bytes());
        }
        [blob, types, strings.to_vec()].concat()
    }

    #[test]
    fn finds_members_at_every_depth() {
        let blob = blob();
        let btf = Btf::parse(&blob).unwrap();
        for (member, offset) in [("a", 0), ("b", 4), ("c", 8), ("d", 8), ("e", 12)] {
            assert_eq!(btf.offset_of("outer", member), Some(offset), "{member}");
            assert_eq!(btf.offset_of("alias", member), Some(offset), "alias.{member}");
        }
        assert_eq!(btf.bit_offset_of("outer", "e"), Some(96));
        assert_eq!(
            (btf.size_of("outer"), btf.size_of("alias"), btf.size_of("nowhere")),
            (Some(20), Some(20), None)
        );
        assert_eq!(btf.offset_of("outer", "z"), None);
        assert_eq!(btf.offset_of("nowhere", "a"), None);
    }

    #[test]
    fn a_function_is_found_by_its_name_and_no_type_is_taken_for_it() {
        let blob = blob();
        let btf = Btf::parse(&blob).unwrap();
        assert!(btf.has_function("run"));
        assert!(!btf.has_function("outer") && !btf.has_function("walk"));
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        assert!(Btf::parse(b"").is_err());
        assert!(Btf::parse(b"\x9f\xeb\x01\x00").is_err());
        let whole = blob();
        for length in 0..whole.len() {
            if let Ok(btf) = Btf::parse(&whole[..length]) {
                assert_eq!(btf.offset_of("nowhere", "a"), None);
            }
        }
    }
}
