//! A cgroup is made.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::account::cgroup;

/// `void cgroup_mkdir(struct cgroup *cgrp, const char *path)`, tracepoint, since Linux 4.13.
#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { cgroup::made(ctx.arg(0), ctx.arg(1)) };
    0
}
