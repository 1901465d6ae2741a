//! `capture`: packets of a file or of this machine, through the filter, to a file or to standard output.

mod file;
mod live;
mod writer;

use std::io::{self, Write};
use std::path::Path;

use self::writer::Writer;
use super::failure::{Failure, note};
use crate::config::CaptureConfig;
use crate::config::capture::{CaptureSource, DumpForm, Filter, FilterText};
use crate::source::system::link_of;
use net_traffic_capture::{FILE_NETMASK, Ledger, names};
use pcap_filter::{CompileOptions, FilterError, LinkType, compile, disassemble};
use pcap_io::MAX_SNAPLEN;
use pcap_io::{CaptureReader, Interface, ReadError};

pub(super) fn run(capture: &CaptureConfig) -> Result<(), Failure> {
    let expression = match &capture.filter.text {
        FilterText::Expression(expression) => expression.clone(),
        FilterText::File(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("-F {}: {error}", path.display())))?
            .trim_end()
            .to_owned(),
    };
    if let Some(form) = capture.filter.dump {
        return print_program(capture, &expression, form);
    }
    match &capture.from {
        CaptureSource::File { path, direction } => file::read(capture, path, *direction, &expression),
        CaptureSource::Live(options) => live::capture(capture, options, &[], &expression),
        CaptureSource::Command { command, options } => live::capture(capture, options, command, &expression),
    }
}

/// Prints the compiled filter (`-d`).
fn print_program(capture: &CaptureConfig, expression: &str, form: DumpForm) -> Result<(), Failure> {
    let (linktype, metadata, netmask) = match &capture.from {
        CaptureSource::File { path, .. } => {
            let file = CaptureReader::open(path).map_err(|error| cannot_open(path, &error))?;
            let link =
                file.interfaces().first().and_then(|interface| LinkType::try_from(interface.link.0).ok());
            (link.unwrap_or(LinkType::Ethernet), false, Some(FILE_NETMASK))
        }
        CaptureSource::Live(options) | CaptureSource::Command { options, .. } => {
            let link = options.interfaces.first().and_then(|name| LinkType::try_from(link_of(name)?.0).ok());
            (link.unwrap_or(LinkType::Ethernet), true, None)
        }
    };
    let Filter { optimize, .. } = capture.filter;
    let names = names();
    let options =
        CompileOptions { linktype, netmask, snaplen: MAX_SNAPLEN, names: &names, metadata, optimize };
    let program = compile(expression, &options).map_err(|error| invalid_filter(expression, &error))?;
    let mut out = io::stdout().lock();
    match form {
        DumpForm::Assembly => out.write_all(disassemble(&program.insns).as_bytes())?,
        DumpForm::C => {
            for insn in &program.insns {
                let (code, jt, jf, k) = (insn.code, insn.jt, insn.jf, insn.k);
                writeln!(out, "{{ 0x{code:x}, {jt}, {jf}, 0x{k:08x} }},")?;
            }
        }
        DumpForm::Decimal => {
            writeln!(out, "{}", program.insns.len())?;
            for insn in &program.insns {
                writeln!(out, "{} {} {} {}", insn.code, insn.jt, insn.jf, insn.k)?;
            }
        }
    }
    Ok(())
}

/// An invalid filter, with a caret under the error.
fn invalid_filter(expression: &str, error: &FilterError) -> Failure {
    Failure::Usage(format!("filter: {}", error.render(expression)))
}

/// A file that cannot be opened, or is no capture file.
fn cannot_open(path: &Path, error: &ReadError) -> Failure {
    Failure::Usage(format!("-r {}: {error}", path.display()))
}

/// A file that is invalid or ends after some packets.
fn cannot_read(path: &Path, error: &ReadError) -> Failure {
    Failure::Failed(format!("failed to read {}: {error}", path.display()))
}

/// The first line that tcpdump prints.
fn note_source(begin: &str, interface: &Interface) {
    let (name, description) = interface.link.names().unwrap_or(("unknown", "unknown"));
    let snaplen = if interface.snaplen == 0 { MAX_SNAPLEN } else { interface.snaplen };
    note(&format!("{begin}, link-type {name} ({description}), snapshot length {snaplen} bytes"));
}
