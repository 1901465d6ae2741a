//! Options before the command, and the command that is left out.
//!
//! The commands do not agree on what `-t` or `-p` means, so that no option can belong to all of them. Instead, what
//! stands before the command is moved behind it, and `connections` is put where no command stands.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Args;

/// The command that is meant when none is named.
const DEFAULT: &str = "connections";

/// The arguments with the command first.
#[must_use]
pub(crate) fn options_after_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
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
        if asks_about_program(argument) || argument == "--" {
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
        // A misspelt command is an unknown command, not a bad number.
        Some(word) if place == 1 && word.parse::<f64>().is_err() => {}
        _ => arguments.insert(1, DEFAULT.into()),
    }
    arguments
}

fn is_option(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.len() > 1 && bytes.first() == Some(&b'-')
}

fn asks_about_program(argument: &OsStr) -> bool {
    ["-h", "--help", "-V", "--version"].iter().any(|question| argument == *question)
}

/// Whether the next argument is the value of this option.
fn takes_next(command: &Command, option: &OsStr) -> bool {
    let text = option.to_string_lossy();
    if let Some(long) = text.strip_prefix("--") {
        return !long.contains('=') && option_named(command, |arg| arg.get_long() == Some(long));
    }
    // In a cluster of letters, the first that takes a value takes the rest; only the last can take the next word.
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
        let ordered = options_after_command(arguments);
        ordered[1..].iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn puts_the_command_first() {
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
