//! Capturing small packets at the highest rate that one sender makes: into a file, against tcpdump and dumpcap, and
//! what a filter costs that wants nothing.
//!
//! The sender has one CPU and whoever captures the other. In each round everybody has a turn, in alternating order;
//! tcpdump has two, whose ratio says what the round is worth.

mod contender;
mod sender;
mod written;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::contender::{Contender, Running};
use self::sender::Sender;
use super::paired::{Estimate, estimate};
use crate::process;

const SENDER_CPU: usize = 0;
const CAPTURE_CPU: usize = 1;
/// How long packets are sent in one turn.
const TURN: Duration = Duration::from_millis(400);
/// A turn takes a second and more: what the machine does meanwhile is not the same twice.
const NULL_TOLERANCE: f64 = 0.03;
/// So many rounds stay within what one can wait for.
const MOST_ROUNDS: usize = 14;

/// What one turn came to.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    sent: f64,
    written: f64,
    seconds: f64,
    /// Of whoever captures, while packets came and until they were in the file.
    capture_cpu_s: f64,
    sender_cpu_s: f64,
}

impl Turn {
    fn sent_per_s(&self) -> f64 {
        self.sent / self.seconds
    }

    fn written_per_s(&self) -> f64 {
        self.written / self.seconds
    }

    /// In nanoseconds, for each packet in the file.
    fn own_cpu(&self) -> f64 {
        self.capture_cpu_s * 1e9 / self.written
    }

    /// The same with the sender, within whose time the kernel does its part of the capture.
    fn all_cpu(&self) -> f64 {
        (self.capture_cpu_s + self.sender_cpu_s) * 1e9 / self.written
    }
}

/// Who has a turn in each round.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Nobody,
    Tcpdump,
    TcpdumpAgain,
    Dumpcap,
    Own,
    OwnPcap,
    TcpdumpShort,
    OwnShort,
    OwnRejecting,
    NobodyAgain,
}

const ALL: [Who; 10] = [
    Who::Nobody,
    Who::Own,
    Who::Tcpdump,
    Who::OwnPcap,
    Who::Dumpcap,
    Who::OwnShort,
    Who::TcpdumpShort,
    Who::OwnRejecting,
    Who::NobodyAgain,
    Who::TcpdumpAgain,
];

pub(super) fn run(pairs: usize) -> Result<()> {
    let stage = Stage::set()?;
    let mut sender = Sender::open(SENDER_CPU)?;
    let mut turns = vec![Vec::new(); ALL.len()];
    for round in 0..pairs.clamp(1, MOST_ROUNDS) {
        for place in 0..ALL.len() {
            let place = if round % 2 == 0 { place } else { ALL.len() - 1 - place };
            let turn = stage.turn(&mut sender, ALL[place])?;
            turns[place].push(turn);
        }
    }
    report(&turns)
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn report(turns: &[Vec<Turn>]) -> Result<()> {
    let of = |who: Who| {
        let place = ALL.iter().position(|one| *one == who).context("everybody has a turn")?;
        Ok::<&[Turn], anyhow::Error>(&turns[place])
    };
    let ratio = |subject: Who, base: Who, what: fn(&Turn) -> f64| -> Result<Estimate> {
        let pairs = of(subject)?.iter().zip(of(base)?);
        Ok(estimate(&pairs.map(|(subject, base)| what(subject) / what(base)).collect::<Vec<_>>()))
    };
    println!("capture, packets of {} octets on a veth pair, into a file on tmpfs:", sender::FRAME);
    println!("  who                 sent/s  written/s   lost %  its CPU/packet  all CPU/packet");
    for (who, turns) in ALL.iter().zip(turns) {
        let median = |what: fn(&Turn) -> f64| estimate(&turns.iter().map(what).collect::<Vec<_>>()).median;
        println!(
            "  {:<16} {:>9.0}  {:>9.0}  {:>7.2}  {:>11.0} ns  {:>11.0} ns",
            who.name(),
            median(Turn::sent_per_s),
            median(Turn::written_per_s),
            median(|turn| 100.0 * (1.0 - turn.written / turn.sent)),
            median(Turn::own_cpu),
            median(Turn::all_cpu),
        );
    }
    let null = ratio(Who::TcpdumpAgain, Who::Tcpdump, Turn::written_per_s)?;
    let null_sent = ratio(Who::NobodyAgain, Who::Nobody, Turn::sent_per_s)?;
    println!("  written/s, ours / tcpdump: {}", ratio(Who::Own, Who::Tcpdump, Turn::written_per_s)?);
    println!("  written/s, ours / dumpcap: {}", ratio(Who::Own, Who::Dumpcap, Turn::written_per_s)?);
    println!(
        "  written/s with -s 96, ours / tcpdump: {}",
        ratio(Who::OwnShort, Who::TcpdumpShort, Turn::written_per_s)?
    );
    println!("  its CPU per packet, ours / tcpdump: {}", ratio(Who::Own, Who::Tcpdump, Turn::own_cpu)?);
    println!("  all CPU per packet, ours / tcpdump: {}", ratio(Who::Own, Who::Tcpdump, Turn::all_cpu)?);
    println!(
        "  sent/s, with a filter that rejects all / without: {}",
        ratio(Who::OwnRejecting, Who::Nobody, Turn::sent_per_s)?
    );
    println!("  null: tcpdump / tcpdump {null}, nobody / nobody {null_sent}");
    for null in [null, null_sent] {
        ensure!(
            (null.median - 1.0).abs() <= NULL_TOLERANCE,
            "discarded: the null control is {null}, further from 1 than {NULL_TOLERANCE}"
        );
    }
    Ok(())
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Nobody | Self::NobodyAgain => "nobody",
            Self::Tcpdump | Self::TcpdumpAgain => "tcpdump",
            Self::Dumpcap => "dumpcap",
            Self::Own => "net-traffic",
            Self::OwnPcap => "  as .pcap",
            Self::TcpdumpShort => "tcpdump -s 96",
            Self::OwnShort => "net-traffic -s 96",
            Self::OwnRejecting => "  rejecting all",
        }
    }

    fn contender(self) -> Option<Contender> {
        match self {
            Self::Nobody | Self::NobodyAgain => None,
            Self::Tcpdump | Self::TcpdumpAgain => Some(Contender::tcpdump(&[])),
            Self::Dumpcap => Some(Contender::dumpcap()),
            Self::Own => Some(Contender::own("pcapng", &[], &[])),
            Self::OwnPcap => Some(Contender::own("pcap", &[], &[])),
            Self::TcpdumpShort => Some(Contender::tcpdump(&["-s", "96"])),
            Self::OwnShort => Some(Contender::own("pcapng", &["-s", "96"], &[])),
            Self::OwnRejecting => Some(Contender::own("pcapng", &[], &["tcp port 9"])),
        }
    }
}

/// A pair of interfaces between which the packets go, and a place for the files.
struct Stage {
    directory: PathBuf,
}

impl Stage {
    fn set() -> Result<Self> {
        let ip = |arguments: &str| process::run(Command::new("ip").args(arguments.split(' ')));
        ip("link add va type veth peer name vb")?;
        for interface in ["va", "vb"] {
            // Nobody but the sender is to be heard.
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1")
                .context("keep IPv6 quiet")?;
            ip(&format!("link set {interface} up"))?;
        }
        ip(&format!("addr add {}/24 dev va", sender::OWN))?;
        // Of another host: the stack drops the packets once they have been seen.
        ip(&format!("neigh add {} lladdr 02:00:00:00:00:09 dev va", sender::PEER))?;
        let directory = PathBuf::from(format!("/dev/shm/net-traffic-bench-{}", std::process::id()));
        std::fs::create_dir(&directory).context("make a place for the files")?;
        Ok(Self { directory })
    }

    fn turn(&self, sender: &mut Sender, who: Who) -> Result<Turn> {
        let Some(contender) = who.contender() else {
            let sent = sender.send(TURN)?;
            return Ok(Turn {
                sent: sent.packets,
                seconds: sent.seconds,
                sender_cpu_s: sent.cpu_s,
                ..Turn::default()
            });
        };
        let running = Running::start(&contender, &self.directory, CAPTURE_CPU)?;
        let before = running.cpu_s()?;
        let sent = sender.send(TURN)?;
        let after = running.cpu_s_when_quiet()?;
        let file = running.end()?;
        let written = written::packets(&file)?;
        std::fs::remove_file(&file).context("remove the file")?;
        Ok(Turn {
            sent: sent.packets,
            written,
            seconds: sent.seconds,
            capture_cpu_s: after - before,
            sender_cpu_s: sent.cpu_s,
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("{}: {error}", self.directory.display());
        }
    }
}
