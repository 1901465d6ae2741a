//! Reports: typed values in tables, facts and series. The outputs format them.

use std::net::IpAddr;

use super::TableId;

/// One report of one view, borrowed from the model.
#[derive(Clone, Debug)]
pub struct Report<'m> {
    /// The view's name: the subcommand, and `report` in JSON.
    pub view: &'static str,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i64,
    pub host: &'m str,
    /// Nanoseconds since the first snapshot.
    pub elapsed_ns: u64,
    pub tables: Vec<Table<'m>>,
    /// Single values, such as an exit status.
    pub facts: Facts<'m>,
    pub series: Vec<Series<'m>>,
    /// Lost events by cause.
    pub loss: Facts<'m>,
    /// The resources that this program itself uses.
    pub cost: Facts<'m>,
    /// The program that counts in each slot, and why no better one does.
    pub sources: Table<'m>,
    /// Whether names of remote hosts are looked up. If not, their columns are left out.
    pub has_names: bool,
    /// The index in `tables` of the main table, for outputs with one table.
    pub main: usize,
}

impl Report<'_> {
    /// Makes another table the main one, if the view has it.
    pub(super) fn set_main(&mut self, id: Option<TableId>) {
        let place = id.and_then(|id| self.tables.iter().position(|table| table.key == Some(id.key())));
        self.main = place.unwrap_or(self.main);
    }
}

/// Named values, in order.
pub type Facts<'m> = Vec<(&'static str, Value<'m>)>;

/// Rows of values. Programs read all columns in their order; people read the columns of a layout.
#[derive(Clone, Debug)]
pub struct Table<'m> {
    /// The key in JSON; `None` for a table that only people read.
    pub key: Option<&'static str>,
    pub title: String,
    /// The columns, in the order of the values in a row.
    pub columns: &'static [Column],
    /// The layout of the plain text output; empty hides the table.
    pub text: &'static [ColumnSpec],
    /// The layout of the Markdown output; empty hides the table.
    pub markdown: &'static [ColumnSpec],
    /// All rows in sequence, `columns.len()` values each.
    pub cells: Vec<Value<'m>>,
    /// The number of rows that the limit cut.
    pub omitted: usize,
}

impl<'m> Table<'m> {
    /// The rows in order, each with one value a column.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[Value<'m>]> {
        self.cells.chunks_exact(self.columns.len().max(1))
    }

    /// The index of the column with this key.
    #[must_use]
    pub fn column(&self, key: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.key == key)
    }
}

/// A column for programs: its name and the kind of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub key: &'static str,
    pub kind: ColumnKind,
    pub presence: Presence,
}

/// The condition under which programs get a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Always,
    /// Never: it follows from other columns. Only people read it.
    Derived,
    /// If names of remote hosts are looked up.
    WithNames,
}

/// The kind of a column's values: the outputs align numbers to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    Number,
    /// An address with a port; CSV writes two fields.
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

    /// Whether programs get the column.
    #[must_use]
    pub fn is_written(&self, has_names: bool) -> bool {
        match self.presence {
            Presence::Always => true,
            Presence::Derived => false,
            Presence::WithNames => has_names,
        }
    }
}

/// A column of a layout for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    pub heading: &'static str,
    /// The column's key.
    pub key: &'static str,
    /// The key of a column with a host name. If a row has one, it replaces the address.
    pub name: Option<&'static str>,
    pub part: CellPart,
    /// The order of omission on a narrow terminal: the highest rank first, 0 never.
    pub rank: u8,
}

/// The part of a value that a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellPart {
    Whole,
    Address,
    Port,
    /// A byte count without unit prefix, for a heading with the unit.
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

    /// Shows the host name of column `name` in place of the address.
    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }
}

/// A value with its meaning. The name of the variant gives the unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'m> {
    /// Not observed; written as `null` or "-", never as zero.
    Unknown,
    Text(&'m str),
    /// A name with one form for programs and one for people.
    Label(&'static Label),
    /// A number that stands for a name, such as the UID of an unnamed user.
    Id(u32),
    Flag(bool),
    Count(u64),
    Bytes(u64),
    /// A signed difference of byte counts.
    Difference(i64),
    /// Bits per second of a process or connection; shown in bytes by default.
    Rate(u64),
    /// Bits per second of an interface; shown in bits by default.
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

/// A value without its unit, as programs read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'m> {
    Null,
    Text(&'m str),
    /// A number that stands for a name. JSON writes it as a string.
    Id(u32),
    Flag(bool),
    Unsigned(u64),
    Signed(i64),
    Address(IpAddr),
    Endpoint(IpAddr, u16),
}

/// A name in two forms: `id` for programs, `label` for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub id: &'static str,
    pub label: &'static str,
}

impl<'m> Value<'m> {
    /// The value for programs: base units, and ids instead of labels.
    #[must_use]
    pub fn scalar(self) -> Scalar<'m> {
        match self {
            Self::Unknown => Scalar::Null,
            Self::Text(text) => Scalar::Text(text),
            Self::Label(label) => Scalar::Text(label.id),
            Self::Id(number) => Scalar::Id(number),
            Self::Flag(flag) => Scalar::Flag(flag),
            Self::Count(number)
            | Self::Bytes(number)
            | Self::Rate(number)
            | Self::LinkRate(number)
            | Self::Microseconds(number)
            | Self::Milliseconds(number)
            | Self::Nanoseconds(number) => Scalar::Unsigned(number),
            Self::Difference(number) => Scalar::Signed(number),
            Self::Address(address) => Scalar::Address(address),
            Self::Endpoint { address, port } => Scalar::Endpoint(address, port),
        }
    }

    /// The value, or `Unknown` for `None`.
    pub(crate) fn of<T>(known: Option<T>, value: impl FnOnce(T) -> Self) -> Self {
        known.map_or(Value::Unknown, value)
    }

    pub(crate) fn maybe_text(text: Option<&'m str>) -> Self {
        Self::of(text, Value::Text)
    }
}

/// A quantity over time.
#[derive(Clone, Debug)]
pub struct Series<'m> {
    /// The name of its interface.
    pub of: &'m str,
    /// The key of the quantity, such as `rx_bps`.
    pub key: &'static str,
    /// Oldest first; `None` is unknown.
    pub points: Vec<Option<u64>>,
}
