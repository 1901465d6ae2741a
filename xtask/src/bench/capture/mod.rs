//! Compares captures into a file with tcpdump and dumpcap, at the highest rate that one sender reaches.
//!
//! The sender runs on one CPU and the capture on the other. In each round every side runs once; the order alternates
//! between rounds. tcpdump runs twice per round: the ratio of the two is the null control.

mod competitor;
mod program;
mod rejecting;
mod sender;
mod testbed;
mod written;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::competitor::Side;
pub(super) use self::rejecting::run as rejecting;
use self::sender::Sender;
use self::testbed::{Testbed, Turn};
use super::paired::{Estimate, estimate};

const SENDER_CPU: usize = 0;
const CAPTURE_CPU: usize = 1;
/// The sender's time in one turn.
const TURN: Duration = Duration::from_millis(400);
/// A turn takes more than a second, in which other work on the host varies.
const NULL_TOLERANCE: f64 = 0.03;
/// Limits the duration of one benchmark.
const MAX_TURNS: usize = 140;
/// Lengths of the shortest and the longest packet, with the Ethernet header.
const SMALL: usize = 64;
const LONG: usize = 1514;

/// The sides of a benchmark, and the ratios to report.
struct Comparison {
    frame: usize,
    sides: &'static [Side],
    ratios: &'static [Ratio],
    null: (Side, Side),
}

/// Label, subject, base, and the figure that is compared.
type Ratio = (&'static str, Side, Side, fn(&Turn) -> f64);

const SMALL_PACKETS: Comparison = Comparison {
    frame: SMALL,
    sides: &[
        Side::NoCapture,
        Side::Own,
        Side::Tcpdump,
        Side::OwnPcap,
        Side::Dumpcap,
        Side::NoCaptureAgain,
        Side::TcpdumpAgain,
    ],
    ratios: &[
        ("written/s, ours / tcpdump", Side::Own, Side::Tcpdump, Turn::written_per_s),
        ("written/s, ours / dumpcap", Side::Own, Side::Dumpcap, Turn::written_per_s),
        ("its CPU per packet, ours / tcpdump", Side::Own, Side::Tcpdump, Turn::own_cpu),
        ("its CPU per packet, ours as .pcap / tcpdump", Side::OwnPcap, Side::Tcpdump, Turn::own_cpu),
        ("all CPU per packet, ours / tcpdump", Side::Own, Side::Tcpdump, Turn::all_cpu),
    ],
    null: (Side::TcpdumpAgain, Side::Tcpdump),
};

const LONG_PACKETS: Comparison = Comparison {
    frame: LONG,
    sides: &[
        Side::NoCapture,
        Side::OwnShort,
        Side::TcpdumpShort,
        Side::OwnShortPcap,
        Side::NoCaptureAgain,
        Side::TcpdumpShortAgain,
    ],
    ratios: &[
        ("written/s, ours / tcpdump", Side::OwnShort, Side::TcpdumpShort, Turn::written_per_s),
        ("sent without capture / written by tcpdump", Side::NoCapture, Side::TcpdumpShort, Turn::sent_per_s),
        (
            "packets per second of its CPU, ours / tcpdump",
            Side::OwnShort,
            Side::TcpdumpShort,
            Turn::per_own_cpu,
        ),
        ("the same as .pcap", Side::OwnShortPcap, Side::TcpdumpShort, Turn::per_own_cpu),
        (
            "packets per second of all CPU, ours / tcpdump",
            Side::OwnShort,
            Side::TcpdumpShort,
            Turn::per_all_cpu,
        ),
    ],
    null: (Side::TcpdumpShortAgain, Side::TcpdumpShort),
};

/// The shortest packets, captured whole.
pub(super) fn small(rounds: usize) -> Result<()> {
    SMALL_PACKETS.run(rounds)
}

/// The longest packets, of which the capture keeps the first 96 bytes.
pub(super) fn long(rounds: usize) -> Result<()> {
    LONG_PACKETS.run(rounds)
}

impl Comparison {
    fn run(&self, rounds: usize) -> Result<()> {
        let testbed = Testbed::create()?;
        let mut sender = Sender::open(SENDER_CPU, self.frame)?;
        let mut turns = vec![Vec::new(); self.sides.len()];
        for round in 0..rounds.clamp(1, MAX_TURNS / self.sides.len()) {
            for place in 0..self.sides.len() {
                let place = if round % 2 == 0 { place } else { self.sides.len() - 1 - place };
                turns[place].push(testbed.run_turn(&mut sender, self.sides[place])?);
            }
        }
        self.report(&turns)
    }

    #[expect(clippy::print_stdout, reason = "the figures")]
    fn report(&self, turns: &[Vec<Turn>]) -> Result<()> {
        let turns_of = |side: Side| {
            let place = self
                .sides
                .iter()
                .position(|one| *one == side)
                .context("a ratio names a side that did not run")?;
            Ok::<&[Turn], anyhow::Error>(&turns[place])
        };
        let ratio = |subject: Side, base: Side, figure: fn(&Turn) -> f64| -> Result<Estimate> {
            let pairs = turns_of(subject)?.iter().zip(turns_of(base)?);
            Ok(estimate(&pairs.map(|(subject, base)| figure(subject) / figure(base)).collect::<Vec<_>>()))
        };
        println!("capture, packets of {} bytes on a veth pair, into a file on tmpfs:", self.frame);
        println!("  side                     sent/s  written/s   lost %  its CPU/packet  all CPU/packet");
        for (side, turns) in self.sides.iter().zip(turns) {
            let median =
                |figure: fn(&Turn) -> f64| estimate(&turns.iter().map(figure).collect::<Vec<_>>()).median;
            println!(
                "  {:<21} {:>9.0}  {:>9.0}  {:>7.2}  {:>11.0} ns  {:>11.0} ns",
                side.name(),
                median(Turn::sent_per_s),
                median(Turn::written_per_s),
                median(|turn| 100.0 * (1.0 - turn.written / turn.sent)),
                median(Turn::own_cpu),
                median(Turn::all_cpu),
            );
        }
        for (label, subject, base, figure) in self.ratios {
            println!("  {label}: {}", ratio(*subject, *base, *figure)?);
        }
        let (again, first) = self.null;
        let null = ratio(again, first, Turn::written_per_s)?;
        let null_cpu = ratio(again, first, Turn::own_cpu)?;
        let null_sent = ratio(Side::NoCaptureAgain, Side::NoCapture, Turn::sent_per_s)?;
        println!("  null: tcpdump / tcpdump {null}, its CPU {null_cpu}, no capture / no capture {null_sent}");
        for null in [null, null_sent] {
            ensure!(
                (null.median - 1.0).abs() <= NULL_TOLERANCE,
                "discarded: the null control is {null}, further from 1 than {NULL_TOLERANCE}"
            );
        }
        Ok(())
    }
}
