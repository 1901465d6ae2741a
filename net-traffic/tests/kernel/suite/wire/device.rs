//! Changes an interface beyond `ip`: offloads and packet loss.

use std::ffi::c_void;
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use aya::programs::tc::{NlOptions, TcAttachOptions};
use aya::programs::{LinkOrder, ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};

use super::place::Place;

/// `struct ethtool_value`.
#[repr(C)]
struct Setting {
    command: u32,
    value: u32,
}

nix::ioctl_readwrite_bad!(ethtool, libc::SIOCETHTOOL, libc::ifreq);

/// Disables GSO and TSO: the stack splits large packets before the device counts them.
pub(super) fn without_offloads(place: &Place, interface: &'static str) {
    const SEGMENT_TCP: u32 = 0x1f;
    const SEGMENT: u32 = 0x24;
    switch_off(place, interface, &[SEGMENT_TCP, SEGMENT]);
}

/// Disables VLAN offload: the stack inserts and removes the tags, and the device counts them.
pub(super) fn with_tags_in_band(place: &Place, interface: &'static str) {
    const FLAGS: u32 = 0x26;
    switch_off(place, interface, &[FLAGS]);
}

fn switch_off(place: &Place, interface: &'static str, commands: &'static [u32]) {
    place.run(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for &command in commands {
            let mut setting = Setting { command, value: 0 };
            // SAFETY: ifreq consists of integers and unions of integers, so all zeroes is a valid value.
            let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
            for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
                *to = from.cast_signed();
            }
            request.ifr_ifru.ifru_data = (&raw mut setting).cast();
            // SAFETY: the request names an interface, and its setting lives during the call.
            unsafe { ethtool(socket.as_raw_fd(), &raw mut request) }.unwrap();
        }
    });
}

/// A program that drops one packet of sixteen at random.
pub(super) struct Losses {
    _program: OwnedFd,
    name: String,
}

impl Losses {
    pub(super) fn new() -> Self {
        // A program name has 15 characters at most (BPF_OBJ_NAME_LEN).
        let name = format!("loss_{}", std::process::id());
        Self { _program: load(&name).unwrap(), name }
    }

    /// Drops received packets of an interface before the programs that are attached already.
    #[expect(clippy::mem_forget, reason = "the program must stay when the thread goes on to other things")]
    pub(super) fn before_all(&self, place: &Place, interface: &'static str) {
        let name = self.name.clone();
        place.run(move || {
            // The qdisc may exist already.
            drop(aya::programs::tc::qdisc_add_clsact(interface));
            let first = NlOptions { priority: 1, ..NlOptions::default() };
            let ways = [TcAttachOptions::TcxOrder(LinkOrder::first()), TcAttachOptions::Netlink(first)];
            let attached = ways.into_iter().find_map(|way| {
                let mut program = named(&name);
                let link = program.attach_with_options(interface, TcAttachType::Ingress, way).ok()?;
                Some(program.take_link(link).unwrap())
            });
            std::mem::forget(attached.unwrap());
        });
    }

    /// Drops received or sent packets of an interface by a tc filter, which stays until the namespace ends.
    #[expect(clippy::mem_forget, reason = "the filter must stay when the thread goes on to other things")]
    pub(super) fn on(&self, place: &Place, interface: &'static str, side: TcAttachType) {
        let name = self.name.clone();
        place.run(move || {
            // The qdisc may exist already.
            drop(aya::programs::tc::qdisc_add_clsact(interface));
            let mut program = named(&name);
            let options = TcAttachOptions::Netlink(NlOptions::default());
            let link = program.attach_with_options(interface, side, options).unwrap();
            std::mem::forget(program.take_link(link).unwrap());
        });
    }
}

fn named(name: &str) -> SchedClassifier {
    let ours = |info: &ProgramInfo| info.name_as_str() == Some(name);
    let info = loaded_programs().map(Result::unwrap).find(ours).unwrap();
    SchedClassifier::from_program_info(info, FILTER.into()).unwrap()
}

/// The name of the dropping filters.
pub(super) const FILTER: &str = "loses-packets";

/// The number of retransmitted segments of a namespace.
pub(super) fn retransmits(place: &Place) -> u64 {
    place.run(|| {
        let text = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let at = names.split(' ').position(|name| name == "RetransSegs").unwrap();
        values.split(' ').nth(at).unwrap().parse().unwrap()
    })
}

const PROG_LOAD: libc::c_long = 5;

fn load(name: &str) -> io::Result<OwnedFd> {
    const SCHED_CLS: u32 = 3;
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        licence: u64,
        log: [u64; 2],
        version_flags: u64,
        name: [u8; 16],
    }
    /// Code, registers, offset, immediate.
    const fn instruction(code: u8, registers: u8, offset: u16, immediate: i32) -> u64 {
        code as u64
            | (registers as u64) << 8
            | (offset as u64) << 16
            | (immediate.cast_unsigned() as u64) << 32
    }
    // r0 = get_prandom_u32(); r0 &= 15; if r0 == 0 return TC_ACT_SHOT; return TC_ACT_UNSPEC
    let instructions = [
        instruction(0x85, 0, 0, 7),
        instruction(0x57, 0, 0, 15),
        instruction(0x55, 0, 2, 0),
        instruction(0xb7, 0, 0, 2),
        instruction(0x95, 0, 0, 0),
        instruction(0xb7, 0, 0, -1),
        instruction(0x95, 0, 0, 0),
    ];
    let mut attr = Load {
        kind: SCHED_CLS,
        count: 7,
        instructions: instructions.as_ptr() as u64,
        licence: c"GPL".as_ptr() as u64,
        log: [0; 2],
        version_flags: 0,
        name: [0; 16],
    };
    attr.name[..name.len()].copy_from_slice(name.as_bytes());
    let fd = bpf(PROG_LOAD, (&raw const attr).cast(), size_of::<Load>())?;
    // SAFETY: the call has just created this descriptor, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf(command: libc::c_long, attr: *const c_void, size: usize) -> io::Result<i32> {
    // SAFETY: callers pass the kernel's struct of the command, whose pointers are valid during the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(result).map_err(io::Error::other) }
}
