//! Everything that is known of one row, and how its rates were.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::fit::width_of;
use super::graph::{self, Graph};
use super::theme::{DIM, Theme};
use super::{HitMap, State};
use crate::format;
use net_traffic_view::{Details, RateSeries, Value};

/// Room for the name of a fact.
const NAME: usize = 20;
/// Two graphs at the bottom, each with its title; on a high screen their bars have more room.
const GRAPH: u16 = 2;
const HIGH_GRAPH: u16 = 4;
const HIGH: u16 = 30;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    details: Option<&Details<'_>>,
    trace: &RateSeries,
    theme: Theme,
    hits: &mut HitMap,
) {
    let Some(details) = details else {
        let text = "This row ended a while ago; only its share of the totals is kept. Esc goes back.";
        frame.render_widget(Line::styled(text, theme.warning()), area);
        return;
    };
    let high = if area.height >= HIGH { HIGH_GRAPH } else { GRAPH };
    let text = Rect { height: area.height.saturating_sub(2 * high), ..area };
    let (title, rest) = (Rect { height: 1, ..text }, Rect { y: text.y + 1, height: text.height - 1, ..text });
    let ended = if details.ended { " (ended)" } else { "" };
    frame.render_widget(Line::styled(format!("{}{ended}", details.title), theme.title()), title);
    let lines = lines(details, state, usize::from(area.width));
    hits.page = usize::from(rest.height);
    hits.lines = lines.len();
    if lines.len() > hits.page {
        let last = lines.len().min(state.scroll + hits.page);
        let text = format!("lines {}-{last} of {}, j k scroll", state.scroll + 1, lines.len());
        frame.render_widget(Line::styled(text, DIM).right_aligned(), title);
    }
    for (y, line) in (rest.y..).zip(lines.into_iter().skip(state.scroll).take(hits.page)) {
        frame.render_widget(line, Rect { y, height: 1, ..rest });
    }
    let (rx, tx) = details.history.as_ref().unwrap_or(trace);
    let value = if details.title == "Interface" { Value::LinkRate } else { Value::Rate };
    for (at, (name, points, style)) in
        [("RX", rx, theme.rx()), ("TX", tx, theme.tx())].into_iter().enumerate()
    {
        let y = text.bottom() + high * u16::try_from(at).unwrap_or(0);
        let name = if details.history.is_some() { name.to_owned() } else { format!("{name} since opened") };
        let graph = Graph { name: &name, points, style, value, units: state.units };
        graph::draw(frame, Rect { y, height: high, ..area }, &graph, theme);
    }
}

/// Two facts in a line where both are short, more lines for one that is longer than a line: nothing is cut here.
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

/// A fact as people read it: the unit stands beside the number, not in the name.
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
