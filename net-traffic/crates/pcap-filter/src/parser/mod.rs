//! Tokens → syntax tree.
//!
//! The language has three kinds of operand: a *term* (`tcp`, `host h`, `len > 9`), an *identifier* (`10.0.0.1`, `80`),
//! which takes the qualifiers of the identifier before it, and *arithmetic*. `(80` may begin any of them. The parser
//! reads an operand first and decides its kind by the tokens after it.

mod arithmetic;
mod primitive;

use super::error::{FilterError, FilterErrorKind, Span};
use super::lexer::{Token, TokenKind, tokens};
use super::syntax::{Arithmetic, Connective, Expr, Id, Primitive, Qualifiers};
use super::words::Keyword;

/// The most levels of nested parentheses, indices, signs and operators. Bounds the recursion of the parser.
pub(super) const MAX_DEPTH: usize = 100;

/// The tree of an expression. `None` for the empty one, which accepts every packet.
pub(super) fn parse(text: &str) -> Result<Option<Expr>, FilterError> {
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0 };
    if parser.tokens.is_empty() {
        return Ok(None);
    }
    let first = parser.operand(None, Accept { ids: false, numbers: false })?;
    let expr = parser.terms(first)?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("`and`, `or` or the end"));
    }
    Ok(Some(expr))
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

/// Which operands besides terms are valid here.
#[derive(Clone, Copy)]
struct Accept {
    ids: bool,
    /// Arithmetic that a parenthesis closes before its relation.
    numbers: bool,
}

/// An operand, with the qualifiers for an identifier after it.
enum Operand {
    Term(Expr, Option<Qualifiers>),
    Id(Expr, Option<Qualifiers>),
    /// A single number, in parentheses or not: an identifier or the beginning of arithmetic.
    Number(u32, Span),
    Arithmetic(Arithmetic, Span),
}

impl Parser<'_> {
    /// The rest of an expression of terms after its first operand: `and …`, `or …`. Identifiers may follow.
    fn terms(&mut self, first: Operand) -> Result<Expr, FilterError> {
        self.terms_and_qualifiers(first).map(|(expr, _)| expr)
    }

    fn terms_and_qualifiers(&mut self, first: Operand) -> Result<(Expr, Option<Qualifiers>), FilterError> {
        let (first, mut qualifiers) = self.resolved(first, None)?;
        let mut rest = Vec::new();
        while let Some(connective) = self.connective() {
            let operand = self.operand(qualifiers, Accept { ids: true, numbers: false })?;
            let (expr, new_qualifiers) = self.resolved(operand, qualifiers)?;
            qualifiers = new_qualifiers;
            rest.push((connective, expr));
        }
        Ok((chain(first, rest), qualifiers))
    }

    /// A term or an identifier. A single number becomes an identifier.
    fn resolved(
        &self,
        operand: Operand,
        qualifiers: Option<Qualifiers>,
    ) -> Result<(Expr, Option<Qualifiers>), FilterError> {
        match operand {
            Operand::Term(expr, qualifiers) | Operand::Id(expr, qualifiers) => Ok((expr, qualifiers)),
            Operand::Number(number, span) => {
                Ok((identifier(Id::Number(number), qualifiers, span)?, qualifiers))
            }
            Operand::Arithmetic(..) => Err(self.unexpected("a comparison")),
        }
    }

    /// One operand. `inherited`: the qualifiers for an identifier here.
    fn operand(&mut self, inherited: Option<Qualifiers>, accept: Accept) -> Result<Operand, FilterError> {
        let mut negations = 0;
        while self.take_keyword(Keyword::Not) {
            negations += 1;
        }
        if negations == 0 {
            return self.plain_operand(inherited, accept);
        }
        let operand = self.plain_operand(inherited, Accept { numbers: false, ..accept })?;
        let negate = |expr| if negations % 2 == 1 { Expr::Not(Box::new(expr)) } else { expr };
        Ok(match operand {
            Operand::Term(expr, qualifiers) => Operand::Term(negate(expr), qualifiers),
            operand => {
                let (expr, qualifiers) = self.resolved(operand, inherited)?;
                Operand::Id(negate(expr), qualifiers)
            }
        })
    }

    /// An operand that does not begin with `not`.
    fn plain_operand(
        &mut self,
        inherited: Option<Qualifiers>,
        accept: Accept,
    ) -> Result<Operand, FilterError> {
        let Some(token) = self.peek().cloned() else {
            return Err(self.unexpected(expected(accept)));
        };
        let operand = match token.kind {
            TokenKind::Symbol("(") => self.nested(|parser| parser.parenthesis(inherited, accept))?,
            TokenKind::Number(number) => {
                self.next += 1;
                Operand::Number(number, token.span)
            }
            TokenKind::Dotted(_) | TokenKind::Ipv6(_) | TokenKind::Ether(_) | TokenKind::Word(_)
                if accept.ids =>
            {
                Operand::Id(self.address(inherited)?, inherited)
            }
            _ => self.term(expected(accept))?,
        };
        self.compared(operand, accept)
    }

    /// Completes arithmetic to a comparison, if a relation follows.
    fn compared(&mut self, operand: Operand, accept: Accept) -> Result<Operand, FilterError> {
        let (left, start) = match operand {
            Operand::Number(number, ref span) => {
                let number_alone = self.peek_operator().is_none() && self.peek_relation().is_none();
                // After the closing parenthesis the number may still become an operand of arithmetic.
                if number_alone && (accept.ids || (accept.numbers && self.at_symbol(")"))) {
                    return Ok(operand);
                }
                (Arithmetic { steps: vec![(super::syntax::Step::Number(number), span.clone())] }, span.start)
            }
            Operand::Arithmetic(arithmetic, span) => (arithmetic, span.start),
            operand => return Ok(operand),
        };
        let left = self.arithmetic_after(left)?;
        let Some(relation) = self.peek_relation() else {
            if accept.numbers && self.at_symbol(")") {
                return Ok(Operand::Arithmetic(left, start..self.end_of_last()));
            }
            return Err(self.unexpected("a comparison"));
        };
        self.next += 1;
        let right = self.arithmetic()?;
        let span = start..self.end_of_last();
        Ok(Operand::Term(Expr::Primitive(Primitive::Relation { left, relation, right }, span), None))
    }

    /// `( … )`: terms, identifiers, or arithmetic.
    fn parenthesis(&mut self, inherited: Option<Qualifiers>, accept: Accept) -> Result<Operand, FilterError> {
        let open = self.next_span();
        self.next += 1;
        let operand = match self.operand(inherited, Accept { numbers: true, ..accept })? {
            operand @ Operand::Term(..) => Operand::Term(self.terms(operand)?, inherited),
            Operand::Number(number, _) if self.at_symbol(")") => {
                Operand::Number(number, open.start..self.next_span().end)
            }
            Operand::Arithmetic(arithmetic, _) => {
                Operand::Arithmetic(arithmetic, open.start..self.next_span().end)
            }
            operand => Operand::Id(self.ids(operand, inherited)?, inherited),
        };
        self.close(")", "`and`, `or` or `)`")?;
        Ok(operand)
    }

    /// The rest of a chain of identifiers. A term is an error in it.
    fn ids(&mut self, first: Operand, qualifiers: Option<Qualifiers>) -> Result<Expr, FilterError> {
        let (first, _) = self.resolved(first, qualifiers)?;
        let mut rest = Vec::new();
        while let Some(connective) = self.connective() {
            rest.push((connective, self.id(qualifiers)?));
        }
        Ok(chain(first, rest))
    }

    /// One identifier: an address, number or name, `not` one, or several in parentheses.
    fn id(&mut self, qualifiers: Option<Qualifiers>) -> Result<Expr, FilterError> {
        const EXPECTED: &str = "an address, a number or a name";
        let mut negations = 0;
        while self.take_keyword(Keyword::Not) {
            negations += 1;
        }
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected(EXPECTED)) };
        let expr = match token.kind {
            TokenKind::Symbol("(") => self.nested(|parser| {
                parser.next += 1;
                let first = parser.id(qualifiers)?;
                let mut rest = Vec::new();
                while let Some(connective) = parser.connective() {
                    rest.push((connective, parser.id(qualifiers)?));
                }
                parser.close(")", "`and`, `or` or `)`")?;
                Ok(chain(first, rest))
            })?,
            TokenKind::Number(number) => {
                self.next += 1;
                identifier(Id::Number(number), qualifiers, token.span)?
            }
            TokenKind::Dotted(_) | TokenKind::Ipv6(_) | TokenKind::Ether(_) | TokenKind::Word(_) => {
                self.address(qualifiers)?
            }
            _ => return Err(self.unexpected(EXPECTED)),
        };
        Ok(if negations % 2 == 1 { Expr::Not(Box::new(expr)) } else { expr })
    }

    /// `and` or `or`, if one is next.
    fn connective(&mut self) -> Option<Connective> {
        let connective = match self.peek()?.kind {
            TokenKind::Keyword(Keyword::And) => Connective::And,
            TokenKind::Keyword(Keyword::Or) => Connective::Or,
            _ => return None,
        };
        self.next += 1;
        Some(connective)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn at_symbol(&self, symbol: &'static str) -> bool {
        self.peek().is_some_and(|token| token.kind == TokenKind::Symbol(symbol))
    }

    fn take_symbol(&mut self, symbol: &'static str) -> bool {
        let found = self.at_symbol(symbol);
        self.next += usize::from(found);
        found
    }

    fn take_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == TokenKind::Keyword(keyword));
        self.next += usize::from(found);
        found
    }

    fn close(&mut self, symbol: &'static str, expected: &'static str) -> Result<(), FilterError> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        if self.depth == MAX_DEPTH {
            return Err(FilterError::new(FilterErrorKind::TooDeep(MAX_DEPTH), self.next_span()));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The place of the next token, or the empty place at the end.
    fn next_span(&self) -> Span {
        let end = self.text.len();
        self.peek().map_or(end..end, |token| token.span.clone())
    }

    fn end_of_last(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.span.end)
    }

    /// The error for a next token other than `expected`.
    fn unexpected(&self, expected: &'static str) -> FilterError {
        let span = self.next_span();
        let found = self.text.get(span.clone()).unwrap_or_default();
        let kind = match self.peek() {
            Some(token) if token.kind == TokenKind::Foreign => {
                FilterErrorKind::ForeignKeyword(found.to_owned())
            }
            Some(_) => FilterErrorKind::Unexpected { found: format!("`{found}`"), expected },
            None => FilterErrorKind::Unexpected { found: "end".to_owned(), expected },
        };
        FilterError::new(kind, span)
    }
}

/// An identifier with the qualifiers of the identifier before it. Without any it is an error.
fn identifier(id: Id, qualifiers: Option<Qualifiers>, span: Span) -> Result<Expr, FilterError> {
    match qualifiers {
        Some(qualifiers) => Ok(Expr::Primitive(Primitive::Id(qualifiers, id), span)),
        None => Err(FilterError::new(FilterErrorKind::NoQualifier, span)),
    }
}

fn chain(first: Expr, rest: Vec<(Connective, Expr)>) -> Expr {
    if rest.is_empty() { first } else { Expr::Chain { first: Box::new(first), rest } }
}

fn expected(accept: Accept) -> &'static str {
    if accept.ids {
        "a primitive such as `tcp` or `host`, an address or a number"
    } else {
        "a primitive such as `tcp`, `host`, `port`, `net` or `len`"
    }
}
