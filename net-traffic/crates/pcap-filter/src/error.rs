//! Errors of the compiler, with their place in the expression.

use std::ops::Range;

use thiserror::Error;

/// A place in the expression, as a range of bytes.
pub type Span = Range<usize>;

/// A refused expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct FilterError {
    /// Why.
    pub kind: FilterErrorKind,
    /// Where. Empty, and at the end of the expression, if the expression ends too early.
    pub span: Span,
}

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are what the messages quote")]
#[non_exhaustive]
pub enum FilterErrorKind {
    /// A character that begins no token.
    #[error("`{0}` has no place in an expression")]
    Character(char),
    /// A number that is not one.
    #[error("{0}")]
    Number(NumberError),
    /// Hexadecimal digits with colons that are no Ethernet address.
    #[error("this looks like an Ethernet address, which has six parts")]
    BogusEthernetAddress,
    /// Another token than the grammar allows.
    #[error("unexpected {found}: expected {expected}")]
    Unexpected { found: String, expected: &'static str },
    /// A keyword of a link type that the compiler does not support.
    #[error("`{0}` is for another kind of link")]
    ForeignKeyword(String),
    /// Too many nested parentheses, indices or operators.
    #[error("nested more than {0} deep")]
    TooDeep(usize),
    /// A name that [`Names`](crate::Names) does not resolve.
    #[error("unknown {what} `{name}`")]
    UnknownName { what: &'static str, name: String },
    /// An address with a part that is out of range.
    #[error("invalid {what} `{text}`")]
    InvalidAddress { what: &'static str, text: String },
    /// A network with bits beyond its prefix or mask.
    #[error("bits are set behind the network part of `{0}`")]
    HostBitsSet(String),
    /// A number that is too large for what it stands for.
    #[error("{what} {value} is more than {max}")]
    OutOfRange { what: &'static str, value: u32, max: u32 },
    /// A qualifier that cannot precede what follows it.
    #[error("`{qualifier}` does not apply to {what}")]
    Qualifier { qualifier: &'static str, what: &'static str },
    /// An identifier without a qualifier before it.
    #[error("an address or number by itself needs a qualifier before it, such as `host`, `net` or `port`")]
    NoQualifier,
    /// `gateway`, which needs an Ethernet address and an IP address of one name.
    #[error("`gateway` is not supported: write `ether host … and not host …`")]
    Gateway,
    /// A primitive that does not exist on the link type.
    #[error("`{what}` is not supported on {linktype}")]
    NotOnThisLink { what: &'static str, linktype: &'static str },
    /// A primitive that needs [`CompileOptions::metadata`](crate::CompileOptions::metadata).
    #[error("`{0}` needs a live capture: a file does not record it")]
    NeedsMetadata(&'static str),
    /// `protochain` after a primitive whose header has no fixed length.
    #[error("`{0}` is not possible after a header of variable length")]
    VariableLength(&'static str),
    /// Another protocol than IPv4 and IPv6 after `mpls`: a label does not name its payload.
    #[error("only IPv4 and IPv6 can be recognised behind MPLS")]
    NotBehindMpls,
    /// `ip broadcast` without [`CompileOptions::netmask`](crate::CompileOptions::netmask).
    #[error("`ip broadcast` needs the netmask of the interface, which is not known")]
    NetmaskUnknown,
    /// An index after a protocol that has none.
    #[error("`{0}` has no bytes that can be indexed")]
    NotIndexable(&'static str),
    /// `[offset:size]` with another size than 1, 2 or 4.
    #[error("a load is 1, 2 or 4 bytes wide, not {0}")]
    LoadSize(u32),
    /// A division by the constant zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A shift by a constant of more than 31.
    #[error("a shift by {0}, where 31 is the most")]
    Shift(u32),
    /// Arithmetic that needs more scratch memory than classic BPF has.
    #[error("the arithmetic needs more than 16 intermediate results")]
    OutOfRegisters,
    /// A program of more instructions than a kernel accepts.
    #[error("the program would have more than {0} instructions")]
    TooLong(usize),
}

/// Why digits are not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberError {
    /// An octal number with a digit 8 or 9.
    #[error("a number that begins with 0 is octal, and has no digits 8 and 9")]
    NotOctal,
    /// A number of more than 32 bits.
    #[error("the number does not fit 32 bits")]
    Overflow,
}

impl FilterError {
    pub(super) fn new(kind: FilterErrorKind, span: Span) -> Self {
        Self { kind, span }
    }

    /// Three lines without a final line break: the message, the expression, and carets under the place.
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
    fn caret_counts_characters_not_bytes() {
        let error = FilterError::new(FilterErrorKind::Character('§'), 3..5);
        assert_eq!(error.render("é §"), "`§` has no place in an expression\n  é §\n    ^");
    }

    #[test]
    fn missing_token_puts_caret_at_the_end() {
        let error = FilterError::new(FilterErrorKind::NoQualifier, 3..3);
        assert!(error.render("tcp").ends_with("\n  tcp\n     ^"));
    }
}
