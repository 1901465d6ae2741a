//! Assembles and loads a filter program: the translated filter, and a tail call at the end.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_prog_type};
use pcap_filter::ebpf::{EbpfInsn, Hook, TranslateError, translate};
use pcap_filter::{FilterError, Program};

/// Continues with the next program on the interface
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/pkt_cls.h#L63>).
const TC_ACT_UNSPEC: i32 = -1;
/// <https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L6452>
const XDP_PASS: i32 = 2;
/// `BPF_JMP | BPF_EXIT`.
const EXIT: u8 = 0x95;

/// Why a filter cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("{0}")]
    Filter(FilterError),
    #[error("{0}")]
    Translate(#[from] TranslateError),
    #[error("the filter is too long for the kernel")]
    TooLong,
    #[error("load the filter: {0}")]
    Load(io::Error),
}

/// Loads the filter for one hook point. An accepted packet continues at entry `next` of the program array `stages`.
pub(super) fn load(
    program: &Program,
    hook: Hook,
    stages: BorrowedFd<'_>,
    next: u32,
) -> Result<OwnedFd, ProgramError> {
    let is_xdp = hook == Hook::Xdp;
    let rejected = if is_xdp { XDP_PASS } else { TC_ACT_UNSPEC };
    let code = assemble(&translate(&program.insns, hook)?, stages.as_raw_fd(), next, rejected)?;
    load_program(&code, is_xdp).map_err(ProgramError::Load)
}

/// Replaces every exit of the filter by a jump to the end, which tail-calls the next program for an accepted packet.
fn assemble(
    filter: &[EbpfInsn],
    stages: i32,
    next: u32,
    rejected: i32,
) -> Result<Vec<[u8; 8]>, ProgramError> {
    let mut code = Vec::with_capacity(filter.len() + 8);
    for (at, insn) in filter.iter().enumerate() {
        if insn.code == EXIT {
            let distance = i16::try_from(filter.len() - at - 1).map_err(|_far| ProgramError::TooLong)?;
            code.push(raw(0x05, 0, 0, distance, 0));
        } else {
            code.push(insn.to_bytes());
        }
    }
    code.extend([
        // if r0 == 0 goto reject
        raw(0x15, 0, 0, 5, 0),
        // r1 = r6, the context in translated code
        raw(0xbf, 1, 6, 0, 0),
        // r2 = the map
        raw(0x18, 2, 1, 0, stages),
        raw(0, 0, 0, 0, 0),
        // r3 = the entry
        raw(0xb7, 3, 0, 0, next.cast_signed()),
        // bpf_tail_call, which does not return
        raw(0x85, 0, 0, 0, 12),
        // reject
        raw(0xb7, 0, 0, 0, rejected),
        raw(EXIT, 0, 0, 0, 0),
    ]);
    Ok(code)
}

fn raw(code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> [u8; 8] {
    let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
    let [o1, o2] = offset.to_ne_bytes();
    let [i1, i2, i3, i4] = imm.to_ne_bytes();
    [code, registers, o1, o2, i1, i2, i3, i4]
}

fn load_program(code: &[[u8; 8]], is_xdp: bool) -> io::Result<OwnedFd> {
    /// The first members of `union bpf_attr` for `BPF_PROG_LOAD`.
    #[repr(C)]
    struct Attributes {
        kind: u32,
        count: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attach_type: u32,
    }
    let program_type =
        if is_xdp { bpf_prog_type::BPF_PROG_TYPE_XDP } else { bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS };
    let attributes = Attributes {
        kind: program_type as u32,
        count: u32::try_from(code.len()).unwrap_or(u32::MAX),
        insns: code.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"capture_filter\0\0",
        interface: 0,
        attach_type: if is_xdp { bpf_attach_type::BPF_XDP as u32 } else { 0 },
    };
    let command = bpf_cmd::BPF_PROG_LOAD as libc::c_long;
    // SAFETY: the size is that of the attributes, and the instructions and the license outlive the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(&attributes), size_of::<Attributes>())
    };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and this function has the only copy.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_filter::Insn;
    use pcap_filter::bpf::{K, RET};

    #[test]
    fn every_exit_becomes_jump_to_end() {
        let filter = translate(&[Insn::stmt(RET | K, 0), Insn::stmt(RET | K, 96)], Hook::TcIngress).unwrap();
        let code = assemble(&filter, 7, 1, TC_ACT_UNSPEC).unwrap();
        let exits: Vec<usize> = (0..code.len()).filter(|at| code[*at][0] == EXIT).collect();
        assert_eq!(exits, [code.len() - 1]);
        for (at, insn) in code.iter().enumerate().take(filter.len()).filter(|(_, insn)| insn[0] == 0x05) {
            let distance = i16::from_ne_bytes([insn[2], insn[3]]);
            assert_eq!(at + 1 + usize::try_from(distance).unwrap(), filter.len());
        }
    }
}
