//! Values for people: the only place with unit prefixes.

use std::fmt::Write;

use jiff::Timestamp;

use net_traffic_view::{CellPart, Value};

/// The user's choice of units for quantities of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    BinBytes,
    BinBits,
    SiBytes,
    SiBits,
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// Appends a value. Without chosen units, interface rates are in bits and all else is in bytes.
pub fn write(text: &mut String, value: Value<'_>, part: CellPart, units: Option<Units>) {
    let bytes = units.unwrap_or(Units::BinBytes);
    let bits = units.unwrap_or(Units::SiBits);
    let written = match value {
        Value::Unknown => text.write_str("-"),
        Value::Text(value) => {
            text.extend(value.chars().map(printable));
            Ok(())
        }
        Value::Label(label) => text.write_str(label.label),
        Value::Id(number) => write!(text, "{number}"),
        Value::Flag(flag) => text.write_str(if flag { "yes" } else { "no" }),
        Value::Count(count) => write!(text, "{count}"),
        Value::Bytes(count) if part == CellPart::Plain => write!(text, "{count}"),
        Value::Bytes(count) => quantity(text, u128::from(count) * 8, bytes),
        Value::Difference(count) if part == CellPart::Plain => write!(text, "{count}"),
        Value::Difference(count) => {
            let sign = if count < 0 { text.write_char('-') } else { Ok(()) };
            sign.and_then(|()| quantity(text, u128::from(count.unsigned_abs()) * 8, bytes))
        }
        Value::Rate(bps) => quantity(text, u128::from(bps), bytes),
        Value::LinkRate(bps) => quantity(text, u128::from(bps), bits),
        Value::Microseconds(us) => time(text, us),
        Value::Milliseconds(ms) => time(text, ms.saturating_mul(1000)),
        Value::Nanoseconds(ns) => time(text, ns / 1000),
        Value::Address(address) => write!(text, "{address}"),
        Value::Endpoint { address, port } => match part {
            CellPart::Address => write!(text, "{address}"),
            CellPart::Port if port == 0 => text.write_str("-"),
            CellPart::Port => write!(text, "{port}"),
            CellPart::Whole | CellPart::Plain => {
                let written =
                    if address.is_ipv6() { write!(text, "[{address}]:") } else { write!(text, "{address}:") };
                written.and_then(|()| if port == 0 { text.write_str("*") } else { write!(text, "{port}") })
            }
        },
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

/// Appends a host name in place of the address.
pub fn write_named(text: &mut String, name: &str, value: Value<'_>, part: CellPart) {
    write(text, Value::Text(name), CellPart::Whole, None);
    if let (Value::Endpoint { port, .. }, CellPart::Whole) = (value, part) {
        text.push(':');
        write(text, if port == 0 { Value::Text("*") } else { Value::Count(u64::from(port)) }, part, None);
    }
}

/// A whole value as a string.
#[must_use]
pub fn value(value: Value<'_>, units: Option<Units>) -> String {
    let mut text = String::new();
    write(&mut text, value, CellPart::Whole, units);
    text
}

/// A time in UTC to the millisecond (RFC 3339).
#[must_use]
pub fn rfc3339(unix_ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(unix_ns)) {
        Ok(time) => format!("{time:.3}"),
        // After the year 9999.
        Err(_) => "-".to_owned(),
    }
}

/// A process chooses its own name. A control character in it must not reach the terminal.
fn printable(character: char) -> char {
    if character.is_control() { '?' } else { character }
}

/// At most three significant digits, and the unit without a space, so that `awk` reads one field.
fn quantity(text: &mut String, bits: u128, units: Units) -> std::fmt::Result {
    let (amount, base, prefixes, unit) = match units {
        Units::BinBytes => (bits / 8, 1024, BINARY, "B"),
        Units::BinBits => (bits, 1024, BINARY, "bit"),
        Units::SiBytes => (bits / 8, 1000, DECIMAL, "B"),
        Units::SiBits => (bits, 1000, DECIMAL, "bit"),
    };
    let mut scale: u128 = 1;
    let mut prefix = prefixes[0];
    for larger in &prefixes[1..] {
        // 999.5 rounds to 1000, which is written in the next unit.
        if amount * 2 < scale * (2 * base - 1) {
            break;
        }
        scale *= base;
        prefix = larger;
    }
    let whole = amount / scale;
    match (scale, whole) {
        (1, _) => write!(text, "{amount}{unit}"),
        (_, 100..) => write!(text, "{}{prefix}{unit}", rounded(amount, scale)),
        (_, 10..) => decimal(text, rounded(amount * 10, scale), 1, prefix, unit),
        _ => decimal(text, rounded(amount * 100, scale), 2, prefix, unit),
    }
}

fn rounded(amount: u128, scale: u128) -> u128 {
    (amount + scale / 2) / scale
}

/// Writes hundredths or tenths.
fn decimal(text: &mut String, amount: u128, digits: usize, prefix: &str, unit: &str) -> std::fmt::Result {
    let parts = if digits == 1 { 10 } else { 100 };
    write!(text, "{}.{:0digits$}{prefix}{unit}", amount / parts, amount % parts)
}

fn time(text: &mut String, us: u64) -> std::fmt::Result {
    match us {
        0..1_000 => write!(text, "{us}us"),
        1_000..1_000_000 => write!(text, "{}.{}ms", us / 1000, us % 1000 / 100),
        _ => write!(text, "{}.{}s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(count: u64, units: Units) -> String {
        value(Value::Bytes(count), Some(units))
    }

    #[test]
    fn quantity_has_three_significant_digits() {
        for (count, written) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1000B"),
            (1024, "1.00KiB"),
            (1536, "1.50KiB"),
            (15_360, "15.0KiB"),
            (153_600, "150KiB"),
            (1_023_999, "1000KiB"),
            (1_048_575, "1.00MiB"),
            (u64::MAX, "16.0EiB"),
        ] {
            assert_eq!(bytes(count, Units::BinBytes), written);
        }
    }

    #[test]
    fn chosen_units_apply() {
        assert_eq!(bytes(125_000, Units::SiBits), "1.00Mbit");
        assert_eq!(bytes(125_000, Units::SiBytes), "125kB");
        assert_eq!(bytes(131_072, Units::BinBits), "1.00Mibit");
        assert_eq!(value(Value::Rate(8_192), None), "1.00KiB");
        assert_eq!(value(Value::LinkRate(8_000), None), "8.00kbit");
    }

    #[test]
    fn endpoint_is_written_like_ss() {
        let endpoint = |address: &str, port| Value::Endpoint { address: address.parse().unwrap(), port };
        assert_eq!(value(endpoint("192.0.2.1", 443), None), "192.0.2.1:443");
        assert_eq!(value(endpoint("2001:db8::1", 443), None), "[2001:db8::1]:443");
        assert_eq!(value(endpoint("0.0.0.0", 0), None), "0.0.0.0:*");
    }

    #[test]
    fn host_name_replaces_address() {
        let endpoint = |port| Value::Endpoint { address: "192.0.2.1".parse().unwrap(), port };
        for (value, part, written) in [
            (endpoint(443), CellPart::Whole, "web.example:443"),
            (endpoint(0), CellPart::Whole, "web.example:*"),
            (endpoint(443), CellPart::Address, "web.example"),
            (Value::Address("192.0.2.1".parse().unwrap()), CellPart::Whole, "web.example"),
        ] {
            let mut text = String::new();
            write_named(&mut text, "web.example", value, part);
            assert_eq!(text, written);
        }
        let mut text = String::new();
        write_named(&mut text, "a\u{1b}[31m", endpoint(1), CellPart::Whole);
        assert_eq!(text, "a?[31m:1", "a name server may send control characters");
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(value(Value::Text("a\u{1b}[31m\nb"), None), "a?[31m?b");
    }

    #[test]
    fn times_have_their_largest_unit() {
        assert_eq!(value(Value::Microseconds(420), None), "420us");
        assert_eq!(value(Value::Microseconds(12_345), None), "12.3ms");
        assert_eq!(value(Value::Milliseconds(12_345), None), "12.3s");
        assert_eq!(rfc3339(1_769_860_800_123_000_000), "2026-01-31T12:00:00.123Z");
    }
}
