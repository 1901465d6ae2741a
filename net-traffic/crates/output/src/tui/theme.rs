//! Colours and emphasis. Without colours, bold, dim and reversed text distinguish the same things.

use ratatui::style::{Color, Modifier, Style};

pub(super) const HEADING: Style = Style::new().add_modifier(Modifier::BOLD.union(Modifier::UNDERLINED));
pub(super) const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
/// Ended rows and secondary text.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// The styles with a colour; without colours, only their emphasis remains.
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
