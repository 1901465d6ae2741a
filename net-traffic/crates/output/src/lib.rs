//! Writes reports: tables and Markdown for people, JSON Lines and CSV for programs, and the full screen.
//!
//! Data flows one way: collector -> snapshot -> model -> view -> [`Report`] -> [`Output`] -> writer. An output formats
//! values; it computes none. Units and prefixes are in [`format`](mod@format) alone.
//!
//! - To add an output: write one file with `pub fn write`, and add a variant to [`Format`]. The compiler then names the
//!   `match` in [`Output::write`] that lacks it.
//! - [`tui`] is the full screen, [`packets`] are capture files, [`throughput`] is the verdict on an iperf3 test.
//!
//! ```
//! use net_traffic_model::Model;
//! use net_traffic_output::{Format, Output, Settings};
//! use net_traffic_view::{Connections, Options, View};
//!
//! let model = Model::default();
//! let report = Connections.report(&model, &Options::default());
//! let settings =
//!     Settings { format: Format::Csv, units: None, header: true, color: false, width: None, series: false };
//! let mut csv = Vec::new();
//! Output::new(settings).write(&mut csv, &report)?;
//! assert!(csv.starts_with(b"protocol,local_address,local_port"));
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod csv;
mod footer;
pub mod format;
pub mod json;
pub mod markdown;
pub mod packets;
mod rendered_column;
pub mod table;
pub mod throughput;
pub mod tui;

use std::io::{self, IsTerminal, Write};

pub use self::format::Units;
use net_traffic_view::Report;

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Markdown,
    Json,
    Csv,
}

/// The user's choices and the properties of the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub format: Format,
    /// `None` means bits for interface rates, and bytes for all else.
    pub units: Option<Units>,
    pub header: bool,
    pub color: bool,
    /// The width of the terminal in characters; `None` if there is no terminal, and then tables are as wide as needed.
    pub width: Option<u16>,
    /// Whether several reports may follow.
    pub series: bool,
}

/// Writes reports in sequence.
#[derive(Debug)]
pub struct Output {
    settings: Settings,
    written: u64,
}

impl Output {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, written: 0 }
    }

    /// Writes the next report.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&mut self, out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
        let settings = &self.settings;
        let first = self.written == 0;
        self.written += 1;
        match settings.format {
            Format::Json => json::write(out, report),
            Format::Csv => csv::write(
                out,
                report,
                csv::Layout { header: settings.header && first, time: settings.series },
            ),
            Format::Markdown | Format::Table => {
                if !first {
                    writeln!(out)?;
                }
                if settings.format == Format::Markdown {
                    markdown::write(out, report, settings.units)
                } else {
                    table::write(out, report, settings)
                }
            }
        }
    }
}

/// The width of the terminal on standard error; `None` if standard error is not a terminal, or one without a size.
#[must_use]
pub fn error_width() -> Option<u16> {
    io::stderr().is_terminal().then(columns).flatten().filter(|width| *width > 0)
}

/// The width of the terminal on standard output; `None` if standard output is not a terminal.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    io::stdout().is_terminal().then(columns).flatten()
}

fn columns() -> Option<u16> {
    ratatui::crossterm::terminal::size().ok().map(|(columns, _)| columns)
}
