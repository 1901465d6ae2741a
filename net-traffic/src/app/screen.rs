//! The full screen: snapshots come from their own thread, keys from theirs, and frames go out in between.

use std::io;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

use super::failure::Failure;
use super::keys;
use super::names::Naming;
use super::opening::{check_interfaces, open};
use super::stdout::write;
use super::ticks::Ticks;
use crate::config::{Config, Viewing};
use crate::source::Source;
use crate::source::system::Stop;
use net_traffic_model::{Model, Retention};
use net_traffic_output::tui::terminal::FullScreen;
use net_traffic_output::tui::{Change, Event, Picture, State, update};
use net_traffic_snapshot::Snapshot;
use net_traffic_view::Screen;

/// Draws the screen until the user, or the system, ends it.
pub(super) async fn show(
    config: &Config,
    viewing: &Viewing,
    screen: Screen,
    mut stop: Stop,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to take the terminal: {error}"));
    let source = open(config)?;
    let selection = viewing.selection.within(source.scope());
    let (sender, mut snapshots) = channel(1);
    // A program that cannot start must say why on a terminal that is still the user's: hence the first snapshot first.
    let pump = tokio::spawn(pump(source, Ticks::new(config), sender));
    let first = tokio::select! {
        () = stop.wait() => return Ok(()),
        first = snapshots.recv() => first,
    };
    let mut model = Model::new(selection, Retention::for_screen());
    if let Some(first) = first {
        let first = first?;
        check_interfaces(config, &first)?;
        model.advance(*first);
    }
    let state = State::new(screen, viewing.options.clone(), viewing.output.units, viewing.output.color);
    let full_screen = FullScreen::enter().map_err(failed)?;
    let keys = keys::listen().map_err(failed)?;
    let result = Showing {
        state,
        model,
        held: None,
        full_screen,
        inputs: Inputs { snapshots, keys, naming: Naming::default(), stop },
    }
    .run()
    .await;
    pump.abort();
    result
}

type Reading = Result<Box<Snapshot>, Failure>;

/// Reads snapshots at their pace and hands them on. A reading may take long; it must not keep a key waiting.
async fn pump(mut source: Source, mut ticks: Ticks, sender: Sender<Reading>) {
    loop {
        if matches!(source, Source::Live(_)) {
            ticks.next(None).await;
        }
        let reading = spawn_blocking(move || {
            let reading = source.snapshot();
            (source, reading)
        });
        let (returned, reading) = match reading.await {
            Ok(read) => read,
            Err(error) => {
                let failure = Failure::Failed(format!("failed to read: {error}"));
                // Whoever would be told went away.
                drop(sender.send(Err(failure)).await);
                return;
            }
        };
        source = returned;
        let reading = match reading {
            Ok(None) => return,
            Ok(Some(snapshot)) => Ok(Box::new(snapshot)),
            Err(error) => Err(Failure::from(error)),
        };
        if let (Source::Replay(_), Ok(snapshot)) = (&source, &reading) {
            ticks.next(Some(snapshot.at)).await;
        }
        let is_last = reading.is_err();
        if sender.send(reading).await.is_err() || is_last {
            return;
        }
    }
}

/// The screen and what it shows.
struct Showing {
    state: State,
    model: Model,
    /// The model as it was when the screen was held.
    held: Option<Box<Model>>,
    full_screen: FullScreen,
    inputs: Inputs,
}

/// Where events come from.
struct Inputs {
    snapshots: Receiver<Reading>,
    keys: Receiver<Event>,
    naming: Naming,
    stop: Stop,
}

enum Next {
    Snapshot(Box<Snapshot>),
    Event(Event),
}

/// What ends a picture.
enum Turn {
    Advance(Box<Snapshot>),
    Change(Change),
}

impl Showing {
    async fn run(mut self) -> Result<(), Failure> {
        loop {
            match self.one_picture().await? {
                Turn::Advance(snapshot) => {
                    self.model.advance(*snapshot);
                    if self.held.is_none() {
                        update(&mut self.state, Event::Snapshot);
                    }
                }
                Turn::Change(Change::Quit) => return Ok(()),
                Turn::Change(Change::Reset) => {
                    self.model.reset();
                    self.held = self.held.take().map(|_| Box::new(self.model.clone()));
                }
                Turn::Change(_) => {}
            }
            if self.state.paused != self.held.is_some() {
                self.held = self.state.paused.then(|| Box::new(self.model.clone()));
            }
        }
    }

    /// Projects the model once, and draws that until something else is to be shown.
    async fn one_picture(&mut self) -> Result<Turn, Failure> {
        let Self { state, model, held, full_screen, inputs } = self;
        let model = held.as_deref_mut().unwrap_or(model);
        if state.options.names {
            inputs.naming.look_up(model);
        }
        let picture = Picture {
            live: net_traffic_view::live(model, state.screen, &state.options),
            details: state.opened().and_then(|id| net_traffic_view::details(model, id)),
        };
        state.settle(&picture);
        loop {
            let (hits, bytes) = full_screen.frame(state, &picture)?;
            state.hits = hits;
            tokio::select! {
                () = inputs.stop.wait() => return Ok(Turn::Change(update(state, Event::Signal))),
                written = write(bytes) => written?,
            }
            let mut next = inputs.next(state.at_end).await?;
            loop {
                let event = match next {
                    Next::Snapshot(snapshot) => return Ok(Turn::Advance(snapshot)),
                    Next::Event(event) => event,
                };
                match update(state, event) {
                    Change::Nothing | Change::Frame => state.settle(&picture),
                    change => return Ok(Turn::Change(change)),
                }
                // Keys that came meanwhile need no frame of their own.
                match inputs.keys.try_recv() {
                    Ok(event) => next = Next::Event(event),
                    Err(_) => break,
                }
            }
        }
    }
}

impl Inputs {
    /// The next event. Where the terminal ended, so does the program.
    async fn next(&mut self, at_end: bool) -> Result<Next, Failure> {
        tokio::select! {
            biased;
            () = self.stop.wait() => Ok(Next::Event(Event::Signal)),
            key = self.keys.recv() => Ok(Next::Event(key.unwrap_or(Event::Signal))),
            () = self.naming.arrived() => Ok(Next::Event(Event::Names)),
            reading = self.snapshots.recv(), if !at_end => match reading {
                Some(reading) => reading.map(Next::Snapshot),
                None => Ok(Next::Event(Event::End)),
            },
        }
    }
}
