//! The context that every part of a frame is drawn with.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::theme::Theme;
use super::{HitMap, State};

/// The frame under construction, the state that it shows, and the click targets that it collects.
pub(super) struct Canvas<'c, 'b> {
    frame: &'c mut Frame<'b>,
    pub state: &'c State,
    pub theme: Theme,
    pub hits: HitMap,
}

impl<'c, 'b> Canvas<'c, 'b> {
    pub(super) fn new(frame: &'c mut Frame<'b>, state: &'c State) -> Self {
        let hits = HitMap { offset: state.hits.offset, ..HitMap::default() };
        Self { frame, state, theme: Theme { color: state.color }, hits }
    }

    pub(super) fn draw(&mut self, widget: impl Widget, area: Rect) {
        self.frame.render_widget(widget, area);
    }

    /// Shows the terminal's cursor.
    pub(super) fn set_cursor(&mut self, x: u16, y: u16) {
        self.frame.set_cursor_position((x, y));
    }

    /// Draws the lines of a text from the scroll position on.
    pub(super) fn draw_scrolled(&mut self, lines: Vec<Line<'_>>, area: Rect) {
        self.hits.page = usize::from(area.height);
        self.hits.lines = lines.len();
        let visible = lines.into_iter().skip(self.state.scroll).take(self.hits.page);
        for (y, line) in (area.y..).zip(visible) {
            self.draw(line, Rect { y, height: 1, ..area });
        }
    }
}

/// One line of an area, counted from its top.
pub(super) fn line(area: Rect, at: u16) -> Rect {
    Rect { y: area.y + at, height: 1, ..area }
}
