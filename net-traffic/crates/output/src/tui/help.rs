//! The help: keys, filter criteria, the full loss ledger, and the tier of each slot with its reason and remedy.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Picture;
use super::canvas::Canvas;
use super::fit::{shorten, width_of};
use super::theme::Theme;
use crate::format;
use net_traffic_view::{Live, PREFIXES, Value};

const KEYS: &[(&str, &str)] = &[
    ("Tab 1-4", "the next list, or the one of that number"),
    ("j k g G", "down, up, first, last; arrows, Home, End, PgUp, PgDn, wheel too"),
    ("Enter", "everything that is known of the row; Esc goes back"),
    ("s S", "order by the next column, in reverse; a click on a heading too"),
    ("t", "totals since the start, or rates now"),
    ("d", "names of remote hosts, or numbers; the system's resolver is asked"),
    ("/", "show only some rows; Esc shows all again"),
    ("space", "hold the screen; counting goes on"),
    ("r", "begin the totals, averages and maxima again"),
    ("q Ctrl-C", "quit"),
];

pub(super) fn draw(canvas: &mut Canvas<'_, '_>, area: Rect, picture: &Picture<'_>) {
    let lines = lines(&picture.live, usize::from(area.width), canvas.theme);
    canvas.draw_scrolled(lines, area);
}

fn lines<'a>(live: &Live<'_>, width: usize, theme: Theme) -> Vec<Line<'a>> {
    let mut lines = vec![Line::styled("Keys", theme.title())];
    lines.extend(KEYS.iter().map(|(key, what)| Line::from(format!("  {key:<9} {what}"))));
    lines.push(Line::styled("Filter", theme.title()));
    let prefixes: Vec<String> = PREFIXES.iter().map(|prefix| format!("{prefix}:")).collect();
    lines.push(Line::from(format!("  {} and any text, as in", prefixes.join(" "))));
    lines.push(Line::from("  port:443,8443 process:nginx state:established remote:10.0.0.0/8 eth0"));
    lines.push(Line::from("  The other lists show who has such a connection, with all its bytes."));
    lines.push(Line::styled("Loss ledger", theme.title()));
    let loss: Vec<String> = live
        .report
        .loss
        .iter()
        .map(|(cause, count)| format!("{} {}", cause.replace('_', " "), format::value(*count, None)))
        .collect();
    lines.extend(wrap_words(&loss.join(", "), width));
    lines.push(Line::styled("What counts, and why nothing better does", theme.title()));
    lines.extend(sources(live, width, theme));
    lines
}

fn sources<'a>(live: &Live<'_>, width: usize, theme: Theme) -> Vec<Line<'a>> {
    let table = &live.report.sources;
    let mut lines = Vec::new();
    for source in table.rows() {
        let read = |key: &str| {
            let value = table.column(key).and_then(|place| source.get(place)).copied();
            format::value(value.unwrap_or(Value::Unknown), None)
        };
        let (slot, tier, why) = (read("slot"), read("tier"), read("reason"));
        let first = format!("  {slot:<16} {tier:<10} {}", read("program"));
        let style = if tier == "-" { theme.warning() } else { ratatui::style::Style::new() };
        lines.push(Line::from(Span::styled(shorten(&first, width), style)));
        if why != "-" {
            lines.extend(wrap_words(&why, width));
        }
        for (_, remedy) in live.remedies.iter().filter(|(of, _)| *of == slot) {
            lines.extend(wrap_words(&format!("remedy: {remedy}"), width));
        }
    }
    if lines.is_empty() {
        lines.push(Line::from("  nothing counts"));
    }
    lines
}

/// Breaks a text between words.
fn wrap_words<'a>(text: &str, width: usize) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut line = String::from("   ");
    for word in text.split_whitespace() {
        if width_of(&line) + 1 + width_of(word) > width && line.trim() != "" {
            lines.push(Line::from(std::mem::replace(&mut line, String::from("   "))));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(Line::from(line));
    lines
}
