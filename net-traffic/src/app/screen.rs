//! The full screen. Snapshots are read on one thread and keys on another; frames are drawn in between.

use std::io;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

use super::failure::Failure;
use super::host_names::HostNames;
use super::keys;
use super::opening::{check_interfaces, open_for};
use super::stdout::write;
use super::ticks::Ticks;
use crate::config::ViewConfig;
use crate::source::Source;
use crate::source::system::Stop;
use net_traffic_model::{Model, Retention};
use net_traffic_output::tui::terminal::FullScreen;
use net_traffic_output::tui::{Change, Event, Picture, State, update};
use net_traffic_snapshot::Snapshot;
use net_traffic_view::Screen;

/// Draws the screen until a key, a signal or the end of the terminal ends it.
pub(super) async fn show(config: &ViewConfig, screen: Screen, mut stop: Stop) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to take the terminal: {error}"));
    let source = open_for(config)?;
    let report = &config.report;
    let selection = report.selection.within(source.scope());
    let (sender, mut snapshots) = channel(1);
    // The first snapshot comes before the screen, so that an error is written to the ordinary terminal.
    let reader = tokio::spawn(read_snapshots(source, Ticks::new(config.series.pace), sender));
    let first = tokio::select! {
        () = stop.wait() => return Ok(()),
        first = snapshots.recv() => first,
    };
    let mut model = Model::new(selection, Retention::for_screen());
    if let Some(first) = first {
        let first = first?;
        check_interfaces(&report.selection, &first)?;
        model.advance(*first);
    }
    let state = State::new(screen, report.options.clone(), report.output.units, report.output.color);
    let full_screen = FullScreen::enter().map_err(failed)?;
    let keys = keys::listen().map_err(failed)?;
    let result = Session {
        state,
        model,
        paused_model: None,
        full_screen,
        inputs: Inputs { snapshots, keys, host_names: HostNames::default(), stop },
    }
    .run()
    .await;
    reader.abort();
    result
}

type Reading = Result<Box<Snapshot>, Failure>;

/// Reads snapshots at their pace. A slow reading must not delay a key, so it runs on a thread of its own.
async fn read_snapshots(mut source: Source, mut ticks: Ticks, sender: Sender<Reading>) {
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
                // The receiver may be closed already.
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

/// The screen, its state and its inputs.
struct Session {
    state: State,
    model: Model,
    /// The model at the moment of the pause.
    paused_model: Option<Box<Model>>,
    full_screen: FullScreen,
    inputs: Inputs,
}

/// The sources of events.
struct Inputs {
    snapshots: Receiver<Reading>,
    keys: Receiver<Event>,
    host_names: HostNames,
    stop: Stop,
}

enum Next {
    Snapshot(Box<Snapshot>),
    Event(Event),
}

/// Why a picture is out of date.
enum Outdated {
    Advance(Box<Snapshot>),
    Change(Change),
}

impl Session {
    async fn run(mut self) -> Result<(), Failure> {
        loop {
            match self.show_picture().await? {
                Outdated::Advance(snapshot) => {
                    self.model.advance(*snapshot);
                    if self.paused_model.is_none() {
                        update(&mut self.state, Event::Snapshot);
                    }
                }
                Outdated::Change(Change::Quit) => return Ok(()),
                Outdated::Change(Change::Reset) => {
                    self.model.reset();
                    self.paused_model = self.paused_model.take().map(|_| Box::new(self.model.clone()));
                }
                Outdated::Change(_) => {}
            }
            if self.state.paused != self.paused_model.is_some() {
                self.paused_model = self.state.paused.then(|| Box::new(self.model.clone()));
            }
        }
    }

    /// Projects the model once and draws that picture until it is out of date.
    async fn show_picture(&mut self) -> Result<Outdated, Failure> {
        let Self { state, model, paused_model, full_screen, inputs } = self;
        let model = paused_model.as_deref_mut().unwrap_or(model);
        if state.options.names {
            inputs.host_names.resolve(model);
        }
        let picture = Picture {
            live: net_traffic_view::live(model, state.screen, &state.options),
            details: state.opened().and_then(|id| net_traffic_view::details(model, id)),
        };
        state.update_selection(&picture);
        loop {
            let (hits, bytes) = full_screen.frame(state, &picture)?;
            state.hits = hits;
            tokio::select! {
                () = inputs.stop.wait() => return Ok(Outdated::Change(update(state, Event::Signal))),
                written = write(bytes) => written?,
            }
            let mut next = inputs.next(state.at_end).await?;
            loop {
                let event = match next {
                    Next::Snapshot(snapshot) => return Ok(Outdated::Advance(snapshot)),
                    Next::Event(event) => event,
                };
                match update(state, event) {
                    Change::Nothing | Change::Frame => state.update_selection(&picture),
                    change => return Ok(Outdated::Change(change)),
                }
                // Keys that are queued share the next frame.
                match inputs.keys.try_recv() {
                    Ok(event) => next = Next::Event(event),
                    Err(_) => break,
                }
            }
        }
    }
}

impl Inputs {
    /// The next event. The end of the terminal ends the program.
    async fn next(&mut self, at_end: bool) -> Result<Next, Failure> {
        tokio::select! {
            biased;
            () = self.stop.wait() => Ok(Next::Event(Event::Signal)),
            key = self.keys.recv() => Ok(Next::Event(key.unwrap_or(Event::Signal))),
            () = self.host_names.resolved() => Ok(Next::Event(Event::Names)),
            reading = self.snapshots.recv(), if !at_end => match reading {
                Some(reading) => reading.map(Next::Snapshot),
                None => Ok(Next::Event(Event::End)),
            },
        }
    }
}
