//! The click targets of a frame.

use std::ops::Range;

/// The places of tabs, headings and rows in the last frame, and the size of its list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HitMap {
    pub tabs_line: u16,
    pub tabs: Vec<Range<u16>>,
    /// The line of the headings; the rows are below.
    pub heading: u16,
    pub columns: Vec<ColumnHit>,
    /// The number of columns without room.
    pub hidden: usize,
    /// The place of the first row.
    pub offset: usize,
    /// The number of lines for rows or text.
    pub page: usize,
    /// The number of lines of the text.
    pub lines: usize,
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnHit {
    pub key: &'static str,
    pub range: Range<u16>,
}
