//! The eBPF object, with the sizes and constants of one load.

use std::sync::{LazyLock, Mutex, PoisonError};

use aya::{Ebpf, EbpfLoader, Pod, VerifierLogLevel};
use net_traffic_common::{Ancestor, Hierarchy, Offsets};

use super::LoadError;
use crate::plan::{MAPS, MapUse, Storage};

/// The object, built by `cargo xtask build-ebpf`.
pub(crate) static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/net-traffic.bpf.o");

/// aya's loader reads and parses the kernel's BTF when it is made, for CO-RE relocations. The object has none, so that
/// the loader drops it. One loader serves every load of the process, which saves the parsing from the second load on.
static LOADER: LazyLock<Mutex<EbpfLoader<'static>>> = LazyLock::new(|| {
    let mut loader = EbpfLoader::new();
    // aya repeats a refused load with ever larger buffers until the log fits. Reports do not print the log.
    loader.btf(None).verifier_log_level(VerifierLogLevel::STATS);
    Mutex::new(loader)
});

/// The constants of the programs. The verifier sees their values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Constants {
    pub(super) offsets: Offsets,
    pub(super) hierarchy: Hierarchy,
    pub(super) ancestor: Ancestor,
}

/// Makes the maps and prepares the programs. No program is loaded.
pub(super) fn open(constants: &Constants, usage: &MapUse) -> Result<Ebpf, LoadError> {
    let Constants { offsets, hierarchy, ancestor } = *constants;
    let by_address = u32::from(usage.storage == Some(Storage::ByAddress));
    let options = usage.options;
    let mut loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    loader
        .override_global("OFFSETS", lasting(offsets), true)
        .override_global("HIERARCHY", lasting(hierarchy), true)
        .override_global("ANCESTOR", lasting(ancestor), true)
        .override_global("CAPTURE", lasting(options.capture.unwrap_or_default()), true)
        .override_global("BY_ADDRESS", lasting(by_address), true)
        .override_global("COUNTS_XDP_RX", lasting(u32::from(options.xdp_rx)), true)
        .override_global("DROP_ONE_IN", lasting(options.lose_one_in), true);
    for map in MAPS {
        loader.map_max_entries(map.name, (map.entries)(usage));
    }
    loader.load(OBJECT).map_err(LoadError::Object)
}

/// The loader borrows the constants for as long as it lives. A load leaves 400 bytes behind.
fn lasting<T: Pod>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}
