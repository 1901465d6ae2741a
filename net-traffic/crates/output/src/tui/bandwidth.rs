//! Interfaces, the graph of the chosen one, the processes, and the balance where there is one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::fit::shorten;
use super::graph::{self, Graph};
use super::theme::{HEADING, Theme};
use super::{HitMap, Picture, State, table};
use crate::format;
use net_traffic_view::{Rows, Table, TableId, Value};

/// A machine with more interfaces shows the first; the list scrolls.
const INTERFACES: u16 = 8;
/// From this width on, graph and processes stand side by side.
const WIDE: u16 = 120;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    picture: &Picture<'_>,
    theme: Theme,
    hits: &mut HitMap,
) {
    let live = &picture.live;
    let Some(beside) = &live.beside else { return };
    let (interfaces, processes) =
        if live.rows.table() == TableId::Interface { (&live.rows, beside) } else { (beside, &live.rows) };
    let rows = u16::try_from(interfaces.len()).unwrap_or(u16::MAX).clamp(1, INTERFACES.min(area.height / 4));
    let top = Rect { height: rows + 1, ..area };
    let balance = live.report.tables.iter().find(|table| !table.cells.is_empty());
    let balance_height = balance
        .map_or(0, |table| u16::try_from(table.rows().len() + 1).unwrap_or(u16::MAX).min(area.height / 4));
    let middle = Rect {
        y: top.bottom() + 1,
        height: area.height.saturating_sub(top.height + 1 + balance_height),
        ..area
    };
    let (graphs, list) = split(middle);
    pane(frame, top, state, interfaces, hits);
    pane(frame, list, state, processes, hits);
    graphs_of(frame, graphs, state, picture, theme);
    if let Some(balance) = balance {
        let area = Rect { y: middle.bottom(), height: balance_height, ..area };
        draw_balance(frame, area, balance, state);
    }
}

/// Graphs and processes: side by side where there is room, else below each other.
fn split(area: Rect) -> (Rect, Rect) {
    if area.width >= WIDE {
        let width = area.width / 2;
        let right = Rect { x: area.x + width + 1, width: area.width - width - 1, ..area };
        return (Rect { width, ..area }, right);
    }
    let height = area.height / 2;
    let below = Rect { y: area.y + height, height: area.height - height, ..area };
    (Rect { height, ..area }, below)
}

/// A list; the one that has the keys can be moved in.
fn pane(frame: &mut Frame<'_>, area: Rect, state: &State, rows: &Rows<'_>, hits: &mut HitMap) {
    if rows.table() == state.tab() {
        table::draw(frame, area, state, rows, hits);
    } else {
        table::draw_beside(frame, area, state, rows);
    }
}

fn graphs_of(frame: &mut Frame<'_>, area: Rect, state: &State, picture: &Picture<'_>, theme: Theme) {
    let Some(name) = &state.interface else { return };
    let height = area.height / 2;
    let halves = [Rect { height, ..area }, Rect { y: area.y + height, height, ..area }];
    for (area, (label, key, style)) in
        halves.into_iter().zip([("RX", "rx_bps", theme.rx()), ("TX", "tx_bps", theme.tx())])
    {
        let series =
            picture.live.report.series.iter().find(|series| series.of == name.as_str() && series.key == key);
        let points = series.map_or(&[][..], |series| series.points.as_slice());
        let name = format!("{name} {label}");
        let graph = Graph { name: &name, points, style, value: Value::LinkRate, units: state.units };
        graph::draw(frame, area, &graph, theme);
    }
}

/// The parts of what passed each interface. The columns are the report's own, named as people say them.
fn draw_balance(frame: &mut Frame<'_>, area: Rect, table: &Table<'_>, state: &State) {
    let width = usize::from(area.width);
    let column = |text: &str, place: usize| match place {
        0 => format!("{:<12}", shorten(text, 12)),
        1 => format!(" {:<4}", shorten(text, 4)),
        _ => format!(" {text:>9}"),
    };
    let heading: String =
        table.columns.iter().enumerate().map(|(place, known)| column(heading(known.key), place)).collect();
    let line = Line::styled(shorten(&heading, width), HEADING);
    frame.render_widget(line, Rect { height: 1, ..area });
    let lines = usize::from(area.height.saturating_sub(1));
    for (at, row) in (1u16..).zip(table.rows().take(lines)) {
        let text: String = row
            .iter()
            .enumerate()
            .map(|(place, value)| column(&format::value(*value, state.units), place))
            .collect();
        frame.render_widget(Line::from(shorten(&text, width)), Rect { y: area.y + at, height: 1, ..area });
    }
}

fn heading(key: &'static str) -> &'static str {
    match key {
        "interface" => "BALANCE",
        "direction" => "DIR",
        "interface_bytes" => "COUNTER",
        "process_payload_bytes" => "PAYLOAD",
        "overhead_bytes" => "OVERHEAD",
        "forwarded_bytes" => "FORWARD",
        "kernel_bytes" => "KERNEL",
        "unattributed_bytes" => "UNKNOWN",
        other => other,
    }
}
