//! Names come when they come; who asks never waits, and nothing grows without end.

use std::sync::mpsc;
use std::time::Instant;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn wait(names: &mut Names) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(names.all_arrived(Duration::from_mins(1)));
}

/// A resolver that says for whom it was asked.
fn listed(answer: impl Fn(IpAddr) -> Answer + Send + Sync + 'static) -> (Names, Receiver<IpAddr>) {
    let (sender, asked) = mpsc::channel();
    let sender = Mutex::new(sender);
    let resolve = move |address| {
        sender.lock().unwrap().send(address).unwrap();
        answer(address)
    };
    (Names::with(resolve).unwrap(), asked)
}

#[test]
fn a_name_is_asked_for_once_and_again_after_a_while() {
    let (mut names, asked) = listed(|address| match address {
        IpAddr::V4(v4) if v4.octets()[3] == 1 => Answer::Name("one.example".to_owned()),
        IpAddr::V4(v4) if v4.octets()[3] == 2 => Answer::Nameless,
        _ => Answer::Unknown,
    });
    let all = || [address(1), address(2), address(3), address(1)];
    names.ask(all(), 0);
    wait(&mut names);
    assert_eq!(names.take(0), [(address(1), "one.example".to_owned())]);
    assert!(!names.is_waiting());
    let mut first: Vec<_> = asked.try_iter().collect();
    first.sort_unstable();
    assert_eq!(first, [address(1), address(2), address(3)]);
    for (at_s, again) in [(29, vec![]), (31, vec![address(3)]), (301, vec![address(2), address(3)])] {
        names.ask(all(), at_s * SECOND);
        wait(&mut names);
        assert!(names.take(at_s * SECOND).is_empty());
        let mut found: Vec<_> = asked.try_iter().collect();
        found.sort_unstable();
        assert_eq!(found, again, "after {at_s} s");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what is tested is that nobody waits")]
fn a_resolver_that_never_answers_keeps_nobody_waiting() {
    let (test, until_end) = mpsc::channel::<()>();
    let until_end = Mutex::new(until_end);
    let (mut names, asked) = listed(move |_| {
        // Until the test ends.
        drop(until_end.lock().map(|end| end.recv()));
        Answer::Unknown
    });
    let begin = Instant::now();
    for round in 0..100u64 {
        names.ask(
            (0..=u16::MAX).map(|low| IpAddr::from([10, 0, low.to_be_bytes()[0], low.to_be_bytes()[1]])),
            round,
        );
        assert!(names.take(round).is_empty());
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "100 rounds took {:?}", begin.elapsed());
    assert!(names.is_waiting());
    assert!(names.asked.len() <= QUESTIONS + THREADS, "{} questions wait", names.asked.len());
    assert!(asked.try_iter().count() <= THREADS);
    drop(test);
}

#[test]
fn what_is_remembered_is_bounded() {
    let (mut names, asked) = listed(|_| Answer::Nameless);
    for high in 0..150u8 {
        for half in [0..128u8, 128..255u8] {
            let half: Vec<_> = half.map(|low| IpAddr::from([10, 0, high, low])).collect();
            names.ask(half, 0);
            wait(&mut names);
            drop(names.take(0));
        }
        assert!(names.asked.len() <= MOST);
    }
    assert_eq!(asked.try_iter().count(), 150 * 255, "each was asked for");
}

#[test]
fn the_system_knows_its_own_loopback() {
    let mut names = Names::of_system().unwrap();
    names.ask([IpAddr::from([127, 0, 0, 1])], 0);
    wait(&mut names);
    let found = names.take(0);
    assert!(found.iter().any(|(_, name)| name.starts_with("localhost")), "{found:?}");
}
