//! Answers are cached, the caller never waits, and queue and cache are bounded.

use std::sync::mpsc;
use std::time::Instant;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn wait(resolver: &mut Resolver) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(resolver.wait_for_all(Duration::from_mins(1)));
}

/// A resolver whose lookups are listed.
fn listed(answer: impl Fn(IpAddr) -> Answer + Send + Sync + 'static) -> (Resolver, Receiver<IpAddr>) {
    let (sender, lookups) = mpsc::channel();
    let sender = Mutex::new(sender);
    let lookup = move |address| {
        sender.lock().unwrap().send(address).unwrap();
        answer(address)
    };
    (Resolver::with(lookup).unwrap(), lookups)
}

#[test]
fn answer_is_cached_until_it_expires() {
    let (mut resolver, lookups) = listed(|address| match address {
        IpAddr::V4(v4) if v4.octets()[3] == 1 => Answer::Name("one.example".to_owned()),
        IpAddr::V4(v4) if v4.octets()[3] == 2 => Answer::NoName,
        _ => Answer::Failed,
    });
    let all = || [address(1), address(2), address(3), address(1)];
    resolver.queue(all(), 0);
    wait(&mut resolver);
    assert_eq!(resolver.resolved(0), [(address(1), "one.example".to_owned())]);
    assert!(!resolver.is_waiting());
    let mut first: Vec<_> = lookups.try_iter().collect();
    first.sort_unstable();
    assert_eq!(first, [address(1), address(2), address(3)]);
    for (at_s, again) in [(29, vec![]), (31, vec![address(3)]), (301, vec![address(2), address(3)])] {
        resolver.queue(all(), at_s * SECOND);
        wait(&mut resolver);
        assert!(resolver.resolved(at_s * SECOND).is_empty());
        let mut found: Vec<_> = lookups.try_iter().collect();
        found.sort_unstable();
        assert_eq!(found, again, "after {at_s} s");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures that the caller does not wait")]
fn blocked_lookup_does_not_block_caller() {
    let (test, until_end) = mpsc::channel::<()>();
    let until_end = Mutex::new(until_end);
    let (mut resolver, lookups) = listed(move |_| {
        // Blocks until the test ends.
        drop(until_end.lock().map(|end| end.recv()));
        Answer::Failed
    });
    let begin = Instant::now();
    for round in 0..100u64 {
        resolver.queue(
            (0..=u16::MAX).map(|low| IpAddr::from([10, 0, low.to_be_bytes()[0], low.to_be_bytes()[1]])),
            round,
        );
        assert!(resolver.resolved(round).is_empty());
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "100 rounds took {:?}", begin.elapsed());
    assert!(resolver.is_waiting());
    assert!(resolver.cache.len() <= QUEUE + THREADS, "{} addresses wait", resolver.cache.len());
    assert!(lookups.try_iter().count() <= THREADS);
    drop(test);
}

#[test]
fn cache_is_bounded() {
    let (mut resolver, lookups) = listed(|_| Answer::NoName);
    for high in 0..150u8 {
        for half in [0..128u8, 128..255u8] {
            let half: Vec<_> = half.map(|low| IpAddr::from([10, 0, high, low])).collect();
            resolver.queue(half, 0);
            wait(&mut resolver);
            drop(resolver.resolved(0));
        }
        assert!(resolver.cache.len() <= CACHE_SIZE);
    }
    assert_eq!(lookups.try_iter().count(), 150 * 255, "each address was looked up");
}

#[test]
fn loopback_has_a_name() {
    let mut resolver = Resolver::of_system().unwrap();
    resolver.queue([IpAddr::from([127, 0, 0, 1])], 0);
    wait(&mut resolver);
    let found = resolver.resolved(0);
    assert!(found.iter().any(|(_, name)| name.starts_with("localhost")), "{found:?}");
}
