//! Buffered input that lends out its bytes without a copy. The end of the input may be anywhere, and a length in the
//! file may be wrong.

use std::io::{self, Read};

use crate::ReadError;

/// A record longer than this is malformed.
pub(crate) const MAX_RECORD: u32 = 64 << 20;

/// The size of the buffer at the start. The buffer grows for longer records only.
const BUFFER: usize = 256 << 10;

pub(crate) struct Input {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// `buffer[begin..end]` is read from the source and not lent yet.
    begin: usize,
    end: usize,
}

impl Input {
    pub(crate) fn new(source: impl Read + Send + 'static) -> Self {
        Self { source: Box::new(source), buffer: vec![0; BUFFER], begin: 0, end: 0 }
    }

    /// The next four bytes, which stay in the input.
    pub(crate) fn peek(&mut self) -> Result<[u8; 4], ReadError> {
        self.fill(4)?;
        self.buffer
            .get(self.begin..self.end)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .ok_or(ReadError::Truncated)
    }

    /// Lends the next `length` bytes.
    pub(crate) fn lend(&mut self, length: usize) -> Result<&[u8], ReadError> {
        self.lend_or_end(length)?.ok_or(ReadError::Truncated)
    }

    /// Lends the next `length` bytes. `None` if the input ends before the first of them.
    pub(crate) fn lend_or_end(&mut self, length: usize) -> Result<Option<&[u8]>, ReadError> {
        if self.end - self.begin < length {
            self.fill(length)?;
        }
        let begin = self.begin;
        match self.end - begin {
            0 if length > 0 => Ok(None),
            available if available < length => Err(ReadError::Truncated),
            _ => {
                self.begin += length;
                Ok(Some(&self.buffer[begin..begin + length]))
            }
        }
    }

    /// Reads until `length` bytes are available or the source ends.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        while self.end < length {
            if self.end == self.buffer.len() {
                // Doubled, not grown to `length` at once: a wrong length allocates no more than twice the file's size.
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.begin == self.end {
            return self.source.read(out);
        }
        let count = out.len().min(self.end - self.begin);
        out[..count].copy_from_slice(&self.buffer[self.begin..self.begin + count]);
        self.begin += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_longer_than_the_buffer_is_whole() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut input = Input::new(io::Cursor::new(bytes.clone()));
        assert_eq!(input.lend(3).unwrap(), &bytes[..3]);
        assert_eq!(input.lend(900_000).unwrap(), &bytes[3..900_003]);
        assert!(matches!(input.lend(900_000), Err(ReadError::Truncated)));
    }

    #[test]
    fn end_between_records_differs_from_truncation() {
        let mut input = Input::new(&[1, 2, 3][..]);
        assert_eq!(input.lend_or_end(2).unwrap(), Some(&[1, 2][..]));
        assert!(matches!(input.lend_or_end(2), Err(ReadError::Truncated)));
        assert_eq!(input.lend(1).unwrap(), [3]);
        assert_eq!(input.lend_or_end(2).unwrap(), None);
    }
}
