//! Checks lines of JSON against the contract: the keys of each object, their order, and the kinds of the values.
//!
//! The contract is an example with every key (`contract.json`). It holds on every system.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The keys of each report, in order, between `elapsed_s` and `loss`.
const REPORTS: &[(&str, &[&str])] = &[
    ("connections", &["interfaces", "connections", "states", "destinations"]),
    ("top", &["connections", "processes", "containers", "destinations"]),
    ("bandwidth", &["interfaces", "processes", "balance"]),
    ("run", &["connections", "processes", "exit_status"]),
    ("doctor", &["slots"]),
];

const FIRST: &[&str] = &["schema", "report", "time", "host", "elapsed_s"];
const LAST: &[&str] = &["loss", "cost", "sources"];

/// JSON that remembers the order of its keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Json {
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    pub fn get(&self, key: &str) -> &Self {
        let Self::Map(entries) = self else { panic!("{self:?} has no keys") };
        &entries.iter().find(|(name, _)| name == key).unwrap_or_else(|| panic!("no {key} in {self:?}")).1
    }

    pub fn list(&self) -> &[Self] {
        let Self::List(items) = self else { panic!("{self:?} is no list") };
        items
    }

    pub fn text(&self) -> &str {
        let Self::Text(text) = self else { panic!("{self:?} is no text") };
        text
    }
}

/// Panics unless the line is a report as the contract has it.
pub fn check(line: &str) {
    assert!(!line.contains('\n'), "a report is one line");
    let contract = Json::parse(include_str!("contract.json"));
    let report = Json::parse(line);
    let name = report.get("report").text();
    let own = REPORTS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no report is called {name}"))
        .1;
    // Only where somebody asked for it.
    let asked: &[&str] = if keys(&report).contains(&"arrivals") { &["arrivals"] } else { &[] };
    let expected: Vec<&str> = [FIRST, own, asked, LAST].concat();
    assert_eq!(keys(&report), expected, "the keys of {name}");
    for key in expected {
        same_shape(report.get(key), contract.get(key), key);
    }
    assert_eq!(report.get("schema").text(), "net-traffic/1");
    let time = report.get("time").text();
    assert!(
        time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T',
        "{time} is not RFC 3339 in UTC"
    );
    check_loss(report.get("loss"));
    for source in report.get("sources").list() {
        assert!(!source.get("slot").text().is_empty(), "a source without a slot");
    }
}

fn check_loss(loss: &Json) {
    let Json::Map(causes) = loss else { panic!("{loss:?} has no keys") };
    let sum: f64 = causes.iter().skip(1).map(|(_, count)| number(count)).sum();
    assert!((sum - number(loss.get("total"))).abs() < 0.5, "the total of {loss:?}");
}

fn number(value: &Json) -> f64 {
    let Json::Number(number) = value else { panic!("{value:?} is no number") };
    *number
}

/// Same keys in the same order, and same kinds; a value may be unknown.
fn same_shape(value: &Json, example: &Json, place: &str) {
    match (value, example) {
        (Json::Null, _) | (_, Json::Null) => {}
        (Json::List(items), Json::List(examples)) => {
            for item in items {
                assert!(!matches!(item, Json::Null), "{place} holds null");
                same_shape(item, &examples[0], place);
            }
        }
        (Json::Map(entries), Json::Map(_)) => {
            assert_eq!(keys(value), keys(example), "the keys of {place}");
            for (key, entry) in entries {
                same_shape(entry, example.get(key), &format!("{place}.{key}"));
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(value),
            std::mem::discriminant(example),
            "{place} is {value:?}, not of the kind of {example:?}"
        ),
    }
}

fn keys(value: &Json) -> Vec<&str> {
    let Json::Map(entries) = value else { panic!("{value:?} has no keys") };
    entries.iter().map(|(key, _)| key.as_str()).collect()
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "only the kind and small sums are compared")]
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "only the kind and small sums are compared")]
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut map: Vec<(String, Json)> = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Json>()? {
            assert!(map.iter().all(|(known, _)| *known != key), "{key} appears twice");
            map.push((key, value));
        }
        Ok(Json::Map(map))
    }
}
