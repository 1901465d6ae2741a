//! Skips are printed and counted. Strict runs allow a skip only if the machine confirms its reason.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aya::programs::ProgramType;
use aya::sys::is_program_supported;
use libtest_mimic::{Completion, Failed};
use net_traffic_selftest::traffic::{Feature, TrafficError};

use super::ledger::COUNTS_SKIPPED;
use super::tracer::{Refused, Tier};

/// One line per skip, printed after the run: during the run the harness has an incomplete line on the screen.
static SKIPPED: Mutex<Vec<String>> = Mutex::new(vec![]);

pub(super) enum Reason {
    /// The process may not make a network namespace.
    Rights(TrafficError),
    Feature(Feature, String),
    Tier(Tier, Refused),
    /// A missing tool that builds the trial's network.
    Tool(&'static str, String),
    /// A missing kind of interface.
    Kind(Kind, String),
    /// A parameter that is global on this kernel, not per namespace.
    Parameter(&'static str),
    /// The kernel runs nested tracepoint programs, so it has no count of skipped ones.
    SkippedUncounted,
}

/// A kind of virtual interface: its name in `ip link add type`, and a function of its kernel module.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) function: &'static str,
}

/// Findings of trials that no verdict depends on.
static NOTES: Mutex<Vec<String>> = Mutex::new(vec![]);

/// Prints the text after the run.
pub(super) fn note(text: &str) {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
}

/// Prints the notes, the skips with their reasons, and the number of skips.
#[expect(clippy::print_stdout, reason = "it belongs below the harness's own lines")]
pub(super) fn print() {
    for line in &*NOTES.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{line}");
    }
    let skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    for line in &*skipped {
        println!("SKIP {line}");
    }
    println!("skipped: {}", skipped.len());
}

/// Ends a trial without a verdict.
pub(super) fn skip(name: &str, reason: &Reason) -> Result<Completion, Failed> {
    let strict = std::env::var("NET_TRAFFIC_NO_SKIP").is_ok_and(|value| value == "1");
    if strict && !is_explained(reason) {
        return Err(format!("no skip allowed, and nothing here explains this one: {reason}").into());
    }
    SKIPPED.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name}: {reason}"));
    Ok(Completion::ignored_with(reason))
}

/// Whether the machine confirms the missing part in another way than by the refusal.
fn is_explained(reason: &Reason) -> bool {
    match reason {
        Reason::Feature(Feature::KernelTls, _) => !contains("/proc/sys/net/ipv4/tcp_available_ulp", b"tls"),
        Reason::Feature(Feature::Mptcp, _) => !Path::new("/proc/sys/net/mptcp").exists(),
        Reason::Feature(Feature::IoUring, _) => {
            fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|value| value.trim() != "0")
        }
        Reason::Feature(Feature::Ipv6, _) => !Path::new("/proc/net/if_inet6").exists(),
        Reason::Feature(Feature::FastOpen, _) => !Path::new("/proc/sys/net/ipv4/tcp_fastopen").exists(),
        Reason::Kind(kind, _) => !contains("/proc/kallsyms", format!(" {}", kind.function).as_bytes()),
        // The parameter would exist in the current namespace.
        Reason::Parameter(path) => !Path::new(path).exists(),
        Reason::SkippedUncounted => !contains("/proc/kallsyms", format!("{COUNTS_SKIPPED}\n").as_bytes()),
        Reason::Tool("nft", _) => !Path::new("/usr/sbin/nft").exists(),
        Reason::Tool(tool @ ("curl" | "wget"), _) => !Path::new("/usr/bin").join(tool).exists(),
        Reason::Tool(..)
        | Reason::Rights(_)
        | Reason::Feature(Feature::UdpSegment, _)
        | Reason::Tier(Tier::Polling, _) => false,
        Reason::Tier(Tier::TpBtf, _) => {
            !contains("/sys/kernel/btf/vmlinux", b"\0btf_trace_sock_send_length\0")
        }
        // aya loads a program of two instructions to find out.
        Reason::Tier(Tier::Fentry, _) => !matches!(is_program_supported(ProgramType::Tracing), Ok(true)),
        Reason::Tier(Tier::Kprobe, _) => !contains("/proc/kallsyms", b" register_kprobe\n"),
    }
}

/// An unreadable file confirms nothing, so it counts as containing the bytes.
fn contains(file: &str, needle: &[u8]) -> bool {
    fs::read(file).map_or(true, |content| content.windows(needle.len()).any(|window| window == needle))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rights(error) => write!(f, "{error}; run it as root"),
            Self::Feature(feature, reason) => write!(f, "this kernel has no {feature}: {reason}"),
            Self::Kind(kind, reason) => write!(f, "this kernel has no {} interfaces: {reason}", kind.name),
            Self::Parameter(path) => write!(f, "this kernel has one {path} for all namespaces"),
            Self::SkippedUncounted => {
                f.write_str("this kernel runs a tracepoint's program also within itself")
            }
            Self::Tool(tool, reason) => write!(f, "{tool} is needed: {reason}"),
            Self::Tier(tier, refused) => write!(f, "no {tier} here: {}", refused.reason),
        }
    }
}
