//! Compares filters translated to eBPF with the interpreter. The running kernel loads each program and runs it on
//! stored frames, without attaching it (`BPF_PROG_TEST_RUN`, <https://docs.kernel.org/bpf/bpf_prog_run.html>).

use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use pcap_filter::ebpf::{EbpfInsn, Hook, translate};
use pcap_filter::{Packet, compile, run};

use super::data::{self, Frame};

/// Each program runs on every third frame. The first frame shifts by one with each program.
const STRIDE: usize = 3;
/// `BPF_PROG_TEST_RUN` refuses frames [shorter than an Ethernet header][short]. It also refuses frames [longer than a
/// page less head and tail room][long].
///
/// [short]: https://github.com/gregkh/linux/blob/v6.12.117/net/bpf/test_run.c#L1003
/// [long]: https://github.com/gregkh/linux/blob/v6.12.117/net/bpf/test_run.c#L663
const FRAME_SIZES: std::ops::RangeInclusive<usize> = 14..=3000;

#[test]
fn tc_programs_return_what_the_interpreter_returns() {
    compare(Hook::TcIngress, SCHED_CLS);
}

#[test]
fn xdp_programs_return_what_the_interpreter_returns() {
    compare(Hook::Xdp, XDP);
}

/// Compiles all stored expressions, and compares the result of each test run with that of the interpreter.
fn compare(hook: Hook, program_type: u32) {
    let names = data::names();
    let frames: HashMap<&str, Vec<Frame>> =
        ["EN10MB", "RAW", "LINUX_SLL2"].map(|linktype| (linktype, data::frames(linktype))).into();
    let (mut programs, mut runs, mut accepted) = (0, 0, 0);
    let mut differences = Vec::new();
    for (index, case) in data::cases().iter().enumerate() {
        let options = data::options(data::linktype(&case.linktype), &names);
        let Ok(program) = compile(&case.expression, &options) else { continue };
        let translated = translate(&program.insns, hook).unwrap();
        let loaded = match load(program_type, &translated) {
            Ok(loaded) => loaded,
            Err((error, _)) if programs == 0 && error.kind() == std::io::ErrorKind::PermissionDenied => {
                return crate::skip(&format!("this process may not load programs: {error}"));
            }
            Err((error, log)) => panic!("{} {:?}: {error}\n{log}", case.linktype, case.expression),
        };
        programs += 1;
        for frame in frames[case.linktype.as_str()].iter().skip(index % STRIDE).step_by(STRIDE) {
            if !FRAME_SIZES.contains(&frame.data.len()) {
                continue;
            }
            if program_type == SCHED_CLS && has_truncated_ip_header(&frame.data) {
                continue;
            }
            let wire_length = u32::try_from(frame.data.len()).unwrap();
            let expected = run(&program.insns, Packet { data: &frame.data, wire_length, metadata: None });
            let returned = test_run(&loaded, &frame.data);
            runs += 1;
            accepted += usize::from(returned != 0);
            if returned != expected {
                differences
                    .push(format!("{} {:?}: {returned}, not {expected}", case.linktype, case.expression));
            }
        }
    }
    println!(
        "{hook:?}: {programs} programs, {runs} runs, {accepted} accepted, {} differences",
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(accepted > 0 && accepted < runs);
}

/// Whether the frame ends within its IP header. `BPF_PROG_TEST_RUN` [refuses such a socket buffer][refused].
///
/// [refused]: https://github.com/gregkh/linux/blob/v6.12.117/net/bpf/test_run.c#L1062-L1077
fn has_truncated_ip_header(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.len() < 14 + 20,
        Some([0x86, 0xdd]) => frame.len() < 14 + 40,
        _ => false,
    }
}

/// `BPF_PROG_TYPE_SCHED_CLS`.
const SCHED_CLS: u32 = 3;
/// `BPF_PROG_TYPE_XDP`.
const XDP: u32 = 6;
/// Commands of the system call `bpf`.
const PROG_LOAD: i32 = 5;
const PROG_TEST_RUN: i32 = 10;

/// The first members of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    insn_count: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// The first members of `union bpf_attr` for `BPF_PROG_TEST_RUN`.
#[repr(C)]
struct RunAttributes {
    program: u32,
    returned: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// Loads a program. If the kernel refuses it, loads it again with a log, and returns the first error and the last lines
/// of the verifier's log.
fn load(program_type: u32, insns: &[EbpfInsn]) -> Result<OwnedFd, (std::io::Error, String)> {
    let code: Vec<[u8; 8]> = insns.iter().map(|insn| insn.to_bytes()).collect();
    let mut log = vec![0u8; 1 << 16];
    let mut attributes = LoadAttributes {
        program_type,
        insn_count: u32::try_from(code.len()).unwrap(),
        insns: code.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    let error = match bpf(PROG_LOAD, &mut attributes) {
        // SAFETY: the call returned a new descriptor, which nothing else owns.
        Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(error) => error,
    };
    (attributes.log_level, attributes.log_size) = (1, u32::try_from(log.len()).unwrap());
    attributes.log = log.as_mut_ptr() as u64;
    drop(bpf(PROG_LOAD, &mut attributes));
    let log_length = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..log_length]);
    let last_lines: Vec<&str> = text.lines().rev().take(20).collect();
    Err((error, last_lines.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

/// The return value of the program for a frame.
fn test_run(program: &OwnedFd, frame: &[u8]) -> u32 {
    let mut attributes = RunAttributes {
        program: u32::try_from(program.as_raw_fd()).unwrap(),
        returned: 0,
        data_size_in: u32::try_from(frame.len()).unwrap(),
        data_size_out: 0,
        data_in: frame.as_ptr() as u64,
        data_out: 0,
        repeat: 1,
        duration: 0,
    };
    let result = bpf(PROG_TEST_RUN, &mut attributes);
    assert!(result.is_ok(), "{} bytes: {result:?}: {frame:02x?}", frame.len());
    attributes.returned
}

fn bpf<T>(command: i32, attributes: &mut T) -> std::io::Result<i32> {
    // SAFETY: `size_of::<T>()` is the size of the attributes. All memory that they point to outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap()) }
}
