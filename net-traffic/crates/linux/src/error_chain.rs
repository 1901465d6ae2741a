//! The text of an error and its causes, for a report.

use std::error::Error;

use aya::EbpfError;
use aya::programs::ProgramError;
use aya_obj::btf::BtfError;

/// An error with its causes, on one line. A cause that the text has already is left out.
///
/// Two errors of aya print the verifier's log, which has thousands of lines. They are recognised by their type.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = own_message(error);
        let line = message.lines().next().unwrap_or_default().trim_end_matches(':');
        if !text.contains(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = error.source();
    }
    text
}

fn own_message(error: &(dyn Error + 'static)) -> String {
    if let Some(ProgramError::LoadError { io_error, .. }) = error.downcast_ref() {
        return format!("the BPF_PROG_LOAD syscall returned {io_error}");
    }
    if let Some(BtfError::LoadError { io_error, .. }) = error.downcast_ref() {
        return format!("the BPF_BTF_LOAD syscall returned {io_error}");
    }
    match error.downcast_ref() {
        Some(EbpfError::BtfError(_)) => "BTF error".to_owned(),
        Some(EbpfError::ProgramError(_)) => "program error".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use aya::maps::MapError;

    use super::*;
    use crate::load::{AttachError, LoadError};

    fn refused() -> io::Error {
        io::Error::from_raw_os_error(libc::EPERM)
    }

    #[test]
    fn causes_follow_on_one_line() {
        let error = EbpfError::MapError(MapError::CreateError { name: "M".into(), io_error: refused() });
        assert_eq!(
            chain(&error),
            "map error: failed to create map `M`: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn verifier_log_is_left_out() {
        let load = || ProgramError::LoadError { io_error: refused(), verifier_log: verifier_log() };
        let text = "the BPF_PROG_LOAD syscall returned Operation not permitted (os error 1)";
        assert_eq!(chain(&load()), text);
        assert_eq!(chain(&EbpfError::ProgramError(load())), format!("program error: {text}"));
        let btf = BtfError::LoadError { io_error: refused(), verifier_log: verifier_log() };
        assert_eq!(
            chain(&EbpfError::BtfError(btf)),
            "BTF error: the BPF_BTF_LOAD syscall returned Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn cause_of_wrapped_error_appears_once() {
        let error = EbpfError::MapError(MapError::CreateError { name: "M".into(), io_error: refused() });
        let text =
            "load the eBPF object: map error: failed to create map `M`: Operation not permitted (os error 1)";
        let error = LoadError::Object(error);
        assert_eq!((error.to_string().as_str(), chain(&error).as_str()), (text, text));
        let load = ProgramError::LoadError { io_error: refused(), verifier_log: verifier_log() };
        assert_eq!(
            chain(&AttachError::Program(load)),
            "the BPF_PROG_LOAD syscall returned Operation not permitted (os error 1)"
        );
    }

    fn verifier_log() -> aya_obj::VerifierLog {
        aya_obj::VerifierLog::new("R1 invalid mem access\nprocessed 3 insns".to_owned())
    }
}
