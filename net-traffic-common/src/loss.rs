//! The causes of loss that the programs count: the indices of the map `nt_loss`.

/// A map was full. The bytes of a process are in the row [`crate::OTHER`], the bytes of a packet in none.
pub const MAP_FULL: u32 = 0;
/// A map was locked, with the same result; or all attempts to update a value lost a race against another CPU.
pub const MAP_BUSY: u32 = 1;
/// The kernel refused storage in a socket.
pub const STORAGE_FAILED: u32 = 2;
/// The ring was full when a socket was destroyed.
pub const RING_FULL: u32 = 3;
/// A kretprobe missed the return of a call: the call's bytes are unknown.
pub const MISSED_RETURN: u32 = 4;
/// The number of causes.
pub const CAUSES: u32 = 5;

/// The cause that the error of a failed insertion into a hash map names: [full][full], [locked][locked], or no memory.
///
/// [full]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/hashtab.c#L1126-L1139
/// [locked]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/hashtab.c#L155-L175
#[must_use]
#[inline(always)]
pub const fn of_insert_error(error: i32) -> u32 {
    const E2BIG: i32 = -7;
    const EBUSY: i32 = -16;
    /// This and the next: the [lock of a bucket][lock] since Linux 6.15, in the place of `EBUSY`.
    ///
    /// [lock]: https://github.com/torvalds/linux/blob/v6.15/include/asm-generic/rqspinlock.h
    const EDEADLK: i32 = -35;
    const ETIMEDOUT: i32 = -110;
    match error {
        E2BIG => MAP_FULL,
        EBUSY | EDEADLK | ETIMEDOUT => MAP_BUSY,
        _ => STORAGE_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::{MAP_BUSY, MAP_FULL, STORAGE_FAILED, of_insert_error};

    #[test]
    fn insert_error_names_its_cause() {
        assert_eq!(of_insert_error(-7), MAP_FULL);
        for busy in [-16, -35, -110] {
            assert_eq!(of_insert_error(busy), MAP_BUSY);
        }
        assert_eq!(of_insert_error(-12), STORAGE_FAILED);
    }
}
