//! Graphs: rates over time as bars.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Sparkline;

use super::canvas::{Canvas, line};
use super::fit::shorten;
use crate::{Units, format};
use net_traffic_view::Value;

/// A quantity over time, with its name and unit.
pub(super) struct Graph<'a> {
    pub name: &'a str,
    /// Oldest first.
    pub points: &'a [Option<u64>],
    pub style: Style,
    /// Turns bits per second into a value with its unit.
    pub value: fn(u64) -> Value<'static>,
    pub units: Option<Units>,
}

/// Draws a title with the current and the highest rate, and bars below.
pub(super) fn draw(canvas: &mut Canvas<'_, '_>, area: Rect, graph: &Graph<'_>) {
    if area.height == 0 {
        return;
    }
    let points = last(graph.points, area.width);
    let most = points.iter().copied().flatten().max();
    let now = points.last().copied().flatten();
    let write = |bps: Option<u64>| {
        bps.map_or_else(
            || "-".to_owned(),
            |bps| format!("{}/s", format::value((graph.value)(bps), graph.units)),
        )
    };
    let title = format!("{}  now {}  highest shown {}", graph.name, write(now), write(most));
    let title = Line::styled(shorten(&title, usize::from(area.width)), canvas.theme.title());
    canvas.draw(title, line(area, 0));
    let bars = Rect { y: area.y + 1, height: area.height - 1, ..area };
    draw_bars(canvas, bars, points, graph.style);
}

/// Draws the bars alone, the newest at the right.
pub(super) fn draw_bars(canvas: &mut Canvas<'_, '_>, area: Rect, points: &[Option<u64>], style: Style) {
    let points = last(points, area.width);
    let width = u16::try_from(points.len()).unwrap_or(area.width).min(area.width);
    let right = Rect { x: area.right() - width, width, ..area };
    let most = points.iter().copied().flatten().max().unwrap_or(0).max(1);
    canvas.draw(
        Sparkline::default().data(points.iter().copied()).max(most).style(style).absent_value_symbol("·"),
        right,
    );
}

fn last(points: &[Option<u64>], width: u16) -> &[Option<u64>] {
    &points[points.len().saturating_sub(usize::from(width))..]
}
