//! The table of cases, grouped by the property that they test.

mod before_tracer;
mod calls;
mod datagrams;
mod endings;
mod kernels;
mod pages;
mod processes;
mod streams;

use super::case::Case;

/// Every case. The names are unique.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        streams::CASES,
        calls::CASES,
        pages::CASES,
        datagrams::CASES,
        endings::CASES,
        processes::CASES,
        before_tracer::CASES,
        kernels::CASES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::cases;

    #[test]
    fn case_names_are_unique_test_names() {
        let names: BTreeSet<&str> = cases().map(|case| case.name).collect();
        assert_eq!(names.len(), cases().count());
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        }
    }

    #[test]
    fn cases_receive_at_most_the_sent_bytes() {
        for case in cases() {
            assert!(case.sent > 0 && case.received <= case.sent, "{}", case.name);
        }
    }
}
