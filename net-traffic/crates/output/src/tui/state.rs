//! The state of the screen between two frames.

use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use super::{HitMap, Picture};
use crate::Units;
use net_traffic_view::{Filter, Options, RateSeries, RowId, Rows, Screen, TableId};

/// An input of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The model has a new snapshot.
    Snapshot,
    /// The model has new names of remote hosts.
    Names,
    /// The recording ended.
    End,
    Key(KeyEvent),
    Mouse(MouseEvent),
    Resize,
    /// SIGINT or SIGTERM.
    Signal,
}

/// The work that an event requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// Draw a frame of the same picture.
    Frame,
    /// Compute a new picture: other rows, or another order.
    Picture,
    /// Restart the totals of the model.
    Reset,
    Quit,
}

/// The part of the screen with the keyboard focus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    List,
    /// The filter line; Esc restores the previous filter.
    Filter {
        before: Filter,
    },
    Details {
        id: RowId,
        trace: RateSeries,
    },
    Help,
}

/// The state of the screen. Flags set `options`, too.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct State {
    pub screen: Screen,
    pub options: Options,
    pub units: Option<Units>,
    pub color: bool,
    pub mode: Mode,
    pub paused: bool,
    /// The recording ended; the screen shows its last snapshot.
    pub at_end: bool,
    /// The place of the selected row in the list.
    pub selected: usize,
    /// The first visible line of help or details.
    pub scroll: usize,
    /// The interface in the graphs.
    pub interface: Option<String>,
    /// The click targets of the last frame.
    pub hits: HitMap,
    /// The selected row.
    pub(super) current: Option<RowId>,
    /// The row that stays selected when the order changes; `None` selects a place instead.
    pub(super) followed: Option<RowId>,
    /// The user moved the selection since the last picture.
    pub(super) moved: bool,
    /// The next picture is of a new snapshot.
    pub(super) fresh: bool,
    /// The number of rows of the last picture.
    pub(super) rows: usize,
}

/// Points of a trace: the width of a wide terminal.
const TRACE: usize = 240;

impl State {
    #[must_use]
    pub fn new(screen: Screen, options: Options, units: Option<Units>, color: bool) -> Self {
        Self {
            screen,
            options: Options { brief: false, ..options },
            units,
            color,
            mode: Mode::List,
            paused: false,
            at_end: false,
            selected: 0,
            scroll: 0,
            interface: None,
            hits: HitMap::default(),
            current: None,
            followed: None,
            moved: false,
            fresh: false,
            rows: 0,
        }
    }

    /// The list with the keyboard focus.
    #[must_use]
    pub fn tab(&self) -> TableId {
        let tabs = self.screen.tabs();
        self.options.table.filter(|by| tabs.contains(by)).unwrap_or(tabs[0])
    }

    /// The row whose details are open.
    #[must_use]
    pub fn opened(&self) -> Option<&RowId> {
        match &self.mode {
            Mode::Details { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Updates the selection for a picture. Call it with every new picture, and after every event.
    pub fn update_selection(&mut self, picture: &Picture<'_>) {
        let rows = &picture.live.rows;
        self.rows = rows.len();
        if rows.table() == TableId::Interface && self.followed.is_none() && !self.moved {
            let busiest = || picture.live.interfaces.id(0);
            self.followed = self.interface.clone().map(RowId::Interface).or_else(busiest);
        }
        if self.moved {
            self.moved = false;
            self.selected = self.selected.min(self.rows.saturating_sub(1));
            self.followed = if self.selected == 0 && rows.table() != TableId::Interface {
                None
            } else {
                rows.id(self.selected)
            };
        } else if let Some(place) = self.followed.as_ref().and_then(|id| place_of(rows, id, self.selected)) {
            self.selected = place;
        } else {
            self.followed = None;
        }
        self.selected = self.selected.min(self.rows.saturating_sub(1));
        self.current = rows.id(self.selected);
        if let Some(RowId::Interface(name)) = &self.current {
            self.interface = Some(name.clone());
        }
        if std::mem::take(&mut self.fresh) {
            self.trace(picture);
        }
    }

    /// Appends the rates of the open row to its trace.
    fn trace(&mut self, picture: &Picture<'_>) {
        let (Mode::Details { trace, .. }, false) = (&mut self.mode, self.paused) else { return };
        let (rx, tx) = picture.details.as_ref().map_or((None, None), |details| details.rates);
        for (points, point) in [(&mut trace.0, rx), (&mut trace.1, tx)] {
            if points.len() == TRACE {
                points.remove(0);
            }
            points.push(point);
        }
    }
}

/// The place of the row; the previous place is tried first.
fn place_of(rows: &Rows<'_>, id: &RowId, before: usize) -> Option<usize> {
    if rows.id(before).as_ref() == Some(id) { Some(before) } else { rows.position(id) }
}
