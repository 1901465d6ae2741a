//! A process is born, takes another name, or ends.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use net_traffic_common::PROCESS_EXITED;

use crate::{
    account::family,
    kernel::{Memory, Typed, by_address, offset, process_key, read_octets},
    maps::PROCESSES,
};

/// `void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, tracepoint, since
/// Linux 3.4.
#[btf_tracepoint(function = "sched_process_exec")]
fn exec_tp(ctx: BtfTracePointContext) -> i32 {
    let task: *const c_void = ctx.arg(0);
    // SAFETY: the tracepoint's prototype; by now the task leads its thread group.
    unsafe {
        if let Some(row) = PROCESSES.get_ptr_mut(process_key::<Typed>(task)) {
            (*row).comm = read_octets(task, offset!(comm));
        }
    }
    0
}

/// `void sched_process_exit(struct task_struct *p)`, tracepoint, since Linux 2.6; for each thread, before its
/// descriptors are closed.
#[btf_tracepoint(function = "sched_process_exit")]
fn exit_tp(ctx: BtfTracePointContext) -> i32 {
    let task: *const c_void = ctx.arg(0);
    if by_address() {
        super::calls::thread_ended();
    }
    // SAFETY: the tracepoint's prototype.
    unsafe {
        let signal = Typed::read::<u64>(task, offset!(signal)) as *const c_void;
        if Typed::read::<u32>(signal, offset!(live)) != 0 {
            // Other threads run on, also when the first one ends.
            return 0;
        }
        let leader = Typed::read::<u64>(task, offset!(group_leader)) as *const c_void;
        let key = process_key::<Typed>(leader);
        family::ended(key);
        if let Some(row) = PROCESSES.get_ptr_mut(key) {
            (*row).flags |= PROCESS_EXITED;
        }
    }
    0
}

/// `void sched_process_fork(struct task_struct *parent, struct task_struct *child)`, tracepoint, since Linux 2.6;
/// before the child's first instruction.
#[btf_tracepoint(function = "sched_process_fork")]
fn fork_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { family::born(ctx.arg(0), ctx.arg(1)) };
    0
}
