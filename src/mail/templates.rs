//! The templates of the seven mails: the built-in ones, those that tenants put in their place, and what is made of them.
//!
//! A tenant's template is checked when it is set and bounded when it is rendered. Whatever goes wrong with it then, the built-in
//! one is sent instead: a template never keeps a mail from going out.

use std::{io, sync::LazyLock};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, tests};

use super::{
    facts::{MailFacts, examples, variables},
    language::{self, NotOffered},
};
use crate::domain::{
    mail::{MailKind, OwnTemplate, Part},
    violation::Violation,
};

/// Steps of one part at most: some hundred times what the built-in ones take.
const FUEL: u64 = 20_000;
/// The longest part of a mail, in bytes.
const LARGEST_PART: usize = 256 << 10;
/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 255;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("templates/", $name)))),*]
    };
}

const SHARED: [(&str, &str); 6] =
    files!["layout.html", "layout.txt", "request.html", "request.txt", "outcome.html", "outcome.txt"];

const MAILS: [(&str, &str); 21] = files![
    "review_started.subject",
    "review_started.txt",
    "review_started.html",
    "stage_started.subject",
    "stage_started.txt",
    "stage_started.html",
    "reviewer_added.subject",
    "reviewer_added.txt",
    "reviewer_added.html",
    "reminder.subject",
    "reminder.txt",
    "reminder.html",
    "manual_reminder.subject",
    "manual_reminder.txt",
    "manual_reminder.html",
    "review_completed.subject",
    "review_completed.txt",
    "review_completed.html",
    "completed_additional.subject",
    "completed_additional.txt",
    "completed_additional.html",
];

static BUILT_IN: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// The three parts of a mail, as templates or as what was made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailParts {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// A tenant's template that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {reason}", part.member(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TemplateFault {
    pub part: Part,
    /// From 1; `None` where it is not known.
    pub line: Option<usize>,
    pub reason: String,
}

/// The source of a built-in template.
pub fn built_in(kind: MailKind) -> MailParts {
    let source = |part| find(&file_name(kind, part)).trim_end().to_owned();
    MailParts { subject: source(Part::Subject), text: source(Part::Text), html: source(Part::Html) }
}

/// What is wrong with a tenant's template, by member and line: its size, its syntax, names that do not exist, and what goes wrong
/// when it is tried.
pub fn check(kind: MailKind, own: &OwnTemplate) -> Vec<Violation> {
    let mut faults = own.violations();
    if faults.is_empty() {
        let found = own.parts().filter_map(|(part, source)| check_part(kind, part, source).err());
        faults.extend(found.map(|fault| {
            let line = fault.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            Violation::new(fault.part.member(), format!("{line}{}", fault.reason))
        }));
    }
    faults
}

/// The mail as it goes out, and what was wrong with the tenant's own template, if it had to be passed over.
///
/// # Errors
/// Only when a built-in template is broken, which a test rules out.
pub fn render(
    kind: MailKind,
    facts: &MailFacts,
    own: Option<&OwnTemplate>,
) -> Result<(MailParts, Option<TemplateFault>), TemplateFault> {
    let values = facts.values();
    match own.map(|own| render_parts(kind, &values, Some(own))) {
        Some(Ok(parts)) => Ok((parts, None)),
        Some(Err(fault)) => Ok((render_parts(kind, &values, None)?, Some(fault))),
        None => Ok((render_parts(kind, &values, None)?, None)),
    }
}

fn render_parts(kind: MailKind, values: &Value, own: Option<&OwnTemplate>) -> Result<MailParts, TemplateFault> {
    let part = |part: Part, own: Option<&String>| match own {
        Some(source) => render_own(part, source, values),
        None => render_named(part, &file_name(kind, part), values),
    };
    Ok(MailParts {
        subject: one_line(&part(Part::Subject, own.and_then(|own| own.subject.as_ref()))?),
        text: tidy(&part(Part::Text, own.and_then(|own| own.text.as_ref()))?),
        html: part(Part::Html, own.and_then(|own| own.html.as_ref()))?,
    })
}

fn render_named(part: Part, name: &str, values: &Value) -> Result<String, TemplateFault> {
    let mut out = Bounded::default();
    let template = BUILT_IN.get_template(name).map_err(|error| told(part, &error))?;
    template.render_captured_to(values.clone(), &mut out).map_err(|error| told(part, &error))?;
    out.into_text(part)
}

fn render_own(part: Part, source: &str, values: &Value) -> Result<String, TemplateFault> {
    language::code(source).map_err(|fault| not_offered(part, fault))?;
    // Of its own, for it lives no longer than the source; not among the templates that it can include.
    let environment = environment();
    let mut out = Bounded::default();
    let template = environment.template_from_named_str(own_name(part), source).map_err(|error| told(part, &error))?;
    template.render_captured_to(values.clone(), &mut out).map_err(|error| told(part, &error))?;
    out.into_text(part)
}

fn check_part(kind: MailKind, part: Part, source: &str) -> Result<(), TemplateFault> {
    let code = language::code(source).map_err(|fault| not_offered(part, fault))?;
    let environment = environment();
    let template = environment.template_from_named_str(own_name(part), source).map_err(|error| told(part, &error))?;
    let known = variables(kind);
    let mut unknown: Vec<_> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !known.iter().any(|variable| variable.name == name) && name != "super" && name != "loop")
        .map(|name| (code.iter().find(|code| code.words.contains(&name.as_str())).map(|code| code.line), name))
        .collect();
    unknown.sort();
    if let Some((line, name)) = unknown.into_iter().next() {
        let names: Vec<_> = known.iter().map(|variable| variable.name).collect();
        let reason = format!("`{name}` is not a variable of this mail; there are {}", names.join(", "));
        return Err(TemplateFault { part, line, reason });
    }
    for facts in examples(kind) {
        render_own(part, source, &facts.values())?;
    }
    Ok(())
}

fn not_offered(part: Part, NotOffered { line, reason }: NotOffered) -> TemplateFault {
    TemplateFault { part, line: Some(line), reason }
}

/// In words for whoever wrote the template. An error inside a built-in template that his one uses has that one's line, so none is told.
fn told(part: Part, error: &Error) -> TemplateFault {
    let own = error.name().is_none_or(|name| name == own_name(part));
    let mut reason = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        ErrorKind::WriteFailure => format!("it becomes longer than {LARGEST_PART} bytes"),
        kind => kind.to_string(),
    };
    if let Some(detail) = error.detail()
        && error.kind() != ErrorKind::WriteFailure
    {
        reason = format!("{reason}: {detail}");
    }
    TemplateFault { part, line: error.line().filter(|_| own), reason }
}

fn environment<'source>() -> Environment<'source> {
    let mut environment = Environment::empty();
    environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // What makes no value much larger than it was.
    environment.add_filter("upper", filters::upper);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("length", filters::length);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("default", filters::default);
    environment.add_filter("escape", filters::escape);
    environment.add_test("none", tests::is_none);
    for (name, source) in SHARED.into_iter().chain(MAILS) {
        // A test renders every one of them.
        let added = environment.add_template(name, source);
        debug_assert!(added.is_ok(), "{name}: {added:?}");
    }
    environment
}

fn file_name(kind: MailKind, part: Part) -> String {
    let extension = match part {
        Part::Subject => "subject",
        Part::Text => "txt",
        Part::Html => "html",
    };
    format!("{}.{extension}", kind.key())
}

const fn own_name(part: Part) -> &'static str {
    match part {
        Part::Subject => "own.subject",
        Part::Text => "own.txt",
        Part::Html => "own.html",
    }
}

fn find(name: &str) -> &'static str {
    MAILS.iter().find(|(known, _)| *known == name).map_or("", |(_, source)| source)
}

/// Takes so much and no more.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Bounded {
    fn into_text(self, part: Part) -> Result<String, TemplateFault> {
        String::from_utf8(self.0).map_err(|_| TemplateFault { part, line: None, reason: "it is no text".to_owned() })
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST_PART {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A subject is one line, whatever somebody called his review.
fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_SUBJECT).collect()
}

/// No blank lines in a row, and none at the ends: conditions leave some.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut blank = true;
    for line in text.lines().map(str::trim_end) {
        if !line.is_empty() || !blank {
            tidied.push_str(line);
            tidied.push('\n');
        }
        blank = line.is_empty();
    }
    tidied.truncate(tidied.trim_end().len());
    tidied.push('\n');
    tidied
}
