//! What is wrong with an expression, and where.

use std::ops::Range;

use thiserror::Error;

/// A place in the expression, in octets.
pub type Span = Range<usize>;

/// An expression that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct FilterError {
    pub kind: FilterErrorKind,
    /// Where in the expression. Empty and at its end when something is missing there.
    pub span: Span,
}

/// Why an expression was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterErrorKind {
    #[error("`{0}` has no place in an expression")]
    Character(char),
    #[error("{0}")]
    Number(NumberError),
    #[error("this looks like an Ethernet address, which has six parts")]
    BogusEthernetAddress,
    #[error("unexpected {found}: expected {expected}")]
    Unexpected { found: String, expected: &'static str },
    #[error("`{0}` is for another kind of link")]
    ForeignKeyword(String),
    #[error("nested more than {0} deep")]
    TooDeep(usize),
    #[error("unknown {what} `{name}`")]
    UnknownName { what: &'static str, name: String },
    #[error("invalid {what} `{text}`")]
    InvalidAddress { what: &'static str, text: String },
    #[error("bits are set behind the network part of `{0}`")]
    HostBitsSet(String),
    #[error("{what} {value} is more than {max}")]
    OutOfRange { what: &'static str, value: u32, max: u32 },
    #[error("`{qualifier}` does not apply to {what}")]
    Qualifier { qualifier: &'static str, what: &'static str },
    #[error("an address or number by itself needs a qualifier before it, such as `host`, `net` or `port`")]
    NoQualifier,
    #[error("`gateway` is not supported: write `ether host … and not host …`")]
    Gateway,
    #[error("`{what}` is not supported on {linktype}")]
    NotOnThisLink { what: &'static str, linktype: &'static str },
    #[error("`{0}` needs a live capture: a file does not tell")]
    NeedsMetadata(&'static str),
    #[error("`{0}` is not possible after a header of variable length")]
    VariableLength(&'static str),
    #[error("only IPv4 and IPv6 can be recognised behind MPLS")]
    NotBehindMpls,
    #[error("`ip broadcast` needs the netmask of the interface, which is not known")]
    NetmaskUnknown,
    #[error("`{0}` has no octets that can be indexed")]
    NotIndexable(&'static str),
    #[error("a load is 1, 2 or 4 octets wide, not {0}")]
    LoadSize(u32),
    #[error("division by zero")]
    DivisionByZero,
    #[error("a shift by {0}, where 31 is the most")]
    Shift(u32),
    #[error("the arithmetic needs more than 16 intermediate results")]
    OutOfRegisters,
    #[error("the program would have more than {0} instructions")]
    TooLong(usize),
}

/// Why the digits of a number are not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberError {
    #[error("a number that begins with 0 is octal, and has no digits 8 and 9")]
    NotOctal,
    #[error("the number does not fit 32 bits")]
    Overflow,
}

impl FilterError {
    pub(super) fn new(kind: FilterErrorKind, span: Span) -> Self {
        Self { kind, span }
    }

    /// The message, the expression, and a caret under the place, on three lines without a final line break.
    #[must_use]
    pub fn render(&self, expression: &str) -> String {
        let place = |until: usize| expression.char_indices().take_while(|&(at, _)| at < until).count();
        let start = place(self.span.start);
        let width = place(self.span.end).saturating_sub(start).max(1);
        let line: String = expression.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{self}\n  {line}\n  {}{}", " ".repeat(start), "^".repeat(width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_counts_characters_not_octets() {
        let error = FilterError::new(FilterErrorKind::Character('§'), 3..5);
        assert_eq!(error.render("é §"), "`§` has no place in an expression\n  é §\n    ^");
    }

    #[test]
    fn caret_stands_behind_the_end() {
        let error = FilterError::new(FilterErrorKind::NoQualifier, 3..3);
        assert!(error.render("tcp").ends_with("\n  tcp\n     ^"));
    }
}
