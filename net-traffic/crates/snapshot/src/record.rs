//! Writes snapshots to a recording.

use std::io::{self, Write};

use serde::Serialize;

use crate::Snapshot;
use crate::recording::Header;

/// Writes a recording. Each line is written whole, so that the recording of a killed process can be read.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    out: W,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn begin(out: W) -> io::Result<Self> {
        let mut recorder = Self { out };
        recorder.line(&Header::current())?;
        Ok(recorder)
    }

    /// Adds a snapshot.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn add(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.line(snapshot)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}
