//! Capturing packets at the highest rate that one sender makes: into a file, against tcpdump and dumpcap.
//!
//! The sender has one CPU and whoever captures the other. In each round everybody has a turn, in alternating order;
//! tcpdump has two, whose ratio says what the round is worth.

mod contender;
mod rejecting;
mod sender;
mod stage;
mod who;
mod written;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub(super) use self::rejecting::run as rejecting;
use self::sender::Sender;
use self::stage::{Stage, Turn};
use self::who::Who;
use super::paired::{Estimate, estimate};

const SENDER_CPU: usize = 0;
const CAPTURE_CPU: usize = 1;
/// How long packets are sent in one turn.
const TURN: Duration = Duration::from_millis(400);
/// A turn takes a second and more: what the machine does meanwhile is not the same twice.
const NULL_TOLERANCE: f64 = 0.03;
/// So many turns stay within what one can wait for.
const MOST_TURNS: usize = 140;
/// The shortest packets and the longest, with their Ethernet headers.
const SMALL: usize = 64;
const LONG: usize = 1514;

/// Who is compared with whom, and by what.
struct Contest {
    frame: usize,
    who: &'static [Who],
    ratios: &'static [Ratio],
    null: (Who, Who),
}

/// What it is called, of whom to whom, and of what.
type Ratio = (&'static str, Who, Who, fn(&Turn) -> f64);

const SMALL_PACKETS: Contest = Contest {
    frame: SMALL,
    who: &[
        Who::Nobody,
        Who::Own,
        Who::Tcpdump,
        Who::OwnPcap,
        Who::Dumpcap,
        Who::NobodyAgain,
        Who::TcpdumpAgain,
    ],
    ratios: &[
        ("written/s, ours / tcpdump", Who::Own, Who::Tcpdump, Turn::written_per_s),
        ("written/s, ours / dumpcap", Who::Own, Who::Dumpcap, Turn::written_per_s),
        ("its CPU per packet, ours / tcpdump", Who::Own, Who::Tcpdump, Turn::own_cpu),
        ("its CPU per packet, ours as .pcap / tcpdump", Who::OwnPcap, Who::Tcpdump, Turn::own_cpu),
        ("all CPU per packet, ours / tcpdump", Who::Own, Who::Tcpdump, Turn::all_cpu),
    ],
    null: (Who::TcpdumpAgain, Who::Tcpdump),
};

const LONG_PACKETS: Contest = Contest {
    frame: LONG,
    who: &[
        Who::Nobody,
        Who::OwnShort,
        Who::TcpdumpShort,
        Who::OwnShortPcap,
        Who::NobodyAgain,
        Who::TcpdumpShortAgain,
    ],
    ratios: &[
        ("written/s, ours / tcpdump", Who::OwnShort, Who::TcpdumpShort, Turn::written_per_s),
        ("written/s, nobody's / tcpdump", Who::Nobody, Who::TcpdumpShort, Turn::sent_per_s),
        (
            "packets per second of its CPU, ours / tcpdump",
            Who::OwnShort,
            Who::TcpdumpShort,
            Turn::per_own_cpu,
        ),
        ("the same as .pcap", Who::OwnShortPcap, Who::TcpdumpShort, Turn::per_own_cpu),
        (
            "packets per second of all CPU, ours / tcpdump",
            Who::OwnShort,
            Who::TcpdumpShort,
            Turn::per_all_cpu,
        ),
    ],
    null: (Who::TcpdumpShortAgain, Who::TcpdumpShort),
};

/// The smallest packets, whole.
pub(super) fn small(rounds: usize) -> Result<()> {
    SMALL_PACKETS.hold(rounds)
}

/// The largest packets, of which the first 96 octets are kept.
pub(super) fn long(rounds: usize) -> Result<()> {
    LONG_PACKETS.hold(rounds)
}

impl Contest {
    fn hold(&self, rounds: usize) -> Result<()> {
        let stage = Stage::set()?;
        let mut sender = Sender::open(SENDER_CPU, self.frame)?;
        let mut turns = vec![Vec::new(); self.who.len()];
        for round in 0..rounds.clamp(1, MOST_TURNS / self.who.len()) {
            for place in 0..self.who.len() {
                let place = if round % 2 == 0 { place } else { self.who.len() - 1 - place };
                turns[place].push(stage.turn(&mut sender, self.who[place])?);
            }
        }
        self.report(&turns)
    }

    #[expect(clippy::print_stdout, reason = "the figures")]
    fn report(&self, turns: &[Vec<Turn>]) -> Result<()> {
        let of = |who: Who| {
            let place = self.who.iter().position(|one| *one == who).context("everybody has a turn")?;
            Ok::<&[Turn], anyhow::Error>(&turns[place])
        };
        let ratio = |subject: Who, base: Who, what: fn(&Turn) -> f64| -> Result<Estimate> {
            let pairs = of(subject)?.iter().zip(of(base)?);
            Ok(estimate(&pairs.map(|(subject, base)| what(subject) / what(base)).collect::<Vec<_>>()))
        };
        println!("capture, packets of {} octets on a veth pair, into a file on tmpfs:", self.frame);
        println!("  who                      sent/s  written/s   lost %  its CPU/packet  all CPU/packet");
        for (who, turns) in self.who.iter().zip(turns) {
            let median =
                |what: fn(&Turn) -> f64| estimate(&turns.iter().map(what).collect::<Vec<_>>()).median;
            println!(
                "  {:<21} {:>9.0}  {:>9.0}  {:>7.2}  {:>11.0} ns  {:>11.0} ns",
                who.name(),
                median(Turn::sent_per_s),
                median(Turn::written_per_s),
                median(|turn| 100.0 * (1.0 - turn.written / turn.sent)),
                median(Turn::own_cpu),
                median(Turn::all_cpu),
            );
        }
        for (label, subject, base, what) in self.ratios {
            println!("  {label}: {}", ratio(*subject, *base, *what)?);
        }
        let (again, first) = self.null;
        let null = ratio(again, first, Turn::written_per_s)?;
        let null_cpu = ratio(again, first, Turn::own_cpu)?;
        let null_sent = ratio(Who::NobodyAgain, Who::Nobody, Turn::sent_per_s)?;
        println!("  null: tcpdump / tcpdump {null}, its CPU {null_cpu}, nobody / nobody {null_sent}");
        for null in [null, null_sent] {
            ensure!(
                (null.median - 1.0).abs() <= NULL_TOLERANCE,
                "discarded: the null control is {null}, further from 1 than {NULL_TOLERANCE}"
            );
        }
        Ok(())
    }
}
