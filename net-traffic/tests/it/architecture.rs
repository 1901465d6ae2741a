//! Rules that the compiler does not check: the files that may name an operating system, and the length and the head of
//! files.

use std::fs;
use std::path::{Path, PathBuf};

/// The words that name an operating system in a `cfg` condition.
const SYSTEMS: &[&str] = &["windows", "unix", "target_os", "target_family", "target_vendor"];

const LONGEST: usize = 400;

#[test]
fn operating_system_named_only_in_its_crates() {
    let allowed = [
        "crates/linux/",
        "crates/windows/",
        "crates/throughput/",
        "crates/selftest/src/lib.rs",
        "crates/testing/",
    ];
    let wiring = ["src/source.rs", "src/app/selftest.rs"];
    let mut wrong = Vec::new();
    let mut wired = 0;
    for file in rust_files(&package().join("src")).into_iter().chain(rust_files(&package().join("crates"))) {
        let path = file.strip_prefix(package()).unwrap().to_string_lossy().into_owned();
        let text: String = code_lines(&file).into_iter().map(|(_, line)| line + "\n").collect();
        let named = conditions(&text).filter(|condition| names_a_system(condition));
        if wiring.contains(&path.as_str()) {
            wired += named.count();
        } else if !allowed.iter().any(|prefix| path.starts_with(prefix)) {
            wrong.extend(named.map(|condition| format!("{path}: {condition} has no place here")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(wired >= 2, "the wiring was not found");
}

#[test]
fn windows_process_exits_only_in_at_end() {
    let folder = package().join("crates/windows/src");
    let ends = |file: &Path| code_lines(file).iter().any(|(_, line)| line.contains("process::exit"));
    let files: Vec<PathBuf> = rust_files(&folder).into_iter().filter(|file| ends(file)).collect();
    assert_eq!(files, [folder.join("platform/at_end.rs")]);
}

#[test]
fn source_files_are_short_and_documented() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for part in [
        "net-traffic/src",
        "net-traffic/crates",
        "net-traffic/tests",
        "net-traffic-common/src",
        "net-traffic-ebpf/src",
        "xtask/src",
    ] {
        for file in rust_files(&workspace.join(part)) {
            let text = fs::read_to_string(&file).unwrap();
            let lines = text.lines().count();
            count += 1;
            if lines > LONGEST {
                wrong.push(format!("{}: {lines} lines; split it by role", file.display()));
            }
            if !text.starts_with("//!") {
                wrong.push(format!("{}: begins without //! and its one job", file.display()));
            }
        }
    }
    assert!(count > 30, "only {count} files were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cfg_conditions_naming_a_system_are_found() {
    let named = |text: &str| conditions(text).filter(|condition| names_a_system(condition)).count();
    for text in [
        "#[cfg(windows)]",
        "#[cfg(not(unix))]",
        "#[cfg(all(test, not(target_os = \"linux\")))]",
        "#[cfg(any(\n    test,\n    windows,\n))]",
        "#[cfg_attr(windows, expect(unused))]",
        "let it = if cfg!(windows) { 1 } else { 2 };",
        "#![cfg(target_family = \"unix\")]",
    ] {
        assert_eq!(named(text), 1, "{text}");
    }
    assert_eq!(named("#[cfg(test)] let unix_ns = 7; cfg!(target_endian = \"little\")"), 0);
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return files };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The lines without comments, numbered from 1.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.map(|(place, line)| (place + 1, line.to_owned())).collect()
}

/// The text between the parentheses of each `cfg` condition.
fn conditions(text: &str) -> impl Iterator<Item = &str> {
    ["cfg(", "cfg!(", "cfg_attr("].into_iter().flat_map(move |begin| {
        text.match_indices(begin).map(move |(at, _)| {
            let rest = &text[at + begin.len()..];
            let mut depth = 1;
            let end = rest.find(|it| {
                depth += match it {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                depth == 0
            });
            &rest[..end.unwrap_or(rest.len())]
        })
    })
}

fn names_a_system(condition: &str) -> bool {
    let mut words = condition.split(|it: char| !it.is_alphanumeric() && it != '_');
    words.any(|word| SYSTEMS.contains(&word))
}
