//! Everything that is known of one row, and how its rates were.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::fit::width_of;
use super::graph::{self, Graph};
use super::theme::Theme;
use super::{Drawn, State};
use crate::output::format;
use crate::view::{Details, Past, Value};

/// Room for the name of a fact.
const NAME: usize = 22;
/// Two graphs at the bottom, each with its title.
const GRAPH: u16 = 3;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    details: Option<&Details<'_>>,
    trace: &Past,
    theme: Theme,
    drawn: &mut Drawn,
) {
    let Some(details) = details else {
        let text = "This row ended a while ago; only its share of the totals is kept. Esc goes back.";
        frame.render_widget(Line::styled(text, theme.warning()), area);
        return;
    };
    let text = Rect { height: area.height.saturating_sub(2 * GRAPH), ..area };
    let (title, rest) = (Rect { height: 1, ..text }, Rect { y: text.y + 1, height: text.height - 1, ..text });
    let ended = if details.ended { " (ended)" } else { "" };
    frame.render_widget(Line::styled(format!("{}{ended}", details.title), theme.title()), title);
    let lines = lines(details, state, usize::from(area.width), theme);
    drawn.page = usize::from(rest.height);
    drawn.lines = lines.len();
    for (y, line) in (rest.y..).zip(lines.into_iter().skip(state.scroll).take(drawn.page)) {
        frame.render_widget(line, Rect { y, height: 1, ..rest });
    }
    let (rx, tx) = details.history.as_ref().unwrap_or(trace);
    let value = if details.title == "Interface" { Value::LinkRate } else { Value::Rate };
    for (at, (name, points, style)) in
        [("RX", rx, theme.rx()), ("TX", tx, theme.tx())].into_iter().enumerate()
    {
        let y = text.bottom() + GRAPH * u16::try_from(at).unwrap_or(0);
        let name = if details.history.is_some() { name.to_owned() } else { format!("{name} since opened") };
        let graph = Graph { name: &name, points, style, value, units: state.units };
        graph::draw(frame, Rect { y, height: GRAPH, ..area }, &graph, theme);
    }
}

/// A line for each fact, more where its value is longer than the line: nothing is cut here.
fn lines<'a>(details: &Details<'_>, state: &State, width: usize, theme: Theme) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (key, value) in &details.facts {
        let mut text = format::value(*value, state.units);
        if key.ends_with("_bps") && *value != Value::Unknown {
            text.push_str("/s");
        }
        let name = key.trim_end_matches("_us").trim_end_matches("_ms").replace('_', " ");
        let mut name = format!("{:<NAME$}", name.replace("bps", "rate"));
        for part in wrap(&text, width.saturating_sub(NAME).max(1)) {
            lines.push(Line::from(vec![Span::styled(name.clone(), theme.dim()), Span::raw(part)]));
            name = " ".repeat(NAME);
        }
    }
    lines
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
