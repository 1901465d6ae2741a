//! The project's chores, one file each.

fn main() {}
