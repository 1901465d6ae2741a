//! Moves options that precede the subcommand behind it, and inserts the default subcommand.
//!
//! `-t` and `-p` mean different things to different subcommands, so clap cannot have them as global options.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Args;

/// The subcommand of a command line without one.
const DEFAULT: &str = "connections";

/// The arguments with a subcommand first.
#[must_use]
pub(crate) fn insert_default_subcommand(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.is_empty() {
        arguments.push("net-traffic".into());
    }
    let grammar = Args::command();
    let Some(default) = grammar.find_subcommand(DEFAULT) else { return arguments };
    let mut place = 1;
    while let Some(argument) = arguments.get(place).map(OsString::as_os_str) {
        if !is_option(argument) {
            break;
        }
        if is_help_or_version(argument) || argument == "--" {
            return arguments;
        }
        place += if takes_next(default, argument) { 2 } else { 1 };
    }
    let word = arguments.get(place).map(|word| word.to_string_lossy().into_owned());
    match word {
        Some(word) if word == "help" || grammar.find_subcommand(&word).is_some() => {
            let command = arguments.remove(place);
            arguments.insert(1, command);
        }
        // A misspelt subcommand: clap reports it as unknown, not as a bad interval.
        Some(word) if place == 1 && word.parse::<f64>().is_err() => {}
        _ => arguments.insert(1, DEFAULT.into()),
    }
    arguments
}

fn is_option(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.len() > 1 && bytes.first() == Some(&b'-')
}

fn is_help_or_version(argument: &OsStr) -> bool {
    ["-h", "--help", "-V", "--version"].iter().any(|option| argument == *option)
}

/// Whether the option's value is the next argument.
fn takes_next(command: &Command, option: &OsStr) -> bool {
    let text = option.to_string_lossy();
    if let Some(long) = text.strip_prefix("--") {
        return !long.contains('=') && option_named(command, |arg| arg.get_long() == Some(long));
    }
    // In a cluster of short options, the first that takes a value takes the rest of the cluster; only the last one
    // can take the next argument.
    let mut letters = text.chars().skip(1);
    let takes = letters.find(|letter| option_named(command, |arg| arg.get_short() == Some(*letter)));
    takes.is_some() && letters.next().is_none()
}

fn option_named(command: &Command, named: impl Fn(&Arg) -> bool) -> bool {
    command
        .get_arguments()
        .any(|arg| named(arg) && matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(line: &str) -> String {
        let arguments =
            std::iter::once("net-traffic").chain(line.split_whitespace()).map(OsString::from).collect();
        let ordered = insert_default_subcommand(arguments);
        ordered[1..].iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn subcommand_is_moved_or_inserted_first() {
        for (typed, meant) in [
            ("", "connections"),
            ("-t --json", "connections -t --json"),
            ("top -c 1", "top -c 1"),
            ("--json top", "top --json"),
            ("-c 1 --json top -t", "top -c 1 --json -t"),
            ("-tc 1 top", "top -tc 1"),
            ("-c1 top", "top -c1"),
            ("--count=1 bw", "bw --count=1"),
            ("--process top", "connections --process top"),
            ("--replay top top", "top --replay top"),
            ("1 2", "connections 1 2"),
            ("-t 1", "connections -t 1"),
            ("--help", "--help"),
            ("-V", "-V"),
            ("help top", "help top"),
            ("conections", "conections"),
        ] {
            assert_eq!(ordered(typed), meant, "for: {typed}");
        }
    }
}
