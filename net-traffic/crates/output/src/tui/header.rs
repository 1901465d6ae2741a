//! The three lines above every list: host and time; the busiest interface; tier, losses and cost.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::canvas::{Canvas, line};
use super::fit::{shorten, width_of};
use super::theme::{CHOSEN, DIM};
use super::{Picture, graph};
use crate::{Units, format};
use net_traffic_view::{Report, Rows, Value};

pub(super) fn draw(canvas: &mut Canvas<'_, '_>, area: Rect, picture: &Picture<'_>) {
    let report = &picture.live.report;
    title(canvas, line(area, 0), report);
    traffic(canvas, line(area, 1), picture);
    ledger(canvas, line(area, 2), report);
}

fn title(canvas: &mut Canvas<'_, '_>, area: Rect, report: &Report<'_>) {
    let state = canvas.state;
    let time = format::rfc3339(report.unix_ns);
    let since = span(report.elapsed_ns);
    let sign = match (state.paused, state.at_end) {
        (true, _) => " PAUSED ",
        (false, true) => " END OF RECORDING ",
        (false, false) => "",
    };
    let room = usize::from(area.width).saturating_sub(sign.len() + 1);
    let host = format::value(Value::Text(report.host), None);
    let rest = format!(" {} - {time} - totals of {since}", state.screen.name());
    let host = shorten(&host, room.saturating_sub(width_of(&rest)));
    let text = Line::from(vec![Span::styled(host, canvas.theme.title()), Span::raw(shorten(&rest, room))]);
    canvas.draw(text, area);
    canvas.draw(Line::styled(sign, CHOSEN).right_aligned(), area);
}

/// A time span in hours, minutes and seconds, without leading zeros.
fn span(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m{seconds:02}s"),
    }
}

/// Draws the busiest interface: its rates, their graphs, and its counters.
fn traffic(canvas: &mut Canvas<'_, '_>, area: Rect, picture: &Picture<'_>) {
    let (interfaces, units, theme) = (&picture.live.interfaces, canvas.state.units, canvas.theme);
    let Some(name) = text(interfaces, "name") else {
        canvas.draw(Line::styled("No interface could be read.", DIM), area);
        return;
    };
    let name_shown = shorten(&name, 15);
    let directions = [("RX", "rx_bps", "rx_bytes", theme.rx()), ("TX", "tx_bps", "tx_bytes", theme.tx())];
    let parts = directions.map(|(label, rate, total, style)| {
        let now = written(interfaces, rate, units);
        let now = if now == "-" { now } else { format!("{now}/s") };
        let before = format!("  {label} {now:>RATE$} ");
        let after = format!(" {:>TOTAL$}", written(interfaces, total, units));
        (before, after, rate, style)
    });
    let texts: usize = parts.iter().map(|(before, after, ..)| width_of(before) + width_of(after)).sum();
    // The graphs share the width that the numbers leave.
    let bars = usize::from(area.width).saturating_sub(width_of(&name_shown) + texts) / parts.len();
    let mut places = LinePlaces { left: area };
    canvas.draw(Span::styled(name_shown.clone(), theme.title()), places.next(width_of(&name_shown)));
    for (before, after, rate, style) in parts {
        canvas.draw(Span::styled(before.clone(), style), places.next(width_of(&before)));
        let area = places.next(bars);
        let points = picture.live.report.series.iter().find(|series| series.of == name && series.key == rate);
        if let Some(series) = points {
            graph::draw_bars(canvas, area, &series.points, style);
        }
        canvas.draw(Span::styled(after.clone(), DIM), places.next(width_of(&after)));
    }
}

/// Fixed widths of a rate and a total, so that nothing moves when they change.
const RATE: usize = 11;
const TOTAL: usize = 7;

/// Hands out the places of a line from left to right.
struct LinePlaces {
    left: Rect,
}

impl LinePlaces {
    fn next(&mut self, width: usize) -> Rect {
        let width = u16::try_from(width).unwrap_or(u16::MAX).min(self.left.width);
        let place = Rect { width, ..self.left };
        self.left.x += width;
        self.left.width -= width;
        place
    }
}

/// Draws the tier in use, the losses, and the program's own cost. A missing slot is a warning.
fn ledger(canvas: &mut Canvas<'_, '_>, area: Rect, report: &Report<'_>) {
    let (units, theme) = (canvas.state.units, canvas.theme);
    let (tier, missing) = tier(report);
    let mut spans = vec![Span::raw(format!("counted by {tier}"))];
    if missing > 0 {
        spans.push(Span::styled(format!(", {missing} missing (?)"), theme.warning()));
    }
    let total = report.loss.iter().find(|(cause, _)| *cause == "total").map(|(_, total)| *total);
    let lost = total.is_some_and(|total| total != Value::Count(0));
    let text = format!("  lost {}", format::value(total.unwrap_or(Value::Unknown), None));
    spans.push(if lost { Span::styled(text, theme.warning()) } else { Span::raw(text) });
    let used: usize = spans.iter().map(Span::width).sum();
    let room = usize::from(area.width).saturating_sub(used);
    let mut cost = String::from("  cost");
    for (key, name) in
        [("user_cpu_ms", "cpu"), ("bpf_run_ns", "bpf"), ("rss_bytes", "mem"), ("map_bytes", "maps")]
    {
        let value = report.cost.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        if let Some(value) = value.filter(|value| *value != Value::Unknown) {
            let item = format!(" {name} {}", format::value(value, units));
            // A figure without room is left out, and the less important ones after it, too.
            if width_of(&cost) + width_of(&item) > room {
                break;
            }
            cost.push_str(&item);
        }
    }
    spans.push(Span::styled(shorten(&cost, room), DIM));
    canvas.draw(Line::from(spans), area);
}

/// The slots whose tier is the tier in use: the hooks of the calls that transfer bytes, else the socket list with the
/// kernel's own counters.
const COUNTING: [&[&str]; 2] = [&["tcp_send", "tcp_recv", "udp_send", "udp_recv", "counting"], &["sockets"]];

/// The tier in use, or several if the slots differ, and the number of empty slots.
fn tier(report: &Report<'_>) -> (String, usize) {
    let sources = &report.sources;
    let (Some(slot), Some(tier)) = (sources.column("slot"), sources.column("tier")) else {
        return ("-".to_owned(), 0);
    };
    let rows: Vec<_> = sources.rows().filter_map(|row| Some((row.get(slot)?, row.get(tier)?))).collect();
    let missing = rows.iter().filter(|(_, tier)| !matches!(tier, Value::Text(_))).count();
    let used = |slots: &[&str]| {
        let mut tiers: Vec<&str> = Vec::new();
        for (slot, tier) in &rows {
            if let (Value::Text(slot), Value::Text(tier)) = (slot, tier)
                && slots.contains(slot)
                && !tiers.contains(tier)
            {
                tiers.push(tier);
            }
        }
        tiers.join(", ")
    };
    let named = COUNTING.into_iter().map(used).find(|tiers| !tiers.is_empty());
    (named.unwrap_or_else(|| "nothing".to_owned()), missing)
}

fn text(rows: &Rows<'_>, key: &str) -> Option<String> {
    let place = rows.columns().iter().position(|column| column.key == key)?;
    rows.cells(0).get(place).map(|value| format::value(*value, None))
}

fn written(rows: &Rows<'_>, key: &str, units: Option<Units>) -> String {
    let place = rows.columns().iter().position(|column| column.key == key);
    let cells = rows.cells(0);
    let value = place.and_then(|place| cells.get(place)).copied().unwrap_or(Value::Unknown);
    format::value(value, units)
}
