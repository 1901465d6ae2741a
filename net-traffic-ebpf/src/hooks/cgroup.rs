//! A cgroup is made.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{account::cgroup, kernel::Cgroup};

/// `void cgroup_mkdir(struct cgroup *cgrp, const char *path)`, tracepoint, since Linux 4.13. [A spinlock][lock] makes
/// cgroups one after the other.
///
/// [lock]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/cgroup/cgroup-internal.h#L27-L39
#[btf_tracepoint(function = "cgroup_mkdir")]
fn nt_cgroup_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype, and its lock.
    unsafe { cgroup::store_path(Cgroup::new(ctx.arg(0)), ctx.arg(1)) };
    0
}
