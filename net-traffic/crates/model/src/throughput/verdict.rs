//! Decides what limited a throughput test. Pure.

use super::monitor::ratio;
use super::observations::{Observations, StreamStats, TestRequest, Transfer};

/// The cause that kept the test from being faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The test reached its requested rate.
    RequestedRate,
    /// The sending program did not always have something to send.
    SenderApplication,
    /// The sending socket's buffer is too small for the path.
    SendBuffer,
    /// The receiver's window is too small for the path; its program reads in time.
    ReceiverWindow,
    /// The receiving program reads too slowly, so its window closes.
    ReceiverApplication,
    /// The qdisc of a local interface shapes or drops.
    InterfaceQueue,
    /// The path lost packets.
    Loss,
    /// Other processes used the same interface.
    OtherTraffic,
    /// A link of the path is full; packets queue in front of it.
    Bottleneck,
    /// A local processor has no idle time.
    Processor,
    /// The congestion window, without evidence of loss or queueing.
    CongestionWindow,
    /// The remote side sends, and this host cannot observe its limits.
    RemoteSender,
    /// No evidence.
    Unknown,
}

/// The cause, and the part of the time for which it applied, if known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    pub limit: Limit,
    pub share: Option<f64>,
}

/// A requested rate counts as reached from this part of it on.
const REACHED: f64 = 0.85;
/// A part of the time, or of the traffic, that counts as a cause.
const NOTABLE: f64 = 0.25;
/// A part of the time that excludes other causes.
const MOSTLY: f64 = 0.66;
/// A loss rate, by bytes or datagrams, that counts as a cause.
const LOSSY: f64 = 0.005;
const LOSSY_UDP: f64 = 0.01;
/// The busy part of a saturated processor.
const SATURATED: f64 = 0.9;
/// The growth of the round trip under load that shows queueing: a factor, and a least difference.
const BLOATED: f64 = 3.0;
const BLOAT_US: u32 = 3000;
/// A window that shrinks to a quarter of its width, or below 16 KiB, shrank because of an unread buffer.
const CLOSED: u32 = 4;
const NEARLY_CLOSED: u32 = 16 << 10;
/// A window that can never exceed this size is full, and reads as closed, after any short delay of the receiver.
const WIDE: u32 = 256 << 10;
/// The widest window without window scaling (RFC 7323).
const NARROW: u32 = 64 << 10;
/// A shorter round trip stayed on this host or its LAN: packets wait for a processor, not for a link.
const NEAR_US: u32 = 200;
/// So many bytes in the receive queue mean that the local program reads too slowly.
const UNREAD: u32 = 256 << 10;

/// The cause that the observations show.
#[must_use]
pub fn verdict(seen: &Observations, request: &TestRequest) -> Verdict {
    let sending: Vec<&StreamStats> =
        seen.streams.iter().filter(|stream| stream.sent_bytes >= stream.received_bytes).collect();
    if seen.streams.is_empty() {
        return Verdict { limit: Limit::Unknown, share: None };
    }
    if request.udp {
        return Verdict { limit: datagrams(seen, request, sending.is_empty()), share: None };
    }
    if sending.is_empty() {
        return Verdict { limit: receiving(seen, request), share: None };
    }
    by_time(seen, request, &sending)
}

/// Decides by the kernel's times: a TCP sender is busy, and of that limited by the receive window or the send buffer.
/// <https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/tcp.h#L278>
fn by_time(seen: &Observations, request: &TestRequest, sending: &[&StreamStats]) -> Verdict {
    let sum =
        |of: fn(&StreamStats) -> Option<u64>| sending.iter().map(|stream| of(stream).unwrap_or(0)).sum();
    let busy: u64 = sum(|stream| stream.busy_us);
    let life: f64 = sending.iter().map(|stream| stream.seconds * 1e6).sum();
    let life = life.max(ratio(busy, 1));
    if rate_reached(request, sending, |moved| moved.sent_bytes) {
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
    // A sender that waits for the processor is idle, too. Idle time is a cause only if it exceeds all others.
    if application > MOSTLY {
        return Verdict { limit: idle(seen), share: Some(application) };
    }
    // A narrow window bounds the data in flight, also while the sender waits for an acknowledgement.
    let narrow = |stream: &&StreamStats| {
        stream.rwnd_max_bytes.is_some_and(|window| window < NARROW) && !can_be_wide(stream)
    };
    if rwnd > 0 && sending.iter().all(narrow) && share(sndbuf) < share(rwnd) {
        return Verdict { limit: Limit::ReceiverWindow, share: Some(share(rwnd)) };
    }
    let (receiver, network) = (receiver(sending), network(seen, sending));
    // A receiver with a full buffer drops data in flight, so its drops look like loss of the path.
    if receiver == Limit::ReceiverApplication && network == Limit::Loss && share(rwnd) >= NOTABLE {
        return Verdict { limit: receiver, share: Some(share(rwnd)) };
    }
    let mut causes = [(share(rwnd), receiver), (share(sndbuf), Limit::SendBuffer), (path, network)];
    causes.sort_by(|one, other| other.0.total_cmp(&one.0));
    let [(share, limit), ..] = causes;
    Verdict { limit, share: Some(share) }
}

/// Why the receiver's window limits the sender.
fn receiver(sending: &[&StreamStats]) -> Limit {
    let closes = |stream: &&&StreamStats| match (stream.rwnd_min_bytes, stream.rwnd_max_bytes) {
        (Some(least), Some(most)) => can_be_wide(stream) && (least < NEARLY_CLOSED || least < most / CLOSED),
        _ => false,
    };
    let closing = sending.iter().filter(closes).count();
    if closing * 2 > sending.len() { Limit::ReceiverApplication } else { Limit::ReceiverWindow }
}

/// Without a known window scale, the widest reading decides.
fn can_be_wide(stream: &StreamStats) -> bool {
    stream.rwnd_possible_bytes.or(stream.rwnd_max_bytes).is_some_and(|window| window >= WIDE)
}

/// Why the sender was idle.
fn idle(seen: &Observations) -> Limit {
    if is_saturated(seen) { Limit::Processor } else { Limit::SenderApplication }
}

/// Why the congestion window did not grow.
fn network(seen: &Observations, sending: &[&StreamStats]) -> Limit {
    let sent: u64 = sending.iter().map(|stream| stream.sent_bytes).sum();
    let again: u64 = sending.iter().filter_map(|stream| stream.retransmitted_bytes).sum();
    let others: u64 = seen.other_processes.iter().map(|other| other.bytes).sum();
    let shared = sent > 0 && ratio(others, sent) >= NOTABLE;
    if shapes(seen) {
        // Other traffic in a full queue takes a part of its rate and causes drops.
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

fn receiving(seen: &Observations, request: &TestRequest) -> Limit {
    let all: Vec<&StreamStats> = seen.streams.iter().collect();
    if rate_reached(request, &all, |moved| moved.received_bytes) {
        return Limit::RequestedRate;
    }
    if seen.streams.iter().any(|stream| stream.unread_max_bytes >= UNREAD) {
        return if is_saturated(seen) { Limit::Processor } else { Limit::ReceiverApplication };
    }
    Limit::RemoteSender
}

fn datagrams(seen: &Observations, request: &TestRequest, receiving: bool) -> Limit {
    if shapes(seen) && !receiving {
        return Limit::InterfaceQueue;
    }
    if let Some((lost, sent)) = request.datagrams
        && sent > 0
        && ratio(lost, sent) >= LOSSY_UDP
    {
        return Limit::Loss;
    }
    let streams: Vec<&StreamStats> = seen.streams.iter().collect();
    if rate_reached(request, &streams, |moved| moved.sent_bytes.max(moved.received_bytes)) {
        return Limit::RequestedRate;
    }
    match (receiving, is_saturated(seen)) {
        (_, true) => Limit::Processor,
        (true, false) => Limit::RemoteSender,
        (false, false) => Limit::SenderApplication,
    }
}

fn rate_reached(request: &TestRequest, streams: &[&StreamStats], bytes: fn(&Transfer) -> u64) -> bool {
    let Some(bps) = request.bps.filter(|bps| *bps > 0) else { return false };
    let is_enough = |moved: &Transfer| {
        moved.seconds > 0.0 && ratio(bytes(moved), 1) * 8.0 / moved.seconds >= REACHED * ratio(bps, 1)
    };
    let reached = |stream: &&StreamStats| {
        let StreamStats { sent_bytes, received_bytes, seconds, before, .. } = **stream;
        is_enough(&Transfer { sent_bytes, received_bytes, seconds }) || before.as_ref().is_some_and(is_enough)
    };
    !streams.is_empty() && streams.iter().all(reached)
}

fn shapes(seen: &Observations) -> bool {
    seen.interfaces.iter().any(|interface| interface.queue_overlimits > 0 || interface.queue_drops > 0)
}

fn is_saturated(seen: &Observations) -> bool {
    seen.cores.iter().any(|core| core.busy >= SATURATED)
}

fn bloated(sending: &[&StreamStats]) -> bool {
    sending.iter().any(|stream| match (stream.rtt_min_us, stream.rtt_max_us) {
        (Some(least), Some(most)) => {
            f64::from(most) >= BLOATED * f64::from(least) && most - least.min(most) >= BLOAT_US
        }
        _ => false,
    })
}
