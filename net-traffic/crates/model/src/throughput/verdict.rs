//! What limited a test: a decision on what was observed. Pure.

use super::observe::ratio;
use super::seen::{Asked, Moved, Observations, StreamSeen};

/// What kept the test from being faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The rate that was asked for was reached.
    RequestedRate,
    /// The sending program did not always have something to send.
    SenderApplication,
    /// The sending socket's buffer is too small for the path.
    SendBuffer,
    /// The receiver's window is too small for the path, though its program reads.
    ReceiverWindow,
    /// The receiving program reads too slowly, so its window closes.
    ReceiverApplication,
    /// The queue of an interface here keeps to a rate, or drops.
    InterfaceQueue,
    /// Packets were lost on the way.
    Loss,
    /// Others used the same interface.
    OtherTraffic,
    /// A link on the way is full: packets wait in front of it.
    Bottleneck,
    /// A processor of this machine has no time left.
    Processor,
    /// The congestion window, without a sign of why.
    CongestionWindow,
    /// The other side sends, and its reasons are not to be seen from here.
    RemoteSender,
    /// Nothing was seen that would tell.
    Unknown,
}

/// What limited the test, and for which part of the time, where that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    pub limit: Limit,
    pub share: Option<f64>,
}

/// A rate counts as reached from here on.
const REACHED: f64 = 0.85;
/// A part of the time, or of the traffic, that explains something.
const NOTABLE: f64 = 0.25;
/// A part of the time that leaves nothing else to explain.
const MOSTLY: f64 = 0.66;
/// A part of the bytes, or of the datagrams, whose loss slows down.
const LOSSY: f64 = 0.005;
const LOSSY_UDP: f64 = 0.01;
/// A processor without time left.
const SATURATED: f64 = 0.9;
/// How many times longer a round trip under load is when packets wait, and by how much at least.
const BLOATED: f64 = 3.0;
const BLOAT_US: u32 = 3000;
/// A window that closes to this part of its width, or to so little, was closed by an unread buffer.
const CLOSED: u32 = 4;
const NEARLY_CLOSED: u32 = 16 << 10;
/// A window that cannot be wider is full, and so reads as closed, whenever the receiver is a moment late.
const WIDE: u32 = 256 << 10;
/// What TCP could advertise before its windows were scaled.
const NARROW: u32 = 64 << 10;
/// A shorter round trip never left this machine, or this room: packets wait for a processor and for no link.
const NEAR_US: u32 = 200;
/// So much unread data means that the program here reads too slowly.
const UNREAD: u32 = 256 << 10;

/// Decides on what was observed.
#[must_use]
pub fn verdict(seen: &Observations, asked: &Asked) -> Verdict {
    let sending: Vec<&StreamSeen> =
        seen.streams.iter().filter(|stream| stream.sent_bytes >= stream.received_bytes).collect();
    if seen.streams.is_empty() {
        return Verdict { limit: Limit::Unknown, share: None };
    }
    if asked.udp {
        return Verdict { limit: datagrams(seen, asked, sending.is_empty()), share: None };
    }
    if sending.is_empty() {
        return Verdict { limit: receiving(seen, asked), share: None };
    }
    by_time(seen, asked, &sending)
}

/// The kernel measures for which part of its life a sender waited for what.
fn by_time(seen: &Observations, asked: &Asked, sending: &[&StreamSeen]) -> Verdict {
    let sum = |of: fn(&StreamSeen) -> Option<u64>| sending.iter().map(|stream| of(stream).unwrap_or(0)).sum();
    let busy: u64 = sum(|stream| stream.busy_us);
    let life: f64 = sending.iter().map(|stream| stream.seconds * 1e6).sum();
    let life = life.max(ratio(busy, 1));
    if rate_reached(asked, sending, |moved| moved.sent_bytes) {
        let idle = (busy > 0).then(|| 1.0 - ratio(busy, 1) / life);
        return Verdict { limit: Limit::RequestedRate, share: idle };
    }
    if busy == 0 || life <= 0.0 {
        return Verdict { limit: network(seen, sending), share: None };
    }
    let rwnd: u64 = sum(|stream| stream.rwnd_limited_us);
    let sndbuf: u64 = sum(|stream| stream.sndbuf_limited_us);
    let share = |time: u64| ratio(time, 1) / life;
    let application = 1.0 - share(busy);
    let path = share(busy.saturating_sub(rwnd + sndbuf));
    // A sender that waits for its turn on the processor is idle, too: idleness explains only what nothing else does.
    if application > MOSTLY {
        return Verdict { limit: idle(seen), share: Some(application) };
    }
    // So narrow a window bounds what is on the way, also while the sender waits for an acknowledgement.
    let narrow = |stream: &&StreamSeen| {
        stream.rwnd_max_bytes.is_some_and(|window| window < NARROW) && !can_be_wide(stream)
    };
    if rwnd > 0 && sending.iter().all(narrow) && share(sndbuf) < share(rwnd) {
        return Verdict { limit: Limit::ReceiverWindow, share: Some(share(rwnd)) };
    }
    let (receiver, network) = (receiver(sending), network(seen, sending));
    // A receiver that does not read has no room for what is on the way: it drops that, and has it sent again.
    if receiver == Limit::ReceiverApplication && network == Limit::Loss && share(rwnd) >= NOTABLE {
        return Verdict { limit: receiver, share: Some(share(rwnd)) };
    }
    let mut causes = [(share(rwnd), receiver), (share(sndbuf), Limit::SendBuffer), (path, network)];
    causes.sort_by(|one, other| other.0.total_cmp(&one.0));
    let [(share, limit), ..] = causes;
    Verdict { limit, share: Some(share) }
}

/// Why the receiver's window is what holds the sender back.
fn receiver(sending: &[&StreamSeen]) -> Limit {
    let closes = |stream: &&&StreamSeen| match (stream.rwnd_min_bytes, stream.rwnd_max_bytes) {
        (Some(least), Some(most)) => can_be_wide(stream) && (least < NEARLY_CLOSED || least < most / CLOSED),
        _ => false,
    };
    let closing = sending.iter().filter(closes).count();
    if closing * 2 > sending.len() { Limit::ReceiverApplication } else { Limit::ReceiverWindow }
}

/// Where the scale is not known, by what was seen.
fn can_be_wide(stream: &StreamSeen) -> bool {
    stream.rwnd_possible_bytes.or(stream.rwnd_max_bytes).is_some_and(|window| window >= WIDE)
}

/// Why there was nothing to send.
fn idle(seen: &Observations) -> Limit {
    if is_saturated(seen) { Limit::Processor } else { Limit::SenderApplication }
}

/// Why the congestion window is not wider.
fn network(seen: &Observations, sending: &[&StreamSeen]) -> Limit {
    let sent: u64 = sending.iter().map(|stream| stream.sent_bytes).sum();
    let again: u64 = sending.iter().filter_map(|stream| stream.retransmitted_bytes).sum();
    let others: u64 = seen.other_processes.iter().map(|other| other.bytes).sum();
    let shared = sent > 0 && ratio(others, sent) >= NOTABLE;
    if shapes(seen) {
        // Who shares a queue that is full takes from its rate, and has it drop.
        return if shared { Limit::OtherTraffic } else { Limit::InterfaceQueue };
    }
    if sent > 0 && ratio(again, sent) >= LOSSY {
        return Limit::Loss;
    }
    if shared {
        return Limit::OtherTraffic;
    }
    let near = sending.iter().all(|stream| stream.rtt_min_us.is_none_or(|least| least < NEAR_US));
    if is_saturated(seen) && (near || !bloated(sending)) {
        return Limit::Processor;
    }
    if bloated(sending) { Limit::Bottleneck } else { Limit::CongestionWindow }
}

fn receiving(seen: &Observations, asked: &Asked) -> Limit {
    let all: Vec<&StreamSeen> = seen.streams.iter().collect();
    if rate_reached(asked, &all, |moved| moved.received_bytes) {
        return Limit::RequestedRate;
    }
    if seen.streams.iter().any(|stream| stream.unread_max_bytes >= UNREAD) {
        return if is_saturated(seen) { Limit::Processor } else { Limit::ReceiverApplication };
    }
    Limit::RemoteSender
}

fn datagrams(seen: &Observations, asked: &Asked, receiving: bool) -> Limit {
    if shapes(seen) && !receiving {
        return Limit::InterfaceQueue;
    }
    if let Some((lost, sent)) = asked.datagrams
        && sent > 0
        && ratio(lost, sent) >= LOSSY_UDP
    {
        return Limit::Loss;
    }
    let streams: Vec<&StreamSeen> = seen.streams.iter().collect();
    if rate_reached(asked, &streams, |moved| moved.sent_bytes.max(moved.received_bytes)) {
        return Limit::RequestedRate;
    }
    match (receiving, is_saturated(seen)) {
        (_, true) => Limit::Processor,
        (true, false) => Limit::RemoteSender,
        (false, false) => Limit::SenderApplication,
    }
}

fn rate_reached(asked: &Asked, streams: &[&StreamSeen], bytes: fn(&Moved) -> u64) -> bool {
    let Some(bps) = asked.bps.filter(|bps| *bps > 0) else { return false };
    let is_enough = |moved: &Moved| {
        moved.seconds > 0.0 && ratio(bytes(moved), 1) * 8.0 / moved.seconds >= REACHED * ratio(bps, 1)
    };
    let reached = |stream: &&StreamSeen| {
        let StreamSeen { sent_bytes, received_bytes, seconds, before, .. } = **stream;
        is_enough(&Moved { sent_bytes, received_bytes, seconds }) || before.as_ref().is_some_and(is_enough)
    };
    !streams.is_empty() && streams.iter().all(reached)
}

fn shapes(seen: &Observations) -> bool {
    seen.interfaces.iter().any(|interface| interface.queue_overlimits > 0 || interface.queue_drops > 0)
}

fn is_saturated(seen: &Observations) -> bool {
    seen.cores.iter().any(|core| core.busy >= SATURATED)
}

fn bloated(sending: &[&StreamSeen]) -> bool {
    sending.iter().any(|stream| match (stream.rtt_min_us, stream.rtt_max_us) {
        (Some(least), Some(most)) => {
            f64::from(most) >= BLOATED * f64::from(least) && most - least.min(most) >= BLOAT_US
        }
        _ => false,
    })
}
