//! Reads snapshots back from a recording.
//!
//! The whole recording is checked before the first snapshot is returned, so that no report comes from a broken file. The
//! second pass reads line by line: a recording may be larger than the memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use crate::Snapshot;
use crate::recording::{FORMAT, Header, VERSION};

/// A recording, at its next snapshot.
pub struct Replay {
    lines: Lines,
}

/// Why a file is no recording that can be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    #[error("it is empty")]
    Empty,
    #[error("line 1: this is not a recording of net-traffic")]
    Foreign,
    #[error("line 1: version {found} of the format is not known; this program reads version {VERSION}")]
    Version { found: u32 },
    #[error("line {line}: {cause}")]
    Snapshot { line: u64, cause: serde_json::Error },
    #[error("line {line}: the recording ends in the middle of a snapshot")]
    Truncated { line: u64 },
    #[error("line {line}: time goes backwards")]
    Order { line: u64 },
}

impl Replay {
    /// Opens a recording and checks all of it.
    ///
    /// # Errors
    /// With the number of the malformed line.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let mut file = File::open(path)?;
        let input: Box<dyn Input> = if file.metadata()?.is_file() {
            Box::new(BufReader::new(file))
        } else {
            // A pipe can be read only once.
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Box::new(Cursor::new(bytes))
        };
        Self::check(input)
    }

    /// The next snapshot; `None` at the end.
    ///
    /// # Errors
    /// When the file has changed since the check.
    pub fn snapshot(&mut self) -> Result<Option<Snapshot>, ReplayError> {
        self.lines.snapshot()
    }

    fn check(input: Box<dyn Input>) -> Result<Self, ReplayError> {
        let mut lines = Lines { input, number: 0, line: Vec::new() };
        lines.header()?;
        let mut before = 0;
        while let Some(snapshot) = lines.snapshot()? {
            if snapshot.at.monotonic_ns < before {
                return Err(ReplayError::Order { line: lines.number });
            }
            before = snapshot.at.monotonic_ns;
        }
        lines.input.rewind()?;
        lines.number = 0;
        lines.header()?;
        Ok(Self { lines })
    }
}

trait Input: BufRead + Seek + Send {}

impl<T: BufRead + Seek + Send> Input for T {}

/// A file by lines, each with its number.
struct Lines {
    input: Box<dyn Input>,
    number: u64,
    line: Vec<u8>,
}

/// A longer first line is no header.
const HEADER_LENGTH: u64 = 4096;

impl Lines {
    fn header(&mut self) -> Result<(), ReplayError> {
        self.line.clear();
        self.number = 1;
        let read = (&mut self.input).take(HEADER_LENGTH).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Err(ReplayError::Empty);
        }
        match serde_json::from_slice::<Header>(&self.line) {
            Ok(header) if header.format != FORMAT => Err(ReplayError::Foreign),
            Ok(header) if header.version != VERSION => Err(ReplayError::Version { found: header.version }),
            Ok(_) => Ok(()),
            Err(_) => Err(ReplayError::Foreign),
        }
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>, ReplayError> {
        self.line.clear();
        self.number += 1;
        let line = self.number;
        if self.input.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        match serde_json::from_slice(&self.line) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(cause) if cause.is_eof() => Err(ReplayError::Truncated { line }),
            Err(cause) => Err(ReplayError::Snapshot { line, cause }),
        }
    }
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Replay").field("line", &self.lines.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recorder;
    use super::*;
    use crate::Time;

    fn replay(bytes: &[u8]) -> Result<Replay, ReplayError> {
        Replay::check(Box::new(Cursor::new(bytes.to_vec())))
    }

    fn message(bytes: &[u8]) -> String {
        replay(bytes).unwrap_err().to_string()
    }

    fn recording(snapshots: &[Snapshot]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut recorder = Recorder::begin(&mut bytes).unwrap();
        for snapshot in snapshots {
            recorder.add(snapshot).unwrap();
        }
        bytes
    }

    fn at(monotonic_ns: u64) -> Snapshot {
        Snapshot { at: Time { unix_ns: 1, monotonic_ns }, ..Snapshot::default() }
    }

    #[test]
    fn recorded_snapshots_are_returned() {
        let mut replay = replay(&recording(&[at(1), at(2)])).unwrap();
        assert_eq!(replay.snapshot().unwrap(), Some(at(1)));
        assert_eq!(replay.snapshot().unwrap(), Some(at(2)));
        assert_eq!(replay.snapshot().unwrap(), None);
    }

    #[test]
    fn malformed_line_is_named() {
        let whole = recording(&[at(1), at(2)]);
        assert_eq!(
            message(&whole[..whole.len() - 9]),
            "line 3: the recording ends in the middle of a snapshot"
        );
        let garbage = [&whole[..], b"garbage\n"].concat();
        assert!(message(&garbage).starts_with("line 4: "), "{}", message(&garbage));
        assert_eq!(message(&recording(&[at(2), at(1)])), "line 3: time goes backwards");
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(message(b""), "it is empty");
        assert_eq!(message(b"{\"a\":1}\n"), "line 1: this is not a recording of net-traffic");
        assert_eq!(message(&[0xff; 10_000]), "line 1: this is not a recording of net-traffic");
        let later = b"{\"format\":\"net-traffic-recording\",\"version\":7}\n";
        assert!(message(later).contains("version 7"));
    }
}
