//! Colours and emphasis. Without colours, what must be told apart is bold, dim or reversed.

use ratatui::style::{Color, Modifier, Style};

pub(super) const HEADING: Style = Style::new().add_modifier(Modifier::BOLD.union(Modifier::UNDERLINED));
pub(super) const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
/// What has ended, and what matters less.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// What has a colour, where colours are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub color: bool,
}

impl Theme {
    pub(super) fn title(self) -> Style {
        self.with(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn rx(self) -> Style {
        self.with(Color::Green)
    }

    pub(super) fn tx(self) -> Style {
        self.with(Color::Blue)
    }

    pub(super) fn warning(self) -> Style {
        self.with(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn with(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }
}
