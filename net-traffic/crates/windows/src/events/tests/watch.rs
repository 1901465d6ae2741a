//! Tests the watch of a session: running, not readable, stopped.

use std::io;

use crate::events::{STOPPED, SessionWatch};

#[test]
fn failed_query_keeps_the_last_loss() {
    let mut watch = SessionWatch::default();
    watch.update(Ok(3), None);
    watch.update(Err(io::Error::other("no reply")), None);
    assert_eq!((watch.lost(), watch.ended()), (3, None));
    // Another session of that name has a smaller number.
    watch.update(Ok(1), None);
    assert_eq!(watch.lost(), 3);
    watch.update(Ok(5), None);
    assert_eq!(watch.lost(), 5);
}

#[test]
fn first_end_reason_is_kept() {
    let mut watch = SessionWatch::default();
    watch.update(Ok(0), Some("stopped".to_owned()));
    watch.update(Ok(0), None);
    watch.update(Ok(0), Some("later".to_owned()));
    assert_eq!(watch.ended(), Some("stopped"));
}

#[test]
fn missing_session_counts_as_stopped() {
    let mut watch = SessionWatch::default();
    watch.update(Ok(4), None);
    watch.update(Err(io::ErrorKind::NotFound.into()), None);
    assert_eq!((watch.lost(), watch.ended()), (4, Some(STOPPED)));
}
