//! Where things are on the screen, for whoever clicks on them.

use std::ops::Range;

/// Where a frame put what can be clicked, and how much it showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HitMap {
    pub tabs_line: u16,
    pub tabs: Vec<Range<u16>>,
    /// The line of the headings; the rows follow.
    pub heading: u16,
    pub columns: Vec<ColumnHit>,
    /// How many columns had no room.
    pub hidden: usize,
    /// The place of the first row.
    pub offset: usize,
    /// How many lines there are for rows, or for text.
    pub page: usize,
    /// How many lines the text has.
    pub lines: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnHit {
    pub key: &'static str,
    pub range: Range<u16>,
}
