//! A process is forked, takes another name, or exits.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    account::{descendants, process::Row},
    kernel::{Task, Typed, by_address},
};

/// `void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, tracepoint, since
/// Linux 3.4. The task is the leader of its process by now ([`de_thread`][leader]).
///
/// [leader]: https://github.com/gregkh/linux/blob/v6.12.117/fs/exec.c#L1063-L1117
#[btf_tracepoint(function = "sched_process_exec")]
fn nt_exec_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let task = unsafe { Task::<Typed>::new(ctx.arg(0)) };
    if let Some(row) = Row::of(task.process_key()) {
        row.set_comm(task.comm());
    }
    0
}

/// `void sched_process_exit(struct task_struct *p)`, tracepoint, since Linux 2.6; for each thread,
/// [before its descriptors are closed][files].
///
/// [files]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/exit.c#L945-L949
#[btf_tracepoint(function = "sched_process_exit")]
fn nt_exit_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let task = unsafe { Task::<Typed>::new(ctx.arg(0)) };
    if by_address() {
        super::calls::thread_exits();
    }
    if task.live_threads() != 0 {
        // Other threads go on, also when the leader exits first.
        return 0;
    }
    let key = task.group_leader().process_key();
    descendants::exited(key);
    if let Some(row) = Row::of(key) {
        row.set_exited();
    }
    0
}

/// `void sched_process_fork(struct task_struct *parent, struct task_struct *child)`, tracepoint, since Linux 2.6;
/// [before the child runs][wake].
///
/// [wake]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/fork.c#L2853-L2874
#[btf_tracepoint(function = "sched_process_fork")]
fn nt_fork_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let (parent, child) = unsafe { (Task::new(ctx.arg(0)), Task::new(ctx.arg(1))) };
    descendants::forked(parent, child);
    0
}
