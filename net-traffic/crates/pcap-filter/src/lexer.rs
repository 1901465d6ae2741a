//! Expression text → tokens. As in libpcap's scanner the longest match wins, so `len-14` is one word.

use std::net::Ipv6Addr;

use super::error::{FilterError, FilterErrorKind, NumberError, Span};
use super::syntax::Protocol;
use super::words::{CONSTANTS, FOREIGN, Keyword, keyword, protocol};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    Keyword(Keyword),
    Protocol(Protocol),
    /// A keyword of link types that the compiler does not support.
    Foreign,
    Number(u32),
    /// Two to four numbers with dots between them.
    Dotted(String),
    Ipv6(Ipv6Addr),
    Ether([u8; 6]),
    Word(String),
    /// Punctuation, except for `! && ||`, which are keywords.
    Symbol(&'static str),
}

/// The tokens of an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with([' ', '\t', '\r', '\n']) {
            at += 1;
            continue;
        }
        let (length, kind) = token(rest);
        let span = at..at + length;
        at = span.end;
        let kind = kind.map_err(|kind| FilterError::new(kind, span.clone()))?;
        tokens.push(Token { kind, span });
    }
    Ok(tokens)
}

const SYMBOLS: [&str; 26] = [
    "&&", "||", ">=", "<=", "!=", "==", "<<", ">>", "!", "<", ">", "(", ")", "[", "]", "&", "|", "+", "-",
    "*", "/", ":", "=", "%", "^", "$",
];

/// Makes a token of the text that a rule has matched.
type Make = fn(&str) -> Result<TokenKind, FilterErrorKind>;

/// The first token of `rest`, which is not empty, and its length in bytes.
fn token(rest: &str) -> (usize, Result<TokenKind, FilterErrorKind>) {
    // Of matches of equal length the first counts.
    let candidates: [(usize, Make); 7] = [
        (ether_length(rest), ether),
        (number_length(rest), number),
        (dotted_length(rest), |text| Ok(TokenKind::Dotted(text.to_owned()))),
        (ipv6_length(rest), ipv6),
        (bogus_ether_length(rest), |_| Err(FilterErrorKind::BogusEthernetAddress)),
        (word_length(rest), |text| Ok(word(text))),
        (escaped_length(rest), |text| Ok(TokenKind::Word(text.get(1..).unwrap_or_default().to_owned()))),
    ];
    let mut best: (usize, Option<Make>) = (0, None);
    for (length, make) in candidates {
        if length > best.0 {
            best = (length, Some(make));
        }
    }
    if let (length, Some(make)) = best {
        return (length, make(rest.get(..length).unwrap_or_default()));
    }
    if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        let kind = match *symbol {
            "&&" => TokenKind::Keyword(Keyword::And),
            "||" => TokenKind::Keyword(Keyword::Or),
            "!" => TokenKind::Keyword(Keyword::Not),
            "==" => TokenKind::Symbol("="),
            symbol => TokenKind::Symbol(symbol),
        };
        return (symbol.len(), Ok(kind));
    }
    let character = rest.chars().next().unwrap_or_default();
    (character.len_utf8(), Err(FilterErrorKind::Character(character)))
}

/// Letters, digits, `-`, `_` and `.`, from a letter or digit to a letter, digit or `.`.
fn word_length(rest: &str) -> usize {
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return 0;
    }
    let run = run(rest, |c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
    rest.get(..run).unwrap_or_default().trim_end_matches(['-', '_']).len()
}

/// A backslash, which makes a keyword a plain word, and the keyword.
fn escaped_length(rest: &str) -> usize {
    let Some(word) = rest.strip_prefix('\\') else { return 0 };
    match run(word, |c| !b" !()\n\t".contains(&c)) {
        0 => 0,
        length => length + 1,
    }
}

fn number_length(rest: &str) -> usize {
    let hexadecimal = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
    match hexadecimal.map(|digits| run(digits, |c| c.is_ascii_hexdigit())) {
        Some(digits) if digits > 0 => digits + 2,
        _ => run(rest, |c| c.is_ascii_digit()),
    }
}

fn number(text: &str) -> Result<TokenKind, FilterErrorKind> {
    let (digits, radix) = if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        (digits, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (text, 8)
    } else {
        (text, 10)
    };
    if radix == 8 && digits.contains(['8', '9']) {
        return Err(FilterErrorKind::Number(NumberError::NotOctal));
    }
    // The digits are valid, so the only error is overflow.
    let number = u32::from_str_radix(digits, radix).ok();
    number.map(TokenKind::Number).ok_or(FilterErrorKind::Number(NumberError::Overflow))
}

/// Two to four numbers with dots between them. Hexadecimal ones match here and are refused by the generator.
fn dotted_length(rest: &str) -> usize {
    let (mut length, mut parts) = (0, 0);
    loop {
        let part = number_length(rest.get(length..).unwrap_or_default());
        if part == 0 || parts == 4 {
            break;
        }
        (length, parts) = (length + part, parts + 1);
        if !rest.get(length..).unwrap_or_default().starts_with('.') {
            return if parts >= 2 { length } else { 0 };
        }
        length += 1;
    }
    // The last dot has no number after it, or a fifth one: the match ends before the dot.
    if parts >= 2 { length - 1 } else { 0 }
}

fn ipv6_length(rest: &str) -> usize {
    const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();
    let run = run(rest, |c| c.is_ascii_hexdigit() || c == b':' || c == b'.').min(LONGEST);
    let valid = |length: &usize| rest.get(..*length).is_some_and(|text| text.parse::<Ipv6Addr>().is_ok());
    (2..=run).rev().find(valid).unwrap_or(0)
}

fn ipv6(text: &str) -> Result<TokenKind, FilterErrorKind> {
    let invalid = |_| FilterErrorKind::InvalidAddress { what: "IPv6 address", text: text.to_owned() };
    text.parse().map(TokenKind::Ipv6).map_err(invalid)
}

/// A keyword, a protocol, a constant, or a plain word.
fn word(word: &str) -> TokenKind {
    if let Some(keyword) = keyword(word) {
        TokenKind::Keyword(keyword)
    } else if let Some(protocol) = protocol(word) {
        TokenKind::Protocol(protocol)
    } else if let Some((_, number)) = CONSTANTS.iter().find(|(name, _)| *name == word) {
        TokenKind::Number(*number)
    } else if FOREIGN.contains(&word) {
        TokenKind::Foreign
    } else {
        TokenKind::Word(word.to_owned())
    }
}

/// Six parts of one or two hexadecimal digits with one of `:-.` between them, three of four digits with dots, or
/// twelve digits.
fn ether_length(rest: &str) -> usize {
    let six = [":", "-", "."].map(|separator| parts_length(rest, separator, 6, 1..=2));
    let others = [parts_length(rest, ".", 3, 4..=4), parts_length(rest, "", 3, 4..=4)];
    six.into_iter().chain(others).max().unwrap_or(0)
}

fn parts_length(rest: &str, separator: &str, count: usize, digits: std::ops::RangeInclusive<usize>) -> usize {
    let mut length = 0;
    for part in 0..count {
        if part > 0 {
            if !rest.get(length..).unwrap_or_default().starts_with(separator) {
                return 0;
            }
            length += separator.len();
        }
        let run = run(rest.get(length..).unwrap_or_default(), |c| c.is_ascii_hexdigit()).min(*digits.end());
        if run < *digits.start() {
            return 0;
        }
        length += run;
    }
    length
}

fn ether(text: &str) -> Result<TokenKind, FilterErrorKind> {
    let invalid = || FilterErrorKind::InvalidAddress { what: "Ethernet address", text: text.to_owned() };
    let parts: Vec<&str> = text.split([':', '-', '.']).collect();
    let bytes: Option<Vec<u8>> = if parts.len() == 6 {
        parts.iter().map(|part| u8::from_str_radix(part, 16).ok()).collect()
    } else {
        let digits = parts.concat();
        (0..6).map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()).collect()
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).map(TokenKind::Ether).ok_or_else(invalid)
}

/// `0:2:` and the like: two or more parts, each followed by colons.
fn bogus_ether_length(rest: &str) -> usize {
    let (mut at, mut parts, mut length) = (0, 0, 0);
    loop {
        let digits = run(rest.get(at..).unwrap_or_default(), |c| c.is_ascii_hexdigit());
        let colons = run(rest.get(at + digits..).unwrap_or_default(), |c| c == b':');
        if !(1..=2).contains(&digits) || colons == 0 {
            return length;
        }
        at += digits + colons;
        parts += 1;
        if parts >= 2 {
            length = at;
        }
    }
}

fn run(text: &str, accept: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|&c| accept(c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn longest_match_wins() {
        assert_eq!(kinds("len-14"), [TokenKind::Word("len-14".into())]);
        assert_eq!(
            kinds("2:2]"),
            [TokenKind::Number(2), TokenKind::Symbol(":"), TokenKind::Number(2), TokenKind::Symbol("]")]
        );
        assert_eq!(
            kinds("10.0.0.1 1.2.3.4.5"),
            [TokenKind::Dotted("10.0.0.1".into()), TokenKind::Word("1.2.3.4.5".into())]
        );
    }

    #[test]
    fn number_is_decimal_octal_or_hexadecimal() {
        assert_eq!(
            kinds("80 0120 0x50"),
            [TokenKind::Number(80), TokenKind::Number(80), TokenKind::Number(80)]
        );
        assert!(tokens("08").is_err() && tokens("4294967296").is_err());
    }

    #[test]
    fn ethernet_address_has_five_forms() {
        let address = TokenKind::Ether([0, 0x50, 0x56, 0xab, 0xcd, 0xef]);
        for text in
            ["0:50:56:ab:cd:ef", "00-50-56-ab-cd-ef", "00.50.56.ab.cd.ef", "0050.56ab.cdef", "005056abcdef"]
        {
            assert_eq!(kinds(text), std::slice::from_ref(&address), "{text}");
        }
        assert!(tokens("0:2:").is_err());
    }

    #[test]
    fn ipv6_token_is_the_longest_valid_address() {
        assert_eq!(kinds("::ffff:10.0.0.1"), [TokenKind::Ipv6("::ffff:10.0.0.1".parse().unwrap())]);
        assert_eq!(kinds("2001:db8::/32").len(), 3);
    }
}
