//! The details of one row: all facts, and its rates over time.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::State;
use super::canvas::{Canvas, line};
use super::fit::width_of;
use super::graph::{self, Graph};
use super::theme::DIM;
use crate::format;
use net_traffic_view::{Details, RateSeries, Value};

/// The width of a fact's name.
const NAME: usize = 20;
/// The height of each of the two graphs with its title. A tall area has more lines for bars.
const GRAPH: u16 = 2;
const TALL_GRAPH: u16 = 4;
const TALL: u16 = 30;

/// Draws the facts and, below them, the graphs. Without a history in the model, the graphs show `trace`, the rates since
/// the row was opened.
pub(super) fn draw(
    canvas: &mut Canvas<'_, '_>,
    area: Rect,
    details: Option<&Details<'_>>,
    trace: &RateSeries,
) {
    let Some(details) = details else {
        let text = "This row ended a while ago; only its share of the totals is kept. Esc goes back.";
        canvas.draw(Line::styled(text, canvas.theme.warning()), area);
        return;
    };
    let graph_height = if area.height >= TALL { TALL_GRAPH } else { GRAPH };
    let text = Rect { height: area.height.saturating_sub(2 * graph_height), ..area };
    draw_facts(canvas, text, details);
    let theme = canvas.theme;
    let (rx, tx) = details.history.as_ref().unwrap_or(trace);
    let value = if details.title == "Interface" { Value::LinkRate } else { Value::Rate };
    for (at, (name, points, style)) in
        [("RX", rx, theme.rx()), ("TX", tx, theme.tx())].into_iter().enumerate()
    {
        let y = text.bottom() + graph_height * u16::try_from(at).unwrap_or(0);
        let name = if details.history.is_some() { name.to_owned() } else { format!("{name} since opened") };
        let graph = Graph { name: &name, points, style, value, units: canvas.state.units };
        graph::draw(canvas, Rect { y, height: graph_height, ..area }, &graph);
    }
}

fn draw_facts(canvas: &mut Canvas<'_, '_>, area: Rect, details: &Details<'_>) {
    let (title, rest) = (line(area, 0), Rect { y: area.y + 1, height: area.height - 1, ..area });
    let ended = if details.ended { " (ended)" } else { "" };
    canvas.draw(Line::styled(format!("{}{ended}", details.title), canvas.theme.title()), title);
    let lines = lines(details, canvas.state, usize::from(area.width));
    let (page, scroll) = (usize::from(rest.height), canvas.state.scroll);
    if lines.len() > page {
        let last = lines.len().min(scroll + page);
        let text = format!("lines {}-{last} of {}, j k scroll", scroll + 1, lines.len());
        canvas.draw(Line::styled(text, DIM).right_aligned(), title);
    }
    canvas.draw_scrolled(lines, rest);
}

/// Two short facts in a line; a longer fact wraps. No fact is cut.
fn lines<'a>(details: &Details<'_>, state: &State, width: usize) -> Vec<Line<'a>> {
    let half = width / 2;
    let mut lines = Vec::new();
    let mut left: Option<(String, String)> = None;
    for (key, value) in &details.facts {
        let (name, text) = fact(key, *value, state);
        let is_short = NAME + width_of(&text) < half;
        match left.take() {
            Some((left_name, left_text)) if is_short => {
                let padding = " ".repeat(half.saturating_sub(NAME + width_of(&left_text)));
                lines.push(Line::from(vec![
                    Span::styled(left_name, DIM),
                    Span::raw(left_text + &padding),
                    Span::styled(name, DIM),
                    Span::raw(text),
                ]));
                continue;
            }
            alone => lines
                .extend(alone.map(|(name, text)| Line::from(vec![Span::styled(name, DIM), Span::raw(text)]))),
        }
        if is_short {
            left = Some((name, text));
            continue;
        }
        let mut name = name;
        for part in wrap(&text, width.saturating_sub(NAME).max(1)) {
            lines.push(Line::from(vec![Span::styled(name, DIM), Span::raw(part)]));
            name = " ".repeat(NAME);
        }
    }
    lines.extend(left.map(|(name, text)| Line::from(vec![Span::styled(name, DIM), Span::raw(text)])));
    lines
}

/// A fact for people: the unit is beside the number, not in the name.
fn fact(key: &str, value: Value<'_>, state: &State) -> (String, String) {
    let mut text = format::value(value, state.units);
    if key.ends_with("_bps") && value != Value::Unknown {
        text.push_str("/s");
    }
    let name = key.trim_end_matches("_us").trim_end_matches("_ms").replace('_', " ").replace("bps", "rate");
    (format!("{name:<NAME$}"), text)
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for letter in text.chars() {
        let mut bytes = [0; 4];
        let room = width_of(letter.encode_utf8(&mut bytes));
        if used + room > width {
            lines.push(String::new());
            used = 0;
        }
        used += room;
        if let Some(line) = lines.last_mut() {
            line.push(letter);
        }
    }
    lines
}
