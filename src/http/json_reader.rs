//! Reads JSON bodies member by member and reports every fault by its property path. Sections 5, 6 and 13 of the protocol.
//!
//! A reader marks the members it was asked for; [`ObjectReader::finish`] reports the rest, so that a misspelt member never
//! passes in silence. Members with an `@` in their name are annotations and never at fault.

use std::{cell::RefCell, collections::BTreeSet, fmt};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::domain::{duration::IsoDuration, violation::Violation};

/// How deep a body may nest.
pub const MAX_DEPTH: usize = 32;
/// How many faults are kept; more would help nobody.
const MAX_FAULTS: usize = 50;

/// The faults found so far in one body.
#[derive(Debug, Default)]
pub struct Faults(RefCell<Vec<Violation>>);

impl Faults {
    /// Keeps a fault.
    pub fn push(&self, violation: Violation) {
        let mut list = self.0.borrow_mut();
        if list.len() < MAX_FAULTS {
            list.push(violation);
        }
    }

    /// Keeps a wrong value at `path`.
    pub fn report(&self, path: impl Into<String>, reason: impl Into<String>) {
        self.push(Violation::new(path, reason));
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The faults, in the order they were found.
    pub fn into_violations(self) -> Vec<Violation> {
        self.0.into_inner()
    }
}

/// Reads bytes as JSON. Broken JSON, duplicate members, U+0000 in a text (no database column holds it) and nesting deeper than
/// [`MAX_DEPTH`] are faults.
pub fn parse(bytes: &[u8]) -> Result<Value, Vec<Violation>> {
    let faults = Faults::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = AnyValue { path: String::new(), depth: MAX_DEPTH, faults: &faults }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) if faults.is_empty() => Ok(value),
        Ok(_) => Err(faults.into_violations()),
        Err(error) => Err(vec![Violation::new("", format!("the body is not acceptable JSON: {error}"))]),
    }
}

/// Reads any JSON value while watching for what `serde_json` lets pass.
struct AnyValue<'f> {
    path: String,
    depth: usize,
    faults: &'f Faults,
}

impl AnyValue<'_> {
    fn inner<E: serde::de::Error>(&self, path: String) -> Result<AnyValue<'_>, E> {
        let depth =
            self.depth.checked_sub(1).ok_or_else(|| E::custom(format!("nested deeper than {MAX_DEPTH} levels")))?;
        Ok(AnyValue { path, depth, faults: self.faults })
    }

    fn check_text(&self, text: &str) {
        if text.contains('\0') {
            self.faults.report(&*self.path, "must not contain the character U+0000");
        }
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        self.check_text(value);
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        self.check_text(&value);
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = entries.next_element_seed(self.inner(format!("{}[{}]", self.path, values.len()))?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = join(&self.path, &name);
            self.check_text(&name);
            let value = members.next_value_seed(self.inner(path.clone())?)?;
            if object.insert(name, value).is_some() {
                self.faults.report(path, "is given more than once");
            }
        }
        Ok(Value::Object(object))
    }
}

fn join(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

/// A member as the client sent it. Missing and `null` mean different things (section 6 of the protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent<T> {
    /// Not mentioned.
    Absent,
    /// `null`.
    Null,
    /// Anything else.
    Value(T),
}

impl<T> Sent<T> {
    /// The same, with something else made of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Sent<U> {
        match self {
            Self::Absent => Sent::Absent,
            Self::Null => Sent::Null,
            Self::Value(value) => Sent::Value(make(value)),
        }
    }

    /// The value; `None` when absent or null.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

/// One JSON object under inspection.
#[derive(Debug)]
pub struct ObjectReader<'a> {
    path: String,
    members: &'a Map<String, Value>,
    known: BTreeSet<&'static str>,
    faults: &'a Faults,
}

impl<'a> ObjectReader<'a> {
    /// Reads `value`, which stands at `path` (empty for the body); a fault and `None` when it is no object.
    pub fn new(path: impl Into<String>, value: &'a Value, faults: &'a Faults) -> Option<Self> {
        let path = path.into();
        match value {
            Value::Object(members) => Some(Self { path, members, known: BTreeSet::new(), faults }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                faults.report(path, "must be an object");
                None
            }
        }
    }

    /// Where this object stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where a member of this object stands.
    pub fn path_of(&self, member: &str) -> String {
        join(&self.path, member)
    }

    /// The faults this reader reports to.
    pub fn faults(&self) -> &'a Faults {
        self.faults
    }

    /// Reports that a member is wrong.
    pub fn report(&self, member: &str, reason: impl Into<String>) {
        self.faults.report(self.path_of(member), reason);
    }

    /// The raw member; from now on it is a known one.
    pub fn raw(&mut self, name: &'static str) -> Sent<&'a Value> {
        self.known.insert(name);
        match self.members.get(name) {
            None => Sent::Absent,
            Some(Value::Null) => Sent::Null,
            Some(value) => Sent::Value(value),
        }
    }

    /// Whether the member was mentioned, even as `null`.
    pub fn mentions(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Accepts members without looking at them: read-only ones.
    pub fn ignore(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// Reports members nobody asked for; annotations are none. Call it last.
    pub fn finish(self) {
        for name in self.members.keys().filter(|name| !name.contains('@') && !self.known.contains(name.as_str())) {
            let shown: String = name.chars().take(64).collect();
            self.report(&shown, "is not a known member");
        }
    }

    /// The type that `@odata.type` names, without `#` and the namespace; `None` when it is absent. CL-17
    ///
    /// Not a text: a fault, and `None`.
    pub fn odata_type(&self) -> Option<&'a str> {
        match self.members.get("@odata.type")? {
            Value::String(name) => {
                let name = name.strip_prefix('#').unwrap_or(name);
                let namespace = "microsoft.graph.";
                match name.get(..namespace.len()) {
                    Some(start) if start.eq_ignore_ascii_case(namespace) => Some(&name[namespace.len()..]),
                    Some(_) | None => Some(name),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.report("@odata.type", "must be a text");
                None
            }
        }
    }

    /// Reports an `@odata.type` other than `expected`; an absent one fits.
    pub fn expect_type(&self, expected: &str) {
        if self.odata_type().is_some_and(|name| !name.eq_ignore_ascii_case(expected)) {
            self.report("@odata.type", format!("must be #microsoft.graph.{expected} here"));
        }
    }

    fn typed<T>(&mut self, name: &'static str, kind: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Sent<T> {
        match self.raw(name) {
            Sent::Absent => Sent::Absent,
            Sent::Null => Sent::Null,
            Sent::Value(value) => match read(value) {
                Some(value) => Sent::Value(value),
                None => {
                    self.report(name, format!("must be {kind}"));
                    Sent::Absent
                }
            },
        }
    }

    /// Absent stays absent; null is a fault.
    fn non_null<T>(&mut self, name: &'static str, sent: Sent<T>) -> Option<T> {
        if matches!(sent, Sent::Null) {
            self.report(name, "must not be null");
        }
        sent.value()
    }

    fn required<T>(&mut self, name: &'static str, sent: Sent<T>) -> Option<T> {
        if matches!(sent, Sent::Null) || !self.mentions(name) {
            self.report(name, "is required");
        }
        sent.value()
    }

    /// A text, or what stands in its place.
    pub fn text(&mut self, name: &'static str) -> Sent<&'a str> {
        let sent = self.typed(name, "a text", Value::as_str);
        if let Sent::Value(text) = sent
            && text.contains('\0')
        {
            self.report(name, "must not contain the character U+0000");
            return Sent::Absent;
        }
        sent
    }

    /// A text; `None` when absent or null.
    pub fn nullable_text(&mut self, name: &'static str) -> Option<&'a str> {
        self.text(name).value()
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str) -> Option<&'a str> {
        let sent = self.text(name);
        self.required(name, sent)
    }

    /// `true` or `false` and nothing like it; null is a fault.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let sent = self.typed(name, "true or false", Value::as_bool);
        self.non_null(name, sent)
    }

    /// `true`, `false` or null.
    pub fn nullable_flag(&mut self, name: &'static str) -> Option<bool> {
        self.typed(name, "true or false", Value::as_bool).value()
    }

    /// A 32-bit integer, `3.0` included and `"3"` not; null is a fault.
    pub fn integer(&mut self, name: &'static str) -> Option<i32> {
        let sent = self.typed(name, "an integer of 32 bits", integer);
        self.non_null(name, sent)
    }

    /// A 32-bit integer that must be there.
    pub fn required_integer(&mut self, name: &'static str) -> Option<i32> {
        let sent = self.typed(name, "an integer of 32 bits", integer);
        self.required(name, sent)
    }

    /// A duration in ISO 8601 or as Python prints it; `None` when absent or null. CL-14
    pub fn nullable_duration(&mut self, name: &'static str) -> Option<IsoDuration> {
        self.typed(name, "an ISO 8601 duration such as P30D", |value| value.as_str()?.parse().ok()).value()
    }

    /// A date; of a date-time, the date in its own offset. CL-16
    pub fn date(&mut self, name: &'static str) -> Sent<NaiveDate> {
        self.typed(name, "a date such as 2026-03-01", |value| date(value.as_str()?))
    }

    /// A date that must be there.
    pub fn required_date(&mut self, name: &'static str) -> Option<NaiveDate> {
        let sent = self.date(name);
        self.required(name, sent)
    }

    /// A date-time with any offset or none (UTC), up to nine digits of fraction, cut to microseconds. CL-15
    pub fn date_time(&mut self, name: &'static str) -> Sent<DateTime<Utc>> {
        self.typed(name, "a date-time such as 2026-03-01T00:00:00Z", |value| date_time(value.as_str()?))
    }

    /// One of `choices`, letter case ignored. Section 10 of the model
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[T], spelling: fn(T) -> &'static str) -> Sent<T> {
        match self.text(name) {
            Sent::Absent => Sent::Absent,
            Sent::Null => Sent::Null,
            Sent::Value(text) => match choose(text, choices, spelling) {
                Ok(value) => Sent::Value(value),
                Err(reason) => {
                    self.report(name, reason);
                    Sent::Absent
                }
            },
        }
    }

    /// One of `choices` that must be there.
    pub fn required_choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[T],
        spelling: fn(T) -> &'static str,
    ) -> Option<T> {
        let sent = self.choice(name, choices, spelling);
        self.required(name, sent)
    }

    /// An object to be read in turn.
    pub fn object(&mut self, name: &'static str) -> Sent<ObjectReader<'a>> {
        match self.raw(name) {
            Sent::Absent => Sent::Absent,
            Sent::Null => Sent::Null,
            Sent::Value(value) => match ObjectReader::new(self.path_of(name), value, self.faults) {
                Some(reader) => Sent::Value(reader),
                None => Sent::Absent,
            },
        }
    }

    /// An object that must be there.
    pub fn required_object(&mut self, name: &'static str) -> Option<ObjectReader<'a>> {
        let sent = self.object(name);
        self.required(name, sent)
    }

    /// A collection of at most `limit` entries with their paths; null is an empty one. `None` when absent.
    ///
    /// Too many entries are one fault and are not read.
    pub fn array(&mut self, name: &'static str, limit: usize) -> Option<Vec<(String, &'a Value)>> {
        let path = self.path_of(name);
        match self.raw(name) {
            Sent::Absent => None,
            Sent::Null => Some(Vec::new()),
            Sent::Value(Value::Array(entries)) if entries.len() > limit => {
                self.report(name, format!("must have at most {limit} entries, not {}", entries.len()));
                None
            }
            Sent::Value(Value::Array(entries)) => {
                Some(entries.iter().enumerate().map(|(index, entry)| (format!("{path}[{index}]"), entry)).collect())
            }
            Sent::Value(_) => {
                self.report(name, "must be an array");
                None
            }
        }
    }

    /// A collection of objects; entries that are none are faults.
    pub fn objects(&mut self, name: &'static str, limit: usize) -> Option<Vec<ObjectReader<'a>>> {
        let faults = self.faults;
        let entries = self.array(name, limit)?;
        Some(entries.into_iter().filter_map(|(path, entry)| ObjectReader::new(path, entry, faults)).collect())
    }

    /// A collection of texts with their paths; entries that are none are faults.
    pub fn texts(&mut self, name: &'static str, limit: usize) -> Option<Vec<(String, &'a str)>> {
        let faults = self.faults;
        let entries = self.array(name, limit)?;
        Some(
            entries
                .into_iter()
                .filter_map(|(path, entry)| match entry.as_str() {
                    Some(text) if !text.contains('\0') => Some((path, text)),
                    Some(_) | None => {
                        faults.report(path, "must be a text without the character U+0000");
                        None
                    }
                })
                .collect(),
        )
    }
}

/// Finds `text` among the spellings of `choices`, letter case ignored; the reason of the refusal lists them.
pub fn choose<T: Copy>(text: &str, choices: &[T], spelling: fn(T) -> &'static str) -> Result<T, String> {
    choices.iter().copied().find(|choice| spelling(*choice).eq_ignore_ascii_case(text)).ok_or_else(|| {
        let spellings: Vec<&str> = choices.iter().map(|choice| spelling(*choice)).collect();
        match spellings.as_slice() {
            [only] => format!("must be {only}"),
            all => format!("must be one of {}", all.join(", ")),
        }
    })
}

fn integer(value: &Value) -> Option<i32> {
    let Value::Number(number) = value else { return None };
    if let Some(whole) = number.as_i64() {
        return i32::try_from(whole).ok();
    }
    let fraction = number.as_f64()?;
    let fits = fraction.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&fraction);
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range, as checked")]
    fits.then_some(fraction as i32)
}

fn date(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    let day = text.get(..10)?;
    let plain =
        day.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    let rest = &text[10..];
    let date = plain.then(|| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()).flatten()?;
    (rest.is_empty() || date_time(text).is_some()).then_some(date)
}

/// Reads a date-time as [`ObjectReader::date_time`] does.
pub fn date_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    if fraction.bytes().take_while(u8::is_ascii_digit).count() > 9 {
        return None;
    }
    let at = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc)).ok().or_else(|| {
        NaiveDateTime::parse_from_str(&text.replacen(['t', ' '], "T", 1), "%Y-%m-%dT%H:%M:%S%.f")
            .ok()
            .map(|at| at.and_utc())
    })?;
    DateTime::from_timestamp_micros(at.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn faults_of(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).unwrap_err().into_iter().map(|fault| (fault.path, fault.reason)).collect()
    }

    fn read<T>(value: &Value, read: impl FnOnce(&mut ObjectReader<'_>) -> T) -> (T, Vec<String>) {
        let faults = Faults::default();
        let mut reader = ObjectReader::new("", value, &faults).unwrap();
        let result = read(&mut reader);
        let list = faults.0.borrow().iter().map(|fault| format!("{}: {}", fault.path, fault.reason)).collect();
        (result, list)
    }

    #[test]
    fn duplicate_members_are_reported_at_every_depth() {
        let faults = faults_of(r#"{"a":1,"b":[{"c":1,"c":2}],"a":2}"#);

        let paths: Vec<&str> = faults.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["b[0].c", "a"]);
    }

    #[test]
    fn broken_json_is_reported_at_the_body() {
        for text in ["", "{", "{\"a\":1,}", "nope", "{} {}", "{\"a\":1e999}", "{\"a\":\"\\ud800\"}"] {
            let faults = faults_of(text);
            assert_eq!((faults.len(), faults[0].0.as_str()), (1, ""), "{text}");
            assert!(faults[0].1.starts_with("the body is not acceptable JSON"), "{text}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn bodies_nested_too_deep_are_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));

        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn the_zero_character_is_refused_because_no_column_holds_it() {
        assert_eq!(faults_of(r#"{"a":["x\u0000"]}"#)[0].0, "a[0]");
    }

    /// Section 13
    #[test]
    fn three_point_zero_is_an_integer_and_a_text_is_not() {
        for (value, expected) in [
            (json!(3), Some(3)),
            (json!(3.0), Some(3)),
            (json!(-1), Some(-1)),
            (json!("3"), None),
            (json!(3.5), None),
            (json!(true), None),
            (json!(2_147_483_648_i64), None),
            (json!(1e300), None),
        ] {
            let body = json!({ "n": value });
            assert_eq!(read(&body, |reader| reader.integer("n")).0, expected, "{body}");
        }
    }

    #[test]
    fn booleans_are_strict() {
        for value in [json!("true"), json!(1), json!(null)] {
            assert_eq!(read(&json!({ "b": value }), |reader| reader.flag("b")).1.len(), 1);
        }
        assert_eq!(read(&json!({ "b": true }), |reader| reader.flag("b")), (Some(true), vec![]));
    }

    /// CL-16
    #[test]
    fn a_date_may_be_a_date_time_in_any_offset() {
        for text in
            ["2026-01-02", "2026-01-02T00:00:00.000Z", "2026-01-02T23:30:00-11:00", "2026-01-02T03:04:05.678900"]
        {
            let (date, faults) = read(&json!({ "d": text }), |reader| reader.date("d"));
            assert_eq!((date, faults), (Sent::Value("2026-01-02".parse().unwrap()), vec![]), "{text}");
        }
        for text in ["", "2026-1-2", "2026-02-30", "2026-01-02X", "20260102", "+2026-01-02", "02/01/2026", "2026-01-0é"]
        {
            assert_eq!(read(&json!({ "d": text }), |reader| reader.date("d")).1.len(), 1, "{text}");
        }
    }

    /// CL-15
    #[test]
    fn a_date_time_without_offset_is_utc_and_is_cut_to_microseconds() {
        let at = |text: &str| date_time(text).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));

        assert_eq!(at("2026-01-02T03:04:05.678900").as_deref(), Some("2026-01-02T03:04:05.678900Z"));
        assert_eq!(at("2026-02-01T00:00:00+02:00").as_deref(), Some("2026-01-31T22:00:00Z"));
        assert_eq!(at("2026-02-01T00:00:00.123456789Z").as_deref(), Some("2026-02-01T00:00:00.123456Z"));
        assert_eq!(at("2026-02-01T00:00:00.1234567890Z"), None);
        assert_eq!(at("2026-02-01"), None);
    }

    #[test]
    fn unknown_members_are_reported_and_annotations_are_not() {
        let body = json!({ "a": 1, "b": 2, "@odata.context": "x", "c@odata.count": 1 });
        let faults = Faults::default();
        let mut reader = ObjectReader::new("outer[0]", &body, &faults).unwrap();
        reader.ignore(&["a"]);
        reader.finish();

        assert_eq!(faults.into_violations(), [Violation::new("outer[0].b", "is not a known member")]);
    }

    #[test]
    fn a_type_name_is_read_with_and_without_its_prefix() {
        for text in ["#microsoft.graph.x", "microsoft.graph.x", "#Microsoft.Graph.x", "x"] {
            assert_eq!(
                read(&json!({ "@odata.type": text }), |reader| reader.odata_type().map(str::to_owned)).0.as_deref(),
                Some("x")
            );
        }
    }

    #[test]
    fn an_absent_member_is_reported_once_where_it_is_required() {
        for body in [json!({}), json!({ "a": null }), json!({ "a": 1 })] {
            assert_eq!(read(&body, |reader| reader.required_text("a").is_some()).1.len(), 1, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, text in "\\PC*") {
            let _ = parse(&bytes);
            let _ = date_time(&text);
            let _ = date(&text);
        }
    }
}
