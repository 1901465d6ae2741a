//! The causes of loss that the kernel side counts: the indices of the map `LOSS`.

/// A map was full: the bytes of a process went to [`crate::OTHER`], those of a packet to nobody.
pub const MAP_FULL: u32 = 0;
/// A map was locked, or every attempt to change a value lost a race against another CPU: the same.
pub const MAP_BUSY: u32 = 1;
/// The kernel refused a socket's storage.
pub const STORAGE_FAILED: u32 = 2;
/// The ring had no room for the record of a closed socket.
pub const RING_FULL: u32 = 3;
/// The kernel told of a call, and not of its return: what the call moved is unknown.
pub const MISSED_RETURN: u32 = 4;
/// How many causes there are.
pub const CAUSES: u32 = 5;

/// The cause behind the error of a refused insertion.
#[must_use]
#[inline(always)]
pub const fn of_insert_error(error: i32) -> u32 {
    const E2BIG: i32 = -7;
    const EBUSY: i32 = -16;
    /// What a bucket's lock gives in the place of `EBUSY` since Linux 6.15.
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
    fn every_error_of_an_insertion_has_a_cause() {
        assert_eq!(of_insert_error(-7), MAP_FULL);
        for busy in [-16, -35, -110] {
            assert_eq!(of_insert_error(busy), MAP_BUSY);
        }
        assert_eq!(of_insert_error(-12), STORAGE_FAILED);
    }
}
