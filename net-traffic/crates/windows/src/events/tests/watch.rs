//! What is known of a session that runs, is asked in vain, and is stopped.

use std::io;

use crate::events::{STOPPED, Watch};

#[test]
fn the_last_known_loss_stays_when_the_session_cannot_be_asked() {
    let mut watch = Watch::default();
    watch.hear(Ok(3), None);
    watch.hear(Err(io::Error::other("it is gone")), None);
    assert_eq!((watch.lost(), watch.ended()), (3, None));
    // Of another session of that name, which has lost less.
    watch.hear(Ok(1), None);
    assert_eq!(watch.lost(), 3);
    watch.hear(Ok(5), None);
    assert_eq!(watch.lost(), 5);
}

#[test]
fn an_end_is_for_good_and_the_first_reason_counts() {
    let mut watch = Watch::default();
    watch.hear(Ok(0), Some("stopped".to_owned()));
    watch.hear(Ok(0), None);
    watch.hear(Ok(0), Some("later".to_owned()));
    assert_eq!(watch.ended(), Some("stopped"));
}

#[test]
fn a_session_that_is_not_there_has_been_stopped_by_somebody() {
    let mut watch = Watch::default();
    watch.hear(Ok(4), None);
    watch.hear(Err(io::ErrorKind::NotFound.into()), None);
    assert_eq!((watch.lost(), watch.ended()), (4, Some(STOPPED)));
}
