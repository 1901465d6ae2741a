//! A full screen over a recording: keys in, frames out, as in the program but without a terminal.

use std::path::Path;

use net_traffic_model::{Model, Retention, Selection};
use net_traffic_output::tui::{Change, Event, Picture, State, draw, update};
use net_traffic_snapshot::Replay;
use net_traffic_snapshot::Snapshot;
use net_traffic_view::{Options, Screen};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub(crate) struct TestScreen {
    pub(crate) state: State,
    pub(crate) model: Model,
    terminal: Terminal<TestBackend>,
    size: (u16, u16),
}

impl TestScreen {
    /// The screen after all snapshots of the recording.
    pub(crate) fn of(recording: &Path, screen: Screen, size: (u16, u16)) -> Self {
        let mut shown = Self::empty(screen, size, true);
        let mut replay = Replay::open(recording).unwrap();
        while let Some(snapshot) = replay.snapshot().unwrap() {
            shown.advance(snapshot);
        }
        shown
    }

    pub(crate) fn empty(screen: Screen, size: (u16, u16), color: bool) -> Self {
        Self {
            state: State::new(screen, Options::default(), None, color),
            model: Model::new(Selection::default(), Retention::for_screen()),
            terminal: Terminal::new(TestBackend::new(size.0, size.1)).unwrap(),
            size,
        }
    }

    pub(crate) fn advance(&mut self, snapshot: Snapshot) {
        self.model.advance(snapshot);
        update(&mut self.state, Event::Snapshot);
        self.frame();
    }

    /// Presses keys: a letter is its own key, `<Enter>` and similar are named keys.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(letter) = rest.chars().next() {
            let named = rest.strip_prefix('<').and_then(|named| named.split_once('>'));
            let code = if let Some((name, after)) = named {
                rest = after;
                key(name)
            } else {
                rest = &rest[letter.len_utf8()..];
                KeyCode::Char(letter)
            };
            let change = update(&mut self.state, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
            if change == Change::Reset {
                self.model.reset();
            }
            self.frame();
        }
        self
    }

    pub(crate) fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        update(&mut self.state, Event::Resize);
        self.frame();
    }

    pub(crate) fn frame(&mut self) {
        let Self { state, model, terminal, size } = self;
        let picture = Picture {
            live: net_traffic_view::live(model, state.screen, &state.options),
            details: state.opened().and_then(|id| net_traffic_view::details(model, id)),
        };
        state.update_selection(&picture);
        // A new terminal each time, so that the frame does not depend on earlier ones.
        *terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let mut hits = None;
        terminal.draw(|frame| hits = Some(draw(frame, state, &picture))).unwrap();
        state.hits = hits.unwrap();
    }

    pub(crate) fn buffer(&self) -> &Buffer {
        self.terminal.backend().buffer()
    }

    /// The frame as text, without the spaces at the ends of its lines.
    pub(crate) fn text(&self) -> String {
        let buffer = self.buffer();
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut x = 0;
            while x < buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                // A wide character takes two cells.
                x += u16::try_from(ratatui::text::Span::raw(symbol).width().max(1)).unwrap();
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn key(name: &str) -> KeyCode {
    match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Down" => KeyCode::Down,
        "End" => KeyCode::End,
        "Backspace" => KeyCode::Backspace,
        other => panic!("{other} is no key of these tests"),
    }
}
