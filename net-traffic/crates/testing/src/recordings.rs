//! The recordings that the tests replay. A new file in `tests/recordings` is a new case.

use std::path::{Path, PathBuf};

use net_traffic_snapshot::{Replay, Snapshot};

/// The paths of all recordings, sorted by name.
pub fn recordings() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

/// The path of the recording with this name.
pub fn recording(name: &str) -> PathBuf {
    directory().join(name).with_extension("jsonl")
}

/// The snapshots of a recording.
pub fn snapshots(recording: &Path) -> Vec<Snapshot> {
    let mut replay = Replay::open(recording).unwrap();
    std::iter::from_fn(|| replay.snapshot().unwrap()).collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings")
}
