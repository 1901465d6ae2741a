//! The screen `bandwidth`: interfaces, graphs of the selected one, processes, and the balance, if any.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::canvas::{Canvas, line};
use super::fit::shorten;
use super::graph::{self, Graph};
use super::theme::HEADING;
use super::{Picture, table};
use crate::format;
use net_traffic_view::{Rows, Table, TableId, Value};

/// The most visible interfaces; the list scrolls.
const INTERFACES: u16 = 8;
/// From this width on, graphs and processes are side by side.
const WIDE: u16 = 120;

pub(super) fn draw(canvas: &mut Canvas<'_, '_>, area: Rect, picture: &Picture<'_>) {
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
    pane(canvas, top, interfaces);
    pane(canvas, list, processes);
    draw_graphs(canvas, graphs, picture);
    if let Some(balance) = balance {
        draw_balance(canvas, Rect { y: middle.bottom(), height: balance_height, ..area }, balance);
    }
}

/// Splits the area for graphs and processes: side by side if it is wide enough, else one below the other.
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

/// Draws a list, with the selection if it has the focus.
fn pane(canvas: &mut Canvas<'_, '_>, area: Rect, rows: &Rows<'_>) {
    if rows.table() == canvas.state.tab() {
        table::draw(canvas, area, rows);
    } else {
        table::draw_beside(canvas, area, rows);
    }
}

/// Draws both directions of the selected interface.
fn draw_graphs(canvas: &mut Canvas<'_, '_>, area: Rect, picture: &Picture<'_>) {
    let (state, theme) = (canvas.state, canvas.theme);
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
        graph::draw(canvas, area, &graph);
    }
}

/// Draws the parts of each interface's counter: the report's columns under shorter headings.
fn draw_balance(canvas: &mut Canvas<'_, '_>, area: Rect, table: &Table<'_>) {
    let width = usize::from(area.width);
    let cell = |text: &str, place: usize| match place {
        0 => format!("{:<12}", shorten(text, 12)),
        1 => format!(" {:<4}", shorten(text, 4)),
        _ => format!(" {text:>9}"),
    };
    let headings: String =
        table.columns.iter().enumerate().map(|(place, column)| cell(heading(column.key), place)).collect();
    canvas.draw(Line::styled(shorten(&headings, width), HEADING), line(area, 0));
    let lines = usize::from(area.height.saturating_sub(1));
    let units = canvas.state.units;
    for (at, row) in (1u16..).zip(table.rows().take(lines)) {
        let text: String =
            row.iter().enumerate().map(|(place, value)| cell(&format::value(*value, units), place)).collect();
        canvas.draw(Line::from(shorten(&text, width)), line(area, at));
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
