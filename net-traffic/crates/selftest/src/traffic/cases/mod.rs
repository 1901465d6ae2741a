//! The table of cases, by what is special about them.

mod calls;
mod datagrams;
mod endings;
mod kernels;
mod older;
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
        older::CASES,
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
    fn names_are_unique_and_fit_for_a_test() {
        let names: BTreeSet<&str> = cases().map(|case| case.name).collect();
        assert_eq!(names.len(), cases().count());
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        }
    }

    #[test]
    fn no_case_receives_more_than_was_sent() {
        for case in cases() {
            assert!(case.sent > 0 && case.received <= case.sent, "{}", case.name);
        }
    }
}
