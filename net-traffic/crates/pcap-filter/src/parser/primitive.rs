//! Primitives that begin with a word: protocols, qualifiers with their identifier, tags, lengths.

use super::super::error::{FilterError, Span};
use super::super::lexer::TokenKind;
use super::super::syntax::{
    ByteTest, Connective, Direction, Expr, Id, Kind, Primitive, Protocol, Qualifiers, Step,
};
use super::super::words::Keyword;
use super::{Operand, Parser, identifier};

impl Parser<'_> {
    /// A term that is not in parentheses, or arithmetic that begins with a word or a sign.
    pub(super) fn term(&mut self, expected: &'static str) -> Result<Operand, FilterError> {
        let span = self.next_span();
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected(expected)) };
        let protocol = match token.kind {
            TokenKind::Protocol(protocol) => {
                self.next += 1;
                Some(protocol)
            }
            TokenKind::Symbol("-") | TokenKind::Keyword(Keyword::Len) => {
                let arithmetic = self.arithmetic_operand()?;
                return Ok(Operand::Arithmetic(arithmetic, span));
            }
            _ => None,
        };
        if let Some(protocol) = protocol
            && self.at_symbol("[")
        {
            let steps = self.load(protocol, span.clone())?;
            return Ok(Operand::Arithmetic(steps, span));
        }
        if let Some(qualifiers) = self.qualifiers(protocol)? {
            let operand = self.id(Some(qualifiers))?;
            return Ok(Operand::Term(operand, Some(qualifiers)));
        }
        let primitive = if self.take_keyword(Keyword::Broadcast) {
            Primitive::Broadcast(protocol)
        } else if self.take_keyword(Keyword::Multicast) {
            Primitive::Multicast(protocol)
        } else if let Some(protocol) = protocol {
            if self.peek().is_some_and(|token| token.kind == TokenKind::Foreign) {
                return Err(self.unexpected(expected));
            }
            Primitive::Protocol(protocol)
        } else {
            self.keyword_primitive(expected)?
        };
        Ok(Operand::Term(Expr::Primitive(primitive, span.start..self.end_of_last()), None))
    }

    /// Direction and kind, if at least one of them is next.
    fn qualifiers(&mut self, protocol: Option<Protocol>) -> Result<Option<Qualifiers>, FilterError> {
        let direction = self.direction()?;
        let kind = match self.peek().map(|token| &token.kind) {
            Some(TokenKind::Keyword(Keyword::Host)) => Kind::Host,
            Some(TokenKind::Keyword(Keyword::Net)) => Kind::Net,
            Some(TokenKind::Keyword(Keyword::Port)) => Kind::Port,
            Some(TokenKind::Keyword(Keyword::PortRange)) => Kind::PortRange,
            Some(TokenKind::Keyword(Keyword::Gateway)) if direction.is_none() => Kind::Gateway,
            Some(TokenKind::Keyword(Keyword::Proto)) if direction.is_none() => Kind::Proto,
            Some(TokenKind::Keyword(Keyword::ProtoChain)) if direction.is_none() => Kind::ProtoChain,
            _ if direction.is_some() => {
                return Ok(Some(Qualifiers { protocol, direction, kind: Kind::Default }));
            }
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(Qualifiers { protocol, direction, kind }))
    }

    fn direction(&mut self) -> Result<Option<Direction>, FilterError> {
        let (direction, other) = if self.take_keyword(Keyword::Src) {
            (Direction::Src, Keyword::Dst)
        } else if self.take_keyword(Keyword::Dst) {
            (Direction::Dst, Keyword::Src)
        } else {
            return Ok(None);
        };
        let Some(connective) = self.connective() else { return Ok(Some(direction)) };
        if !self.take_keyword(other) {
            return Err(self.unexpected("the other one of `src` and `dst`"));
        }
        Ok(Some(if connective == Connective::Or { Direction::SrcOrDst } else { Direction::SrcAndDst }))
    }

    /// An address or a name, with its prefix length or mask.
    pub(super) fn address(&mut self, qualifiers: Option<Qualifiers>) -> Result<Expr, FilterError> {
        let start = self.next_span().start;
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected("an address or a name")) };
        self.next += 1;
        let id = match token.kind {
            TokenKind::Dotted(address) => {
                if self.take_symbol("/") {
                    Id::DottedPrefix(address, self.number("a prefix length")?)
                } else if self.take_keyword(Keyword::Mask) {
                    Id::DottedMask(address, self.dotted()?)
                } else {
                    Id::Dotted(address)
                }
            }
            TokenKind::Ipv6(address) => {
                let prefix = if self.take_symbol("/") { self.number("a prefix length")? } else { 128 };
                Id::Ipv6(address, prefix)
            }
            TokenKind::Ether(address) => Id::Ether(address),
            TokenKind::Word(word) => Id::Word(word),
            _ => {
                self.next -= 1;
                return Err(self.unexpected("an address or a name"));
            }
        };
        identifier(id, qualifiers, start..self.end_of_last())
    }

    fn dotted(&mut self) -> Result<String, FilterError> {
        match self.peek().cloned() {
            Some(super::super::lexer::Token { kind: TokenKind::Dotted(text), .. }) => {
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.unexpected("a mask such as 255.255.255.0")),
        }
    }

    /// A primitive that begins with a keyword of its own.
    fn keyword_primitive(&mut self, expected: &'static str) -> Result<Primitive, FilterError> {
        let Some(TokenKind::Keyword(keyword)) = self.peek().map(|token| token.kind.clone()) else {
            return Err(self.unexpected(expected));
        };
        self.next += 1;
        Ok(match keyword {
            Keyword::Less => Primitive::Less(self.number("a length")?),
            Keyword::Greater => Primitive::Greater(self.number("a length")?),
            Keyword::Byte => {
                let offset = self.number("an offset")?;
                let test = self.byte_test()?;
                Primitive::Byte { offset, test, value: self.number("a value")? }
            }
            Keyword::Inbound => Primitive::Inbound,
            Keyword::Outbound => Primitive::Outbound,
            Keyword::IfIndex => Primitive::IfIndex(self.number("an interface index")?),
            Keyword::Vlan => Primitive::Vlan(self.optional_number()?),
            Keyword::Mpls => Primitive::Mpls(self.optional_number()?),
            Keyword::Pppoed => Primitive::Pppoed,
            Keyword::Pppoes => Primitive::Pppoes(self.optional_number()?),
            Keyword::Geneve => Primitive::Geneve(self.optional_number()?),
            Keyword::Llc => Primitive::Llc(self.llc_type()),
            _ => {
                self.next -= 1;
                return Err(self.unexpected(expected));
            }
        })
    }

    fn llc_type(&mut self) -> Option<String> {
        let name = match self.peek()?.kind.clone() {
            TokenKind::Word(name) => name,
            TokenKind::Keyword(Keyword::Rnr) => "rnr".to_owned(),
            _ => return None,
        };
        self.next += 1;
        Some(name)
    }

    fn byte_test(&mut self) -> Result<ByteTest, FilterError> {
        const TESTS: [(&str, ByteTest); 5] = [
            ("=", ByteTest::Equal),
            ("<", ByteTest::Less),
            (">", ByteTest::Greater),
            ("&", ByteTest::And),
            ("|", ByteTest::Or),
        ];
        for (symbol, test) in TESTS {
            if self.take_symbol(symbol) {
                return Ok(test);
            }
        }
        Err(self.unexpected("one of `=`, `<`, `>`, `&` and `|`"))
    }

    pub(super) fn number(&mut self, expected: &'static str) -> Result<u32, FilterError> {
        match self.peek().map(|token| &token.kind) {
            Some(&TokenKind::Number(number)) => {
                self.next += 1;
                Ok(number)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// A number, in parentheses or not, if one is next.
    fn optional_number(&mut self) -> Result<Option<u32>, FilterError> {
        let mut parentheses = 0;
        while self.take_symbol("(") {
            parentheses += 1;
        }
        if parentheses == 0 && !matches!(self.peek().map(|token| &token.kind), Some(TokenKind::Number(_))) {
            return Ok(None);
        }
        let number = self.number("a number")?;
        for _ in 0..parentheses {
            self.close(")", "`)`")?;
        }
        Ok(Some(number))
    }

    /// `[offset]` or `[offset:size]` after a protocol. `span` is the place of the protocol.
    pub(super) fn load(
        &mut self,
        protocol: Protocol,
        span: Span,
    ) -> Result<super::super::syntax::Arithmetic, FilterError> {
        self.nested(|parser| {
            parser.next += 1;
            let mut offset = parser.arithmetic()?;
            let size = if parser.take_symbol(":") { parser.number("a size of 1, 2 or 4")? } else { 1 };
            parser.close("]", "`]`")?;
            offset.steps.push((Step::Load { protocol, size }, span.start..parser.end_of_last()));
            Ok(offset)
        })
    }
}
