//! Reads the balance of a namespace after its traffic has ended, and checks it.

use std::fmt::Write;
use std::thread;
use std::time::Duration;

use net_traffic_linux::Live;
use net_traffic_model::{Balance, Direction, Model, Retention, Selection};
use net_traffic_snapshot::{Counting, LiveOptions, Netns};

use super::place::Place;

/// The live source for one namespace.
pub(super) struct Tool(Live);

/// The lines of one balance.
pub(super) struct Sheet(Vec<Line>);

pub(super) struct Line {
    pub(super) interface: String,
    pub(super) direction: Direction,
    pub(super) counted: u64,
    pub(super) payload: u64,
    pub(super) overhead: u64,
    pub(super) forwarded: u64,
    pub(super) kernel: u64,
    pub(super) unattributed: i64,
}

impl Tool {
    pub(super) fn watch(place: &Place) -> Self {
        Self::with(place, false)
    }

    /// As `new`, with the XDP count.
    pub(super) fn watch_arrivals(place: &Place) -> Self {
        Self::with(place, true)
    }

    fn with(place: &Place, arrivals: bool) -> Self {
        let netns = Some(Netns::Path(place.path.clone()));
        let xdp = arrivals.then(Vec::new);
        let options =
            LiveOptions { counting: Counting::SocketsAndInterfaces { xdp }, netns, ..LiveOptions::default() };
        Self(Live::open(&options).unwrap())
    }

    /// The bytes that this process has sent, from its row.
    pub(super) fn sent_by_us(&mut self) -> u64 {
        let snapshot = self.0.snapshot().unwrap();
        let ours = snapshot.processes.iter().find(|process| process.id.pid == std::process::id());
        ours.and_then(|process| process.counted).map_or(0, |counted| counted.tx)
    }

    /// Reads until the counters rest, and checks the rules of every balance.
    pub(super) fn read(&mut self) -> Sheet {
        let model = self.rest();
        let sheet = Sheet(model.balance().map(Line::from).collect());
        assert!(!sheet.0.is_empty(), "no interface is watched: {:?}", model.status());
        sheet.check();
        sheet
    }

    /// Reads until the counters rest.
    pub(super) fn rest(&mut self) -> Model {
        let mut before = None;
        for _ in 0..100 {
            let snapshot = self.0.snapshot().unwrap();
            assert_eq!(snapshot.loss, net_traffic_snapshot::Loss::default(), "nothing may be lost");
            let wire = snapshot.wire.clone();
            if before.as_ref() == Some(&wire) {
                let mut model = Model::new(Selection::default(), Retention::default());
                model.advance(snapshot);
                return model;
            }
            before = Some(wire);
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the interfaces do not come to rest: {before:?}");
    }
}

impl Sheet {
    pub(super) fn line(&self, interface: &str, direction: Direction) -> &Line {
        let found = self.0.iter().find(|line| line.interface == interface && line.direction == direction);
        found.unwrap_or_else(|| panic!("no {interface} {direction:?} in\n{}", self.text()))
    }

    /// Checks the payload of an interface, and that it forwarded nothing.
    pub(super) fn carries(&self, interface: &str, rx: usize, tx: usize) {
        for (direction, payload) in [(Direction::Rx, rx), (Direction::Tx, tx)] {
            let line = self.line(interface, direction);
            assert_eq!(
                line.payload,
                payload as u64,
                "payload of {interface} {direction:?} in\n{}",
                self.text()
            );
            assert_eq!(line.forwarded, 0, "forwarded by {interface} {direction:?} in\n{}", self.text());
        }
    }

    /// Checks that an interface forwarded at least these bytes and carried none for a process.
    pub(super) fn forwards(&self, interface: &str, rx: usize, tx: usize) {
        for (direction, bytes) in [(Direction::Rx, rx), (Direction::Tx, tx)] {
            let line = self.line(interface, direction);
            assert_eq!(line.payload + line.overhead, 0, "{interface} {direction:?} in\n{}", self.text());
            assert!(line.forwarded >= bytes as u64, "{interface} {direction:?} in\n{}", self.text());
            // The kernel's own neighbour discovery takes few bytes.
            assert!(line.kernel < 3000, "{interface} {direction:?} in\n{}", self.text());
        }
    }

    /// Checks that an interface carried at least these bytes for the kernel and none for others.
    pub(super) fn serves_kernel(&self, interface: &str, rx: usize, tx: usize) {
        for (direction, bytes) in [(Direction::Rx, rx), (Direction::Tx, tx)] {
            let line = self.line(interface, direction);
            let others = line.payload + line.overhead + line.forwarded;
            assert_eq!(others, 0, "{interface} {direction:?} in\n{}", self.text());
            assert!(line.kernel >= bytes as u64, "{interface} {direction:?} in\n{}", self.text());
        }
    }

    /// Checks that the parts add up to the interface's counters.
    fn check(&self) {
        for line in &self.0 {
            let parts = line.payload + line.overhead + line.forwarded + line.kernel;
            let sum = i128::from(parts) + i128::from(line.unattributed);
            assert_eq!(sum, i128::from(line.counted), "the sum of {} in\n{}", line.interface, self.text());
            assert_eq!(line.unattributed, 0, "the rest of {} in\n{}", line.interface, self.text());
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            let Line { interface, direction, counted, payload, overhead, forwarded, kernel, unattributed } =
                line;
            writeln!(
                text,
                "{interface} {direction:?}: {counted} = payload {payload} + overhead {overhead} + forwarded \
                 {forwarded} + kernel {kernel} + unattributed {unattributed}"
            )
            .unwrap();
        }
        text
    }
}

impl From<Balance<'_>> for Line {
    fn from(balance: Balance<'_>) -> Self {
        Self {
            interface: balance.interface.to_owned(),
            direction: balance.direction,
            counted: balance.interface_bytes,
            payload: balance.process_payload_bytes,
            overhead: balance.overhead_bytes,
            forwarded: balance.forwarded_bytes,
            kernel: balance.kernel_bytes,
            unattributed: balance.unattributed_bytes,
        }
    }
}
