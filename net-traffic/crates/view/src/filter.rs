//! What a user types to see fewer rows: `port:443 process:nginx eth0`. Pure: a text becomes criteria.
//!
//! Criteria of one kind widen, criteria of different kinds narrow, as flags do. A plain word must be found in the row.

use std::fmt::Write;

use super::labels;
use super::rows::connections::container;
use super::{Column, ColumnKind, Label, Value};
use net_traffic_model::{AttributedFlow, Network, ProcessState};

/// A text and what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    text: String,
    ports: Vec<u16>,
    processes: Vec<String>,
    states: Vec<String>,
    remotes: Vec<Remote>,
    containers: Vec<String>,
    words: Vec<String>,
    problem: Option<String>,
}

/// A network where the text is one, else the beginning of an address as it is written, or a part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Remote {
    Within(Network),
    Begins(String),
}

/// The words that stand before a colon.
pub const PREFIXES: &[&str] = &["port", "process", "state", "remote", "container"];

impl Filter {
    /// What the text means. Every text is a filter: a value that cannot be is left out and named in `problem`, and
    /// an unknown prefix is part of a plain word, because addresses have colons too.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut filter = Self { text: text.to_owned(), ..Self::default() };
        for word in text.split_whitespace() {
            match word.split_once(':') {
                Some((prefix, values)) if PREFIXES.contains(&prefix) => {
                    for value in values.split(',').filter(|value| !value.is_empty()) {
                        filter.add(prefix, value);
                    }
                }
                _ => filter.words.push(word.to_ascii_lowercase()),
            }
        }
        filter
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which part was left out, and why.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether it lets everything through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { text: _, ports, processes, states, remotes, containers, words, problem: _ } = self;
        ports.is_empty()
            && processes.is_empty()
            && states.is_empty()
            && remotes.is_empty()
            && containers.is_empty()
            && words.is_empty()
    }

    /// Whether some criteria are about connections, so that a process is wanted for those that it has.
    pub(super) fn is_about_connections(&self) -> bool {
        !(self.ports.is_empty() && self.states.is_empty() && self.remotes.is_empty())
    }

    /// Whether some criteria are about processes or their containers.
    pub(super) fn is_about_processes(&self) -> bool {
        !(self.processes.is_empty() && self.containers.is_empty())
    }

    /// Whether the connection meets the criteria, its words aside.
    pub(super) fn wants_flow(&self, flow: &AttributedFlow<'_>) -> bool {
        let socket = &flow.connection.socket;
        any(&self.ports, |port| {
            *port == socket.local.port || socket.remote.is_some_and(|remote| remote.port == *port)
        }) && any(&self.states, |state| match labels::state(flow.connection) {
            Value::Label(Label { id, label }) => {
                plain(id).starts_with(state) || plain(label).starts_with(state)
            }
            _ => false,
        }) && any(&self.remotes, |wanted| {
            socket.remote.is_some_and(|remote| match wanted {
                Remote::Within(network) => network.contains(remote.address),
                Remote::Begins(text) => {
                    let name = flow.remote_name.map(str::to_ascii_lowercase);
                    remote.address.to_canonical().to_string().starts_with(text)
                        || name.is_some_and(|name| name.contains(text))
                }
            })
        }) && (!self.is_about_processes() || flow.process.is_some_and(|process| self.wants_process(process)))
    }

    /// Whether the process meets the criteria that are about processes.
    pub(super) fn wants_process(&self, process: &ProcessState) -> bool {
        any(&self.processes, |wanted| {
            process.name().to_ascii_lowercase().contains(wanted)
                || process.pid().is_some_and(|pid| wanted.parse() == Ok(pid))
        }) && any(&self.containers, |wanted| {
            container(process).is_some_and(|name| name.to_ascii_lowercase().contains(wanted))
                || process.process.container.as_deref().is_some_and(|id| id.starts_with(wanted.as_str()))
        })
    }

    pub(super) fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether each plain word is found in the row. `text` is room to write, so that a long list needs it once.
    pub(super) fn is_mentioned(&self, columns: &[Column], cells: &[Value<'_>], text: &mut String) -> bool {
        text.clear();
        for (column, cell) in columns.iter().zip(cells) {
            if column.kind != ColumnKind::Number || column.key == "pid" {
                write_plainly(text, *cell);
                text.push('\n');
            }
        }
        text.make_ascii_lowercase();
        self.words.iter().all(|word| text.contains(word.as_str()))
    }

    fn add(&mut self, prefix: &str, value: &str) {
        let lower = value.to_ascii_lowercase();
        match prefix {
            "port" => match value.parse() {
                Ok(port) => self.ports.push(port),
                Err(_) => self.problem = Some(format!("'{value}' is no port")),
            },
            "process" => self.processes.push(lower),
            "state" => self.states.push(plain(value)),
            "remote" => self.remotes.push(value.parse().map_or(Remote::Begins(lower), Remote::Within)),
            _ => self.containers.push(lower),
        }
    }
}

/// Whether one of the criteria holds, or there are none.
fn any<T>(criteria: &[T], holds: impl Fn(&T) -> bool) -> bool {
    criteria.is_empty() || criteria.iter().any(holds)
}

/// `FIN_WAIT_1`, `fin-wait-1` and `finwait1` are the same state.
fn plain(state: &str) -> String {
    state.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The texts of a row as people would type them.
fn write_plainly(text: &mut String, value: Value<'_>) {
    let written = match value {
        Value::Text(value) => text.write_str(value),
        Value::Label(label) => text.write_str(label.label),
        Value::Id(number) => write!(text, "{number}"),
        Value::Count(number) => write!(text, "{number}"),
        Value::Address(address) => write!(text, "{address}"),
        Value::Endpoint { address, port } => write!(text, "{}", std::net::SocketAddr::new(address, port)),
        _ => Ok(()),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}
