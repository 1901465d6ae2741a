//! Writes reports: for people as tables and Markdown, for programs as JSON Lines and CSV.

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

use std::io::{self, Write};

pub use self::format::Units;
use net_traffic_view::Report;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Markdown,
    Json,
    Csv,
}

/// How to write, as the user and the terminal have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub format: Format,
    /// `None`: bits for links, bytes for all else.
    pub units: Option<Units>,
    pub header: bool,
    pub color: bool,
    /// Characters in a line of the terminal; `None` where there is none, and then nothing is fitted.
    pub width: Option<u16>,
    /// More than one report may follow.
    pub series: bool,
}

/// Writes one report after the other.
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

/// The width of the terminal that standard error is; `None` if it is none.
#[must_use]
pub fn error_width() -> Option<u16> {
    let mut probe = comfy_table::Table::new();
    probe.use_stderr();
    probe.is_tty().then(|| probe.width()).flatten().filter(|width| *width > 0)
}

/// The width of the terminal that standard output is; `None` if it is none.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    let probe = comfy_table::Table::new();
    probe.is_tty().then(|| probe.width()).flatten()
}
