//! Arithmetic, with the precedence of libpcap's grammar, which gives none to `%` and `^`: their right operand extends as
//! far as possible, and an operator to their left takes their result.

use super::super::error::FilterError;
use super::super::lexer::TokenKind;
use super::super::syntax::{Arithmetic, Operator, Relation, Step};
use super::super::words::Keyword;
use super::Parser;

impl Parser<'_> {
    /// A whole arithmetic expression.
    pub(super) fn arithmetic(&mut self) -> Result<Arithmetic, FilterError> {
        let left = self.arithmetic_operand()?;
        self.arithmetic_after(left)
    }

    /// The rest of an arithmetic expression that begins with `left`.
    pub(super) fn arithmetic_after(&mut self, left: Arithmetic) -> Result<Arithmetic, FilterError> {
        self.operators(left, None)
    }

    /// Folds operators into `left`, as long as they bind tighter than `pending`, the operator before `left`.
    fn operators(&mut self, mut left: Arithmetic, pending: Option<u8>) -> Result<Arithmetic, FilterError> {
        while let Some(operator) = self.peek_operator() {
            let own = precedence(operator);
            if !binds_tighter(own, pending) {
                break;
            }
            let span = self.next_span();
            self.next += 1;
            let right = self.nested(|parser| {
                let right = parser.arithmetic_operand()?;
                parser.operators(right, Some(own))
            })?;
            left.steps.extend(right.steps);
            left.steps.push((Step::Binary(operator), span));
        }
        Ok(left)
    }

    /// A number, a load, `len`, a parenthesis or a negation.
    pub(super) fn arithmetic_operand(&mut self) -> Result<Arithmetic, FilterError> {
        const EXPECTED: &str = "a number, `len` or a load such as `ip[8]`";
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected(EXPECTED)) };
        match token.kind {
            TokenKind::Number(number) => {
                self.next += 1;
                Ok(Arithmetic { steps: vec![(Step::Number(number), token.span)] })
            }
            TokenKind::Keyword(Keyword::Len) => {
                self.next += 1;
                Ok(Arithmetic { steps: vec![(Step::Len, token.span)] })
            }
            TokenKind::Protocol(protocol) => {
                self.next += 1;
                if !self.at_symbol("[") {
                    return Err(self.unexpected("`[`"));
                }
                self.load(protocol, token.span)
            }
            TokenKind::Symbol("-") => self.nested(|parser| {
                parser.next += 1;
                let operand = parser.arithmetic_operand()?;
                let mut operand = parser.operators(operand, Some(NEGATION))?;
                operand.steps.push((Step::Negate, token.span));
                Ok(operand)
            }),
            TokenKind::Symbol("(") => self.nested(|parser| {
                parser.next += 1;
                let inner = parser.arithmetic()?;
                parser.close(")", "an operator or `)`")?;
                Ok(inner)
            }),
            _ => Err(self.unexpected(EXPECTED)),
        }
    }

    pub(super) fn peek_operator(&self) -> Option<Operator> {
        let TokenKind::Symbol(symbol) = self.peek()?.kind else { return None };
        Some(match symbol {
            "+" => Operator::Add,
            "-" => Operator::Sub,
            "*" => Operator::Mul,
            "/" => Operator::Div,
            "%" => Operator::Mod,
            "&" => Operator::And,
            "|" => Operator::Or,
            "^" => Operator::Xor,
            "<<" => Operator::Lsh,
            ">>" => Operator::Rsh,
            _ => return None,
        })
    }

    pub(super) fn peek_relation(&self) -> Option<Relation> {
        let TokenKind::Symbol(symbol) = self.peek()?.kind else { return None };
        Some(match symbol {
            "<" => Relation::Less,
            "<=" => Relation::LessEqual,
            "=" => Relation::Equal,
            "!=" => Relation::NotEqual,
            ">=" => Relation::GreaterEqual,
            ">" => Relation::Greater,
            _ => return None,
        })
    }
}

const NO_PRECEDENCE: u8 = 0;
const NEGATION: u8 = 6;

fn precedence(operator: Operator) -> u8 {
    match operator {
        Operator::Mod | Operator::Xor => NO_PRECEDENCE,
        Operator::Or => 1,
        Operator::And => 2,
        Operator::Lsh | Operator::Rsh => 3,
        Operator::Add | Operator::Sub => 4,
        Operator::Mul | Operator::Div => 5,
    }
}

/// Whether an operator of this precedence takes the operand between it and the pending operator.
fn binds_tighter(precedence: u8, pending: Option<u8>) -> bool {
    match pending {
        None => true,
        Some(pending) => precedence == NO_PRECEDENCE || pending == NO_PRECEDENCE || precedence > pending,
    }
}
