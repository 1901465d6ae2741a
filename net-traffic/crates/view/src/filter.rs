//! The screen's row filter: `port:443 process:nginx eth0` becomes a [`Selection`] and plain words. Pure.
//!
//! As with flags, criteria of one kind widen and criteria of different kinds narrow. A plain word matches a row that
//! contains it.

use std::fmt::Write;

use super::{Column, ColumnKind, Value, labels};
use net_traffic_model::{RemoteMatch, Selection, TextMatch};

/// A filter text and its meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    text: String,
    selection: Selection,
    words: Vec<String>,
    problem: Option<String>,
}

/// The words before a colon that name a criterion.
pub const PREFIXES: &[&str] = &["port", "process", "state", "remote", "container"];

impl Filter {
    /// Parses any text. An invalid value is left out and reported by [`Self::problem`]. An unknown prefix is a part of
    /// a plain word, because addresses contain colons, too.
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

    /// The text as typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The invalid value, if there is one.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether the filter passes every row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { text: _, selection, words, problem: _ } = self;
        *selection == Selection::default() && words.is_empty()
    }

    /// The criteria without the plain words.
    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    pub(super) fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether the row contains each plain word. `text` is a buffer that all rows of a list share.
    pub(super) fn is_mentioned(&self, columns: &[Column], cells: &[Value<'_>], text: &mut String) -> bool {
        text.clear();
        for (column, cell) in columns.iter().zip(cells) {
            if column.kind != ColumnKind::Number || column.key == "pid" {
                write_searchable(text, *cell);
                text.push('\n');
            }
        }
        text.make_ascii_lowercase();
        self.words.iter().all(|word| text.contains(word.as_str()))
    }

    fn add(&mut self, prefix: &str, value: &str) {
        let Selection { ports, processes, states, remotes, containers, .. } = &mut self.selection;
        let lower = value.to_ascii_lowercase();
        match prefix {
            "port" => match value.parse() {
                Ok(port) => ports.push(port),
                Err(_) => self.problem = Some(format!("'{value}' is no port")),
            },
            "process" => processes.push(TextMatch::Part(lower)),
            "state" => states.get_or_insert_default().extend(labels::states_named(value)),
            "remote" => {
                remotes.push(value.parse().map_or(RemoteMatch::Text(lower), RemoteMatch::Network));
            }
            _ => containers.push(TextMatch::Part(lower)),
        }
    }
}

/// Appends a cell as a user would type it.
fn write_searchable(text: &mut String, value: Value<'_>) {
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
