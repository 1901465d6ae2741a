//! Draws the cells of a terminal as SVG: text in a monospace font, block elements as rectangles.

use std::fmt::Write as _;

use super::ansi::{BACKGROUND, Rgb, Style};

type Cell = (char, Style);

const FONT_SIZE: f64 = 14.0;
const CELL_WIDTH: f64 = 8.4;
const CELL_HEIGHT: f64 = 18.0;
/// Distance of the baseline from the top of a cell.
const BASELINE: f64 = 13.5;
const MARGIN: f64 = 14.0;
const FONTS: &str = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace";

/// The lines as an SVG document, `columns` cells wide.
pub(super) fn draw(lines: &[Vec<Cell>], columns: u16) -> String {
    let width = 2.0 * MARGIN + f64::from(columns) * CELL_WIDTH;
    let height = 2.0 * MARGIN + position(lines.len()) * CELL_HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"{FONTS}\" font-size=\"{FONT_SIZE}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{}\"/>\n",
        hex(BACKGROUND)
    );
    for (row, cells) in lines.iter().enumerate() {
        let top = MARGIN + position(row) * CELL_HEIGHT;
        draw_line(&mut svg, cells, top);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_line(svg: &mut String, cells: &[Cell], top: f64) {
    let mut column = 0;
    for run in cells.chunk_by(|left, right| left.1 == right.1) {
        let style = run[0].1;
        let (left, width) = (MARGIN + position(column) * CELL_WIDTH, position(run.len()) * CELL_WIDTH);
        if let Some(color) = style.background() {
            rectangle(svg, [left, top, width, CELL_HEIGHT], &format!("fill=\"{}\"", hex(color)));
        }
        if style.underline {
            rectangle(svg, [left, top + BASELINE + 2.5, width, 1.0], &paint(style));
        }
        draw_run(svg, run, left, top);
        column += run.len();
    }
}

/// Draws cells of one style: each word as one element, so that a font of another width cannot shift the columns.
fn draw_run(svg: &mut String, run: &[Cell], left: f64, top: f64) {
    let style = run[0].1;
    let mut column = 0;
    for word in run.chunk_by(|left, right| class(left.0) == class(right.0)) {
        let x = left + position(column) * CELL_WIDTH;
        match class(word[0].0) {
            Class::Space => {}
            Class::Block => {
                for (at, (block, _)) in word.iter().enumerate() {
                    let height = CELL_HEIGHT * eighths(*block) / 8.0;
                    let area =
                        [x + position(at) * CELL_WIDTH, top + CELL_HEIGHT - height, CELL_WIDTH, height];
                    rectangle(svg, area, &paint(style));
                }
            }
            Class::Text => text(svg, word, (x, top + BASELINE)),
        }
        column += word.len();
    }
}

fn text(svg: &mut String, word: &[Cell], (x, y): (f64, f64)) {
    let style = word[0].1;
    let length = position(word.len()) * CELL_WIDTH;
    let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
    let content: String = word.iter().map(|(character, _)| escape(*character)).collect();
    let _written = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" {}{weight}>{content}</text>",
        paint(style)
    );
}

fn rectangle(svg: &mut String, [x, y, width, height]: [f64; 4], paint: &str) {
    let _written = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{width:.1}\" height=\"{height:.2}\" {paint}/>"
    );
}

fn paint(style: Style) -> String {
    let opacity = if style.dim { " fill-opacity=\"0.6\"" } else { "" };
    format!("fill=\"{}\"{opacity}", hex(style.foreground()))
}

#[derive(PartialEq)]
enum Class {
    Space,
    Block,
    Text,
}

fn class(character: char) -> Class {
    match character {
        ' ' => Class::Space,
        '\u{2581}'..='\u{2588}' => Class::Block,
        _ => Class::Text,
    }
}

/// The height of a block element: U+2581 is one eighth of the cell, U+2588 the whole cell.
fn eighths(block: char) -> f64 {
    f64::from(u32::from(block) - 0x2580)
}

fn escape(character: char) -> String {
    match character {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        other => other.into(),
    }
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A number of cells as a factor for their size.
fn position(cells: usize) -> f64 {
    u32::try_from(cells).map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screenshot::ansi;

    #[test]
    fn words_are_positioned_by_column() {
        let svg = draw(&ansi::parse("ab  <c"), 6);
        assert!(svg.contains(">ab</text>"), "{svg}");
        assert!(svg.contains("<text x=\"47.6\""), "{svg}");
        assert!(svg.contains(">&lt;c</text>"), "{svg}");
    }

    #[test]
    fn block_elements_become_rectangles() {
        let svg = draw(&ansi::parse("\u{2584}"), 1);
        assert!(svg.contains("y=\"23.00\" width=\"8.4\" height=\"9.00\""), "{svg}");
        assert!(!svg.contains("<text"), "{svg}");
    }
}
