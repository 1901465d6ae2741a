//! Captures packets: from a file or the machine, through the filter, to a file or the screen.

mod file;
mod live;
mod sink;

use std::io::{self, Write};
use std::path::Path;

use self::sink::Writer;
use super::failure::{Failure, note};
use crate::config::capture::{Capture, DumpForm, Filter, FilterText, From};
use crate::source::system::link_of;
use net_traffic_capture::{FILE_NETMASK, Ledger, names};
use pcap_filter::{CompileOptions, FilterError, LinkType, compile, disassemble};
use pcap_io::MAX_SNAPLEN;
use pcap_io::{CaptureReader, Interface, ReadError};

/// Does what was asked for, until it is done or somebody stops it.
pub(super) fn run(capture: &Capture) -> Result<(), Failure> {
    let expression = match &capture.filter.text {
        FilterText::Expression(expression) => expression.clone(),
        FilterText::File(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("-F {}: {error}", path.display())))?
            .trim_end()
            .to_owned(),
    };
    if let Some(form) = capture.filter.dump {
        return dump(capture, &expression, form);
    }
    match &capture.from {
        From::File { path, direction } => file::read(capture, path, *direction, &expression),
        From::Live(options) => live::capture(capture, options, &[], &expression),
        From::Command { command, options } => live::capture(capture, options, command, &expression),
    }
}

/// Prints the program that the filter becomes.
fn dump(capture: &Capture, expression: &str, form: DumpForm) -> Result<(), Failure> {
    let (linktype, metadata, netmask) = match &capture.from {
        From::File { path, .. } => {
            let file = CaptureReader::open(path).map_err(|error| unopened(path, &error))?;
            let link =
                file.interfaces().first().and_then(|interface| LinkType::try_from(interface.link.0).ok());
            (link.unwrap_or(LinkType::Ethernet), false, Some(FILE_NETMASK))
        }
        From::Live(options) | From::Command { options, .. } => {
            let link = options.interfaces.first().and_then(|name| LinkType::try_from(link_of(name)?.0).ok());
            (link.unwrap_or(LinkType::Ethernet), true, None)
        }
    };
    let Filter { optimize, .. } = capture.filter;
    let names = names();
    let options =
        CompileOptions { linktype, netmask, snaplen: MAX_SNAPLEN, names: &names, metadata, optimize };
    let program = compile(expression, &options).map_err(|error| misread(expression, &error))?;
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

/// A filter that cannot be meant, with a caret under the place.
fn misread(expression: &str, error: &FilterError) -> Failure {
    Failure::Usage(format!("filter: {}", error.render(expression)))
}

/// What was named cannot be meant, as with `--replay`.
fn unopened(path: &Path, error: &ReadError) -> Failure {
    Failure::Usage(format!("-r {}: {error}", path.display()))
}

/// It broke off after it had begun well.
fn unreadable(path: &Path, error: &ReadError) -> Failure {
    Failure::Failed(format!("failed to read {}: {error}", path.display()))
}

/// As tcpdump says it at the beginning.
fn introduce(begin: &str, interface: &Interface) {
    let (name, description) = interface.link.names().unwrap_or(("unknown", "unknown"));
    let snaplen = if interface.snaplen == 0 { MAX_SNAPLEN } else { interface.snaplen };
    note(&format!("{begin}, link-type {name} ({description}), snapshot length {snaplen} bytes"));
}
