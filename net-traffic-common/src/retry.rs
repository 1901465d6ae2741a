//! The bounded compare-and-swap loop of the kernel side.

/// Attempts before an update is given up. Each failed attempt means that another CPU updated the cell in between, and
/// the verifier accepts only loops with a bound.
pub const ATTEMPTS: u32 = 8;

/// A word that several CPUs update.
pub trait Cell {
    fn load(&self) -> u64;

    /// Replaces `old` by `new`; false if the cell no longer holds `old`.
    fn compare_exchange(&self, old: u64, new: u64) -> bool;
}

/// Sets the cell to the word that `next` returns for its present one, or leaves it where that is `None`, and returns
/// the other half of the result of `next`; `None` after [`ATTEMPTS`] failures.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the kernel side cannot call it")]
pub fn update<T>(cell: &impl Cell, mut next: impl FnMut(u64) -> (Option<u64>, T)) -> Option<T> {
    for _ in 0..ATTEMPTS {
        let old = cell.load();
        let (new, result) = next(old);
        if new.is_none_or(|new| cell.compare_exchange(old, new)) {
            return Some(result);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use core::cell::Cell as StdCell;

    use super::{ATTEMPTS, Cell, update};

    /// Another CPU adds 1 before each of the next `rivals` writes.
    struct Contended {
        word: StdCell<u64>,
        rivals: StdCell<u32>,
        writes: StdCell<u32>,
    }

    impl Contended {
        fn new(word: u64, rivals: u32) -> Self {
            Self { word: StdCell::new(word), rivals: StdCell::new(rivals), writes: StdCell::new(0) }
        }
    }

    impl Cell for Contended {
        fn load(&self) -> u64 {
            self.word.get()
        }

        fn compare_exchange(&self, old: u64, new: u64) -> bool {
            self.writes.set(self.writes.get() + 1);
            if self.rivals.get() > 0 {
                self.rivals.set(self.rivals.get() - 1);
                self.word.set(self.word.get() + 1);
            }
            if self.word.get() == old {
                self.word.set(new);
                true
            } else {
                false
            }
        }
    }

    /// As the owner's bytes are posted: raises the word to 100 and returns the difference.
    fn raise(old: u64) -> (Option<u64>, u64) {
        if old < 100 { (Some(100), 100 - old) } else { (None, 0) }
    }

    #[test]
    fn update_after_lost_races_uses_the_new_word() {
        let cell = Contended::new(10, ATTEMPTS - 1);
        assert_eq!(update(&cell, raise), Some(100 - 10 - u64::from(ATTEMPTS - 1)));
        assert_eq!((cell.word.get(), cell.writes.get()), (100, ATTEMPTS));
    }

    #[test]
    fn update_that_loses_every_race_is_none() {
        let cell = Contended::new(10, ATTEMPTS);
        assert_eq!(update(&cell, raise), None);
        assert_eq!((cell.word.get(), cell.writes.get()), (10 + u64::from(ATTEMPTS), ATTEMPTS));
    }

    #[test]
    fn update_without_a_new_word_writes_nothing() {
        let cell = Contended::new(100, 1);
        assert_eq!(update(&cell, raise), Some(0));
        assert_eq!((cell.word.get(), cell.writes.get()), (100, 0));
    }
}
