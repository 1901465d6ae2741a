//! A process takes another name, or ends.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use net_traffic_common::PROCESS_EXITED;

use crate::{
    kernel::{Memory, Typed, offset, process_key, read_octets},
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

/// `void sched_process_exit(struct task_struct *p)`, tracepoint, since Linux 2.6.
#[btf_tracepoint(function = "sched_process_exit")]
fn exit_tp(ctx: BtfTracePointContext) -> i32 {
    let task: *const c_void = ctx.arg(0);
    // SAFETY: the tracepoint's prototype.
    unsafe {
        if Typed::read::<u32>(task, offset!(pid)) == Typed::read::<u32>(task, offset!(tgid))
            && let Some(row) = PROCESSES.get_ptr_mut(process_key::<Typed>(task))
        {
            (*row).flags |= PROCESS_EXITED;
        }
    }
    0
}
