//! Reads the type section of a BTF blob: structs and unions, their members, and the types between them. Writes blobs of
//! names.
//!
//! The format: <https://docs.kernel.org/bpf/btf.html>.

use std::ffi::CStr;

use foldhash::{HashMap, HashMapExt};

use super::BtfError;

const MAGIC: u16 = 0xeb9f;

/// A BTF blob, indexed.
pub(super) struct Btf<'a> {
    /// The type section. Every record in it is a multiple of four bytes.
    words: &'a [[u8; 4]],
    strings: &'a [u8],
    /// The first word of the type of each id; id 0 is `void`.
    starts: Vec<u32>,
    /// Structs, unions, enumerations and typedefs by name.
    named: HashMap<&'a [u8], u32>,
}

/// The kinds of types
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/btf.h#L60>).
pub(super) mod kind {
    pub(in super::super) const INT: u32 = 1;
    pub(in super::super) const ARRAY: u32 = 3;
    pub(in super::super) const STRUCT: u32 = 4;
    pub(in super::super) const UNION: u32 = 5;
    pub(in super::super) const ENUM: u32 = 6;
    pub(in super::super) const FWD: u32 = 7;
    pub(in super::super) const TYPEDEF: u32 = 8;
    pub(in super::super) const VOLATILE: u32 = 9;
    pub(in super::super) const CONST: u32 = 10;
    pub(in super::super) const RESTRICT: u32 = 11;
    pub(in super::super) const FUNC: u32 = 12;
    pub(in super::super) const FUNC_PROTO: u32 = 13;
    pub(in super::super) const VAR: u32 = 14;
    pub(in super::super) const DATASEC: u32 = 15;
    pub(in super::super) const DECL_TAG: u32 = 17;
    pub(in super::super) const TYPE_TAG: u32 = 18;
    pub(in super::super) const ENUM64: u32 = 19;
}

/// `struct btf_type`: the three words that every type begins with.
pub(super) struct Head {
    name: u32,
    info: u32,
    /// A size or another type's id.
    detail: u32,
}

impl Head {
    const WORDS: usize = 3;

    pub(super) fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn members(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Member offsets have the width of a bit field in their upper eight bits.
    fn has_bit_fields(&self) -> bool {
        self.info >> 31 == 1
    }

    /// The number of words after the head.
    fn tail(&self) -> usize {
        let n = self.members();
        match self.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 1,
            kind::ARRAY => 3,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 3 * n,
            kind::ENUM | kind::FUNC_PROTO => 2 * n,
            _ => 0,
        }
    }
}

impl<'a> Btf<'a> {
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, BtfError> {
        let (words, strings) = sections(blob).ok_or(BtfError::Format("no BTF header"))?;
        let mut btf = Self { words, strings, starts: vec![u32::MAX], named: HashMap::new() };
        let mut at = 0;
        while at < words.len() {
            let head = btf.head_at(at).ok_or(BtfError::Format("a type is cut short"))?;
            let too_long = || BtfError::Format("too many types");
            let id = u32::try_from(btf.starts.len()).ok().ok_or_else(too_long)?;
            if matches!(head.kind(), kind::STRUCT | kind::UNION | kind::ENUM | kind::TYPEDEF)
                && head.name != 0
            {
                btf.named.entry(btf.string(head.name)).or_insert(id);
            }
            btf.starts.push(u32::try_from(at).ok().ok_or_else(too_long)?);
            at += Head::WORDS + head.tail();
        }
        Ok(btf)
    }

    /// The types of one kind, by id: their names.
    pub(super) fn names_of(&self, kind: u32) -> impl Iterator<Item = (u32, &'a [u8])> {
        (0..).zip(&self.starts).filter_map(move |(id, start)| {
            let head = self.head_at(*start as usize)?;
            (head.kind() == kind).then(|| (id, self.string(head.name)))
        })
    }

    /// The byte offset of a member, also of one inside unnamed structs and unions.
    pub(super) fn offset_of(&self, owner: &str, member: &str) -> Option<u32> {
        self.bit_offset_of(owner, member).map(|bits| bits / 8)
    }

    /// The same in bits, for a bit field.
    pub(super) fn bit_offset_of(&self, owner: &str, member: &str) -> Option<u32> {
        let id = self.resolve(*self.named.get(owner.as_bytes())?)?;
        self.bit_offset(id, member.as_bytes(), 0)
    }

    /// The size of a struct or union.
    pub(super) fn size_of(&self, name: &str) -> Option<u32> {
        let id = self.resolve(*self.named.get(name.as_bytes())?)?;
        Some(self.head_of(id)?.detail)
    }

    /// The value of a member of an enumeration.
    pub(super) fn enumerator(&self, owner: &str, member: &str) -> Option<u32> {
        let start = *self.starts.get(*self.named.get(owner.as_bytes())? as usize)? as usize;
        let head = self.head_at(start).filter(|head| head.kind() == kind::ENUM)?;
        (0..head.members()).map(|i| start + Head::WORDS + 2 * i).find_map(|at| {
            let name = self.string(self.word_at(at)?);
            if name == member.as_bytes() { self.word_at(at + 1) } else { None }
        })
    }

    fn bit_offset(&self, id: u32, wanted: &[u8], depth: u8) -> Option<u32> {
        let start = *self.starts.get(id as usize)? as usize;
        let head = self.head_at(start)?;
        if !matches!(head.kind(), kind::STRUCT | kind::UNION) || depth > 16 {
            return None;
        }
        (0..head.members()).find_map(|i| {
            let at = start + Head::WORDS + 3 * i;
            let name = self.string(self.word_at(at)?);
            let offset = self.word_at(at + 2)?;
            let offset = if head.has_bit_fields() { offset & 0x00ff_ffff } else { offset };
            if name == wanted {
                return Some(offset);
            }
            if !name.is_empty() {
                return None;
            }
            let inner = self.resolve(self.word_at(at + 1)?)?;
            Some(offset + self.bit_offset(inner, wanted, depth + 1)?)
        })
    }

    /// Follows typedefs and qualifiers to the type itself.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..32 {
            let head = self.head_of(id)?;
            match head.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = head.detail;
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn head_of(&self, id: u32) -> Option<Head> {
        self.head_at(*self.starts.get(id as usize)? as usize)
    }

    fn head_at(&self, at: usize) -> Option<Head> {
        let [name, info, detail] = *self.words.get(at..)?.first_chunk()?;
        let word = u32::from_ne_bytes;
        Some(Head { name: word(name), info: word(info), detail: word(detail) })
    }

    fn word_at(&self, at: usize) -> Option<u32> {
        self.words.get(at).copied().map(u32::from_ne_bytes)
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(rest).map_or(rest, CStr::to_bytes)
    }
}

/// The type section and the string section, from `struct btf_header`.
fn sections(blob: &[u8]) -> Option<(&[[u8; 4]], &[u8])> {
    if blob.first_chunk().copied().map(u16::from_ne_bytes)? != MAGIC {
        return None;
    }
    let (header, _) = blob.get(4..)?.as_chunks::<4>();
    let [header_length, type_offset, type_length, string_offset, string_length] =
        header.first_chunk::<5>()?.map(|word| u32::from_ne_bytes(word) as usize);
    let body = blob.get(header_length..)?;
    let section = |offset: usize, length: usize| body.get(offset..offset.checked_add(length)?);
    let (words, rest) = section(type_offset, type_length)?.as_chunks::<4>();
    rest.is_empty().then_some((words, section(string_offset, string_length)?))
}

/// A blob of types (id, kind, name) by ascending id. Every id between them is a forward declaration without a name,
/// which is the shortest record.
pub(super) fn write(named: impl Iterator<Item = (u32, u32, String)>) -> Vec<u8> {
    let record = |name: u32, kind: u32| [name, kind << 24, 0].map(u32::to_ne_bytes).concat();
    let filler = record(0, kind::FWD);
    let (mut types, mut strings) = (Vec::new(), vec![0]);
    let mut next = 1;
    for (id, kind, name) in named {
        types.extend(filler.repeat(id.saturating_sub(next) as usize));
        types.extend(record(length(&strings), kind));
        strings.extend(name.bytes().chain([0]));
        next = id + 1;
    }
    blob(&types, &strings)
}

/// A blob of these two sections.
fn blob(types: &[u8], strings: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 24;
    let magic_and_version = u32::from(MAGIC) | 1 << 16;
    let header = [magic_and_version, HEADER, 0, length(types), length(types), length(strings)];
    [&header.map(u32::to_ne_bytes).concat(), types, strings].concat()
}

/// More than four gigabytes do not occur: ids have 32 bits, and only the kernel's ids are written.
fn length(section: &[u8]) -> u32 {
    u32::try_from(section.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Builds a blob: `struct outer { int a; struct { int b; union { int c; int d; }; }; bits e:1 }`, behind a typedef, and
    /// `void run(void)`.
    pub(in super::super) fn blob() -> Vec<u8> {
        let strings = b"\0int\0outer\0a\0b\0c\0d\0e\0alias\0run\0";
        let name = |text: &[u8]| {
            let with_end = [text, b"\0"].concat();
            let at = strings.windows(with_end.len()).position(|w| w == with_end && text.len() < w.len());
            u32::try_from(at.unwrap()).unwrap()
        };
        let mut types: Vec<u32> = Vec::new();
        types.extend([name(b"int"), kind::INT << 24, 4, 0x0100_0020]);
        types.extend([0, kind::UNION << 24 | 2, 4, name(b"c"), 1, 0, name(b"d"), 1, 0]);
        types.extend([0, kind::STRUCT << 24 | 2, 8, name(b"b"), 1, 0, 0, 2, 32]);
        types.extend([name(b"outer"), 1 << 31 | kind::STRUCT << 24 | 3, 20]);
        types.extend([name(b"a"), 1, 0, 0, 3, 32, name(b"e"), 1, 0x0100_0060]);
        types.extend([name(b"alias"), kind::TYPEDEF << 24, 4]);
        types.extend([0, kind::FUNC_PROTO << 24, 0]);
        types.extend([name(b"run"), kind::FUNC << 24, 6]);
        let types: Vec<u8> = types.iter().flat_map(|w| w.to_ne_bytes()).collect();
        super::blob(&types, strings)
    }

    #[test]
    fn members_are_found_at_every_depth() {
        let blob = blob();
        let btf = Btf::parse(&blob).unwrap();
        for (member, offset) in [("a", 0), ("b", 4), ("c", 8), ("d", 8), ("e", 12)] {
            assert_eq!(btf.offset_of("outer", member), Some(offset), "{member}");
            assert_eq!(btf.offset_of("alias", member), Some(offset), "alias.{member}");
        }
        assert_eq!(btf.bit_offset_of("outer", "e"), Some(96));
        assert_eq!(
            (btf.size_of("outer"), btf.size_of("alias"), btf.size_of("nowhere")),
            (Some(20), Some(20), None)
        );
        assert_eq!(btf.offset_of("outer", "z"), None);
        assert_eq!(btf.offset_of("nowhere", "a"), None);
    }

    #[test]
    fn names_are_listed_by_kind() {
        let blob = blob();
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(btf.names_of(kind::FUNC).collect::<Vec<_>>(), [(7, &b"run"[..])]);
        assert_eq!(btf.names_of(kind::TYPEDEF).collect::<Vec<_>>(), [(5, &b"alias"[..])]);
    }

    #[test]
    fn truncated_blob_is_an_error() {
        assert!(Btf::parse(b"").is_err());
        assert!(Btf::parse(b"\x9f\xeb\x01\x00").is_err());
        let whole = blob();
        for length in 0..whole.len() {
            if let Ok(btf) = Btf::parse(&whole[..length]) {
                assert_eq!(btf.offset_of("nowhere", "a"), None);
            }
        }
    }
}
