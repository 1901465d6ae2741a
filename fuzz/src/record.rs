//! Whatever stands in a ring, a record is read within its bounds, or not at all.

use net_traffic_linux::records;

use crate::ring_record;

pub fn check(input: &[u8]) {
    let mut octets = vec![1, 2, 3];
    let time = ring_record::time_of(input);
    if let Some(head) = ring_record::read(input, &mut octets) {
        let (begin, end) = (head.begin as usize, head.end as usize);
        assert_eq!((head.monotonic_ns, begin, end), (time, 3, octets.len()));
        // A tag may have been put back.
        assert!(end - begin <= input.len() + 4);
    }
    assert_eq!(octets[..3], [1, 2, 3]);
    if let Some(record) = records::read_record(input) {
        drop(records::socket(&record));
    }
}
