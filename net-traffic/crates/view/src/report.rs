//! What a view says, as typed values: tables, facts and series. How they are written is the outputs' business.

use std::net::IpAddr;

use super::TableId;

/// One report of one view, borrowed from the model.
#[derive(Clone, Debug)]
pub struct Report<'m> {
    /// The view's name: subcommand, tab, and `report` in JSON.
    pub view: &'static str,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i64,
    pub host: &'m str,
    /// Nanoseconds since the first snapshot.
    pub elapsed_ns: u64,
    pub tables: Vec<Table<'m>>,
    /// Single values beside the tables, such as an exit status.
    pub facts: Facts<'m>,
    pub series: Vec<Series<'m>>,
    /// The loss ledger, by cause.
    pub loss: Facts<'m>,
    /// What the tool itself costs.
    pub cost: Facts<'m>,
    /// What counts in each slot, and why nothing better does.
    pub sources: Table<'m>,
    /// Names of remote hosts are looked up, so that columns of such names are there.
    pub has_names: bool,
    /// The place in `tables` of the one that stands for the report where only one can be shown.
    pub main: usize,
}

impl Report<'_> {
    /// Lets another table stand for the report, if the view has it.
    pub(super) fn choose(&mut self, by: Option<TableId>) {
        let wanted = by.and_then(|by| self.tables.iter().position(|table| table.key == Some(by.key())));
        self.main = wanted.unwrap_or(self.main);
    }
}

/// Named values, in order.
pub type Facts<'m> = Vec<(&'static str, Value<'m>)>;

/// Rows of values. Which columns people see, and in which order, differs from what programs read.
#[derive(Clone, Debug)]
pub struct Table<'m> {
    /// The key in JSON; `None` for what only people read.
    pub key: Option<&'static str>,
    pub title: String,
    /// In the order of the values in a row.
    pub columns: &'static [Column],
    /// What a table for people shows; nothing if empty.
    pub text: &'static [ColumnSpec],
    /// What Markdown shows; nothing if empty.
    pub markdown: &'static [ColumnSpec],
    /// Row after row, `columns.len()` values each.
    pub cells: Vec<Value<'m>>,
    /// How many rows the limit left out.
    pub omitted: usize,
}

impl<'m> Table<'m> {
    /// The rows in order, a value for each column.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[Value<'m>]> {
        self.cells.chunks_exact(self.columns.len().max(1))
    }

    /// The place of a column, by its key.
    #[must_use]
    pub fn column(&self, key: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.key == key)
    }
}

/// A column: its name for programs, and what kind of values it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub key: &'static str,
    pub kind: ColumnKind,
    pub presence: Presence,
}

/// When programs get a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Always,
    /// It follows from other columns: people read it, programs compute it.
    Derived,
    /// Where names of remote hosts are looked up.
    WithNames,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    Number,
    /// An address with a port: two fields where a field holds one value.
    Endpoint,
}

impl Column {
    pub(crate) const fn text(key: &'static str) -> Self {
        Self { key, kind: ColumnKind::Text, presence: Presence::Always }
    }

    pub(crate) const fn number(key: &'static str) -> Self {
        Self { key, kind: ColumnKind::Number, presence: Presence::Always }
    }

    pub(crate) const fn derived(key: &'static str) -> Self {
        Self { key, kind: ColumnKind::Number, presence: Presence::Derived }
    }

    pub(crate) const fn endpoint(key: &'static str) -> Self {
        Self { key, kind: ColumnKind::Endpoint, presence: Presence::Always }
    }

    pub(crate) const fn host_name(key: &'static str) -> Self {
        Self { key, kind: ColumnKind::Text, presence: Presence::WithNames }
    }

    /// Whether programs get it, in a report with or without names of remote hosts.
    #[must_use]
    pub fn is_written(&self, has_names: bool) -> bool {
        match self.presence {
            Presence::Always => true,
            Presence::Derived => false,
            Presence::WithNames => has_names,
        }
    }
}

/// A column as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    pub heading: &'static str,
    /// The column's key.
    pub key: &'static str,
    /// The key of the column whose text, where there is one, people read in place of the address.
    pub name: Option<&'static str>,
    pub part: CellPart,
    /// On a narrow terminal the highest is left out first; 0 never is.
    pub rank: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellPart {
    Whole,
    Address,
    Port,
    /// A count of bytes as a plain number, for a heading that names the unit.
    Plain,
}

impl ColumnSpec {
    pub(crate) const fn whole(heading: &'static str, key: &'static str) -> Self {
        Self::ranked(heading, key, 0)
    }

    pub(crate) const fn plain(heading: &'static str, key: &'static str) -> Self {
        Self::part(heading, key, CellPart::Plain)
    }

    pub(crate) const fn part(heading: &'static str, key: &'static str, part: CellPart) -> Self {
        Self { heading, key, name: None, part, rank: 0 }
    }

    pub(crate) const fn ranked(heading: &'static str, key: &'static str, rank: u8) -> Self {
        Self { heading, key, name: None, part: CellPart::Whole, rank }
    }

    /// The same, with the name of a host from another column in place of its address.
    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }
}

/// A value with its meaning; units are those of the name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'m> {
    /// Not known: `null`, "-". Never zero.
    Unknown,
    Text(&'m str),
    /// A text that is a name for programs and another for people.
    Label(&'static Label),
    /// A number that names something, such as a user without a name: a text.
    Id(u32),
    Flag(bool),
    Count(u64),
    Bytes(u64),
    /// Bytes too many or, below zero, too few.
    Difference(i64),
    /// Bits per second of a process or connection; people think of those in bytes.
    Rate(u64),
    /// Bits per second of an interface; people think of those in bits.
    LinkRate(u64),
    Microseconds(u64),
    Milliseconds(u64),
    Nanoseconds(u64),
    Address(IpAddr),
    Endpoint {
        address: IpAddr,
        port: u16,
    },
}

/// A name for programs and one for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub id: &'static str,
    pub label: &'static str,
}

impl<'m> Value<'m> {
    /// A value that may be unknown.
    pub(crate) fn of<T>(known: Option<T>, value: impl FnOnce(T) -> Self) -> Self {
        known.map_or(Value::Unknown, value)
    }

    pub(crate) fn maybe_text(text: Option<&'m str>) -> Self {
        Self::of(text, Value::Text)
    }
}

/// A quantity over time, oldest first; a gap where it was not known.
#[derive(Clone, Debug)]
pub struct Series<'m> {
    /// What it belongs to: an interface's name.
    pub of: &'m str,
    /// The key of the quantity, such as `rx_bps`.
    pub key: &'static str,
    pub points: Vec<Option<u64>>,
}
