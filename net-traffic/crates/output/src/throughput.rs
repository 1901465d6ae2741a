//! The verdict on a throughput test: lines for people, a JSON value for programs.

use std::time::Duration;

use serde::Serialize;

use super::format;
use super::json::SCHEMA;
use net_traffic_view::Value;
use net_traffic_view::throughput::{Cause, InterfaceDelta, Observations, OtherProcess, StreamStats};

/// The verdict as lines, below iperf3's own report.
#[must_use]
pub fn lines(cause: &Cause<'_>) -> Vec<String> {
    let share = cause.share.map_or_else(String::new, |share| format!(" ({:.0}% of the time)", share * 100.0));
    let mut lines = vec![format!("Limited by: {}{share}", cause.limit.label)];
    let seen = cause.seen;
    lines.extend(streams(seen).into_iter().map(|line| format!("  {line}")));
    for interface in &seen.interfaces {
        let InterfaceDelta { name, dropped, queue, queue_drops, queue_overlimits, .. } = interface;
        let name = format::value(Value::Text(name), None);
        lines.push(match queue {
            Some(queue) if queue_drops + queue_overlimits > 0 => format!(
                "  {name}: {dropped} dropped, its queue {queue} dropped {queue_drops} and held back \
                 {queue_overlimits}"
            ),
            _ => format!("  {name}: {dropped} dropped"),
        });
    }
    if let Some(core) = seen.cores.iter().max_by(|one, other| one.busy.total_cmp(&other.busy)) {
        lines.push(format!(
            "  busiest processor: {} at {:.0}%, {:.0}% in softirq",
            core.id,
            core.busy * 100.0,
            core.softirq * 100.0
        ));
    }
    lines.extend(others(seen));
    lines.extend(cause.remarks.iter().map(|remark| format!("  {remark}")));
    lines
}

/// The progress line of a running test: its rates as bars, the current rate, and the elapsed time.
#[must_use]
pub fn progress(rates_bps: &[u64], elapsed: Duration, whole: Option<Duration>) -> String {
    let most = rates_bps.iter().copied().max().unwrap_or(0).max(1);
    let steps = u64::try_from(BARS.len() - 1).unwrap_or(0);
    let bar = |bps: &u64| {
        let step = (u128::from(*bps) * u128::from(steps)).div_ceil(u128::from(most));
        BARS[usize::try_from(step).unwrap_or(0).min(BARS.len() - 1)]
    };
    let line: String = rates_bps.iter().map(bar).collect();
    let now =
        rates_bps.last().map_or_else(|| "-".to_owned(), |bps| format::value(Value::LinkRate(*bps), None));
    let whole = whole.map_or_else(String::new, |whole| format!("/{}", whole.as_secs()));
    format!("{line} {now}/s  {}{whole} s", elapsed.as_secs())
}

/// From zero to the highest rate.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The verdict as JSON, the value of the key `net_traffic`.
#[must_use]
pub fn json(cause: &Cause<'_>) -> serde_json::Value {
    let record = Record {
        schema: SCHEMA,
        limited_by: cause.limit.id,
        explanation: cause.limit.label,
        share: cause.share,
        seen: cause.seen,
        remarks: cause.remarks,
    };
    serde_json::to_value(record).unwrap_or_default()
}

/// Adds the key `net_traffic` to iperf3's JSON object. The rest of the text is unchanged.
#[must_use]
pub fn with_key(document: &str, cause: &Cause<'_>) -> String {
    let Some(body) = document.trim_end().strip_suffix('}') else { return document.to_owned() };
    let value = serde_json::to_string_pretty(&json(cause)).unwrap_or_default();
    format!("{},\n  \"net_traffic\": {}\n}}", body.trim_end(), value.replace('\n', "\n  "))
}

#[derive(Serialize)]
struct Record<'c> {
    schema: &'static str,
    limited_by: &'static str,
    explanation: &'static str,
    share: Option<f64>,
    #[serde(flatten)]
    seen: &'c Observations,
    remarks: &'c [String],
}

/// The sums of all sending streams: parts of their time, round trips, retransmissions.
fn streams(seen: &Observations) -> Vec<String> {
    let sending: Vec<&StreamStats> =
        seen.streams.iter().filter(|stream| stream.sent_bytes >= stream.received_bytes).collect();
    let mut lines = Vec::new();
    let life: f64 = sending.iter().map(|stream| stream.seconds).sum();
    let percent = |of: fn(&StreamStats) -> Option<u64>| {
        let spent: u64 = sending.iter().map(|stream| of(stream)).sum::<Option<u64>>()?;
        let spent = Duration::from_micros(spent).as_secs_f64();
        (life > 0.0).then(|| (spent / life * 100.0).min(100.0))
    };
    if let (Some(busy), Some(rwnd), Some(sndbuf)) = (
        percent(|stream| stream.busy_us),
        percent(|stream| stream.rwnd_limited_us),
        percent(|stream| stream.sndbuf_limited_us),
    ) {
        lines.push(format!(
            "time: {busy:.0}% with data to send, {rwnd:.0}% stopped by the receiver's window, \
             {sndbuf:.0}% by the send buffer"
        ));
    }
    let least = sending.iter().filter_map(|stream| stream.rtt_min_us).min();
    let most = sending.iter().filter_map(|stream| stream.rtt_max_us).max();
    if let (Some(least), Some(most)) = (least, most) {
        let growth = f64::from(most) / f64::from(least.max(1));
        let rtt = |us: u32| format::value(Value::Microseconds(u64::from(us)), None);
        lines.push(format!("RTT: {} at least, {} under load ({growth:.1} times)", rtt(least), rtt(most)));
    }
    if let Some(again) = sending.iter().map(|stream| stream.retransmits).sum::<Option<u32>>()
        && !sending.is_empty()
    {
        lines.push(format!("retransmits: {again}"));
    }
    if let Some(window) = sending.iter().filter_map(|stream| stream.rwnd_max_bytes).max() {
        lines.push(format!("receiver's window: {} at most", bytes(u64::from(window))));
    }
    lines
}

fn others(seen: &Observations) -> Vec<String> {
    const SHOWN: usize = 3;
    let line = |other: &OtherProcess| {
        let name = format::value(Value::Text(other.process.as_deref().unwrap_or("an unknown process")), None);
        let pid = other.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        format!("  meanwhile: {name}{pid} moved {} on the same interface", bytes(other.bytes))
    };
    seen.other_processes.iter().take(SHOWN).map(line).collect()
}

fn bytes(count: u64) -> String {
    format::value(Value::Bytes(count), None)
}
