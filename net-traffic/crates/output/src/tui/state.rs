//! What the screen remembers between two frames.

use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use super::{HitMap, Picture};
use crate::Units;
use net_traffic_view::{Filter, Options, RateSeries, RowId, Rows, Screen, TableId};

/// Everything that can happen to a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The model took a snapshot.
    Snapshot,
    /// Names of remote hosts came.
    Names,
    /// The recording has no more snapshots.
    End,
    Key(KeyEvent),
    Mouse(MouseEvent),
    Resize,
    /// The system, or the user from elsewhere, ends the program.
    Signal,
}

/// What an event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// A new frame of the same picture.
    Frame,
    /// A new picture: other rows, or another order.
    Picture,
    /// Totals begin again.
    Reset,
    Quit,
}

/// What has the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    List,
    /// A filter is being typed; Esc brings back the one before.
    Filter {
        before: Filter,
    },
    Details {
        id: RowId,
        trace: RateSeries,
    },
    Help,
}

/// The screen's own state; `options` are those that flags set too.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each shown on its own")]
pub struct State {
    pub screen: Screen,
    pub options: Options,
    pub units: Option<Units>,
    pub color: bool,
    pub mode: Mode,
    pub paused: bool,
    /// The recording has ended; what is shown is its last moment.
    pub at_end: bool,
    /// The place of the selected row.
    pub selected: usize,
    /// The first line that is shown of help or details.
    pub scroll: usize,
    /// The interface that the graph shows.
    pub interface: Option<String>,
    /// Where the last frame put what can be clicked.
    pub hits: HitMap,
    /// The selected row.
    pub(super) current: Option<RowId>,
    /// The row that stays selected wherever it moves; `None` while nobody chose one.
    pub(super) followed: Option<RowId>,
    pub(super) moved: bool,
    pub(super) fresh: bool,
    pub(super) rows: usize,
}

/// As many points as a wide terminal shows.
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

    /// The list that has the keys.
    #[must_use]
    pub fn tab(&self) -> TableId {
        let tabs = self.screen.tabs();
        self.options.table.filter(|by| tabs.contains(by)).unwrap_or(tabs[0])
    }

    /// The row that is open.
    #[must_use]
    pub fn opened(&self) -> Option<&RowId> {
        match &self.mode {
            Mode::Details { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Brings the selection in line with a picture. To be called with every new picture, and after every event.
    pub fn settle(&mut self, picture: &Picture<'_>) {
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

    /// Remembers the rates of the open row, for as long as it is open.
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

/// Where the row is; most often it is where it was.
fn place_of(rows: &Rows<'_>, id: &RowId, before: usize) -> Option<usize> {
    if rows.id(before).as_ref() == Some(id) { Some(before) } else { rows.position(id) }
}
