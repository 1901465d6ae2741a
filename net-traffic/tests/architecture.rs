//! The rules that keep the program readable: which module may name which, what stays in `source`, how long a file is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// A module of the library, and the modules that it may name.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("snapshot", &[]),
    ("packet", &[]),
    ("filter", &["packet"]),
    ("trial", &["snapshot"]),
    ("source", &["snapshot", "packet", "filter", "trial"]),
    ("model", &["snapshot"]),
    ("view", &["model", "trial"]),
    ("output", &["view", "packet"]),
    ("args", &[]),
    ("config", &["args", "filter", "model", "output", "packet", "source", "view"]),
    ("app", &["args", "config", "filter", "model", "output", "packet", "snapshot", "source", "view"]),
];

/// What only `source` may do, by how it looks in the code.
const ONLY_IN_SOURCE: &[&str] = &[
    "os::unix",
    "os::windows",
    "unsafe {",
    "unsafe fn",
    "unsafe impl",
    "libc::",
    "nix::",
    "aya::",
    "windows_sys::",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// The words that name a system in a condition of the compiler.
const SYSTEMS: &[&str] = &["windows", "unix", "target_os", "target_family", "target_vendor"];

/// What the pure modules must not touch.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "tokio::",
    "std::io::std",
    "Instant",
    "SystemTime",
];

const LONGEST: usize = 400;

#[test]
fn modules_name_only_what_lies_above_them() {
    let mut wrong = Vec::new();
    for file in rust_files(&source_dir()) {
        let path = module_path(&file);
        let Some(module) = path.first().filter(|first| !matches!(first.as_str(), "main" | "lib")) else {
            continue;
        };
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(name, _)| name == module) else {
            wrong.push(format!("{}: module {module} has no row in DIRECTIONS", file.display()));
            continue;
        };
        for (number, line) in code_lines(&file) {
            for named in names_after(&line, "crate::") {
                if named != *module && !allowed.contains(&named.as_str()) {
                    wrong.push(format!("{}:{number}: {module} must not name {named}", file.display()));
                }
            }
            // `super` must not lead to the root, past this test; a module within the file is one further away.
            let depth = path.len() + usize::from(line.starts_with(' '));
            if longest_supers(&line).matches("super::").count() >= depth {
                wrong
                    .push(format!("{}:{number}: say crate:: for what is outside the module", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_system_is_reached_through_source_only() {
    let mut wrong = Vec::new();
    for file in rust_files(&source_dir()) {
        let module = module_path(&file).remove(0);
        for (number, line) in code_lines(&file) {
            if module != "source" {
                wrong.extend(found(&file, number, &line, ONLY_IN_SOURCE));
            }
            if matches!(module.as_str(), "snapshot" | "packet" | "model" | "view" | "filter") {
                wrong.extend(found(&file, number, &line, IMPURE));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_system_is_named_in_its_folder_and_in_the_wiring_only() {
    let mut wrong = Vec::new();
    let mut wiring = 0;
    for file in rust_files(&source_dir()) {
        let path = module_path(&file);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let text: String = code_lines(&file).into_iter().map(|(_, line)| line + "\n").collect();
        let named = conditions(&text).filter(|condition| names_a_system(condition));
        match path.as_slice() {
            ["source", "linux" | "windows", ..] => {}
            ["source"] => wiring += named.count(),
            _ => wrong
                .extend(named.map(|condition| format!("{}: {condition} has no place here", file.display()))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(wiring >= 2, "the wiring was not found");
}

#[test]
fn on_windows_the_process_ends_where_what_outlives_it_is_stopped() {
    let folder = source_dir().join("source/windows");
    let ends = |file: &Path| code_lines(file).iter().any(|(_, line)| line.contains("process::exit"));
    let files: Vec<PathBuf> = rust_files(&folder).into_iter().filter(|file| ends(file)).collect();
    assert_eq!(files, [folder.join("at_end.rs")]);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for part in [
        "net-traffic/src",
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
fn the_rules_would_be_noticed_when_broken() {
    assert_eq!(names_after("use crate::{model::Model, view};", "crate::"), ["model", "view"]);
    assert_eq!(names_after("let it = crate::source::Replay;", "crate::"), ["source"]);
    assert_eq!(longest_supers("use super::super::snapshot;"), "super::super::");
    assert_eq!(module_path(&source_dir().join("source/linux/live.rs")), ["source", "linux", "live"]);
    assert_eq!(module_path(&source_dir().join("model/mod.rs")), ["model"]);
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

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
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

/// `source/linux/live.rs` is `["source", "linux", "live"]`.
fn module_path(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(source_dir()).unwrap().with_extension("");
    let mut path: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    path.pop_if(|last| last == "mod");
    path
}

/// The lines without comments, numbered from 1.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.map(|(place, line)| (place + 1, line.to_owned())).collect()
}

/// What stands between the parentheses of each condition of the compiler.
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

/// The first names after each `prefix`, those in braces too.
fn names_after(line: &str, prefix: &str) -> Vec<String> {
    let word = |text: &str| {
        text.trim().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>()
    };
    let mut names = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let rest = &line[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(list.trim_end_matches(['}', ';']).split(',').map(word)),
            None => names.push(word(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn longest_supers(line: &str) -> &str {
    let Some(begin) = line.find("super::") else { return "" };
    let rest = &line[begin..];
    let mut end = 0;
    while rest[end..].starts_with("super::") {
        end += "super::".len();
    }
    &rest[..end]
}

fn found(file: &Path, number: usize, line: &str, patterns: &[&str]) -> Vec<String> {
    let hits = patterns.iter().filter(|pattern| line.contains(*pattern));
    hits.map(|pattern| format!("{}:{number}: {pattern} has no place here", file.display())).collect()
}
