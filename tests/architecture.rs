//! Which room may import which: the table of `docs/architecture.md`, held against the sources.
//!
//! Every path in `src` is read, in `use` trees and in running code alike, after comments and literals are taken out. A
//! fault is told as `file:line: path: rule`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// What one room may and may not name.
struct Rule {
    /// The module path below `crate`; the longest one that fits a file counts.
    room: &'static str,
    /// What of ours it may name. A room may always name itself, but not another room within itself.
    ours: &'static [&'static str],
    /// What it may not name: crates of others, and parts of what `ours` allows.
    never: &'static [&'static str],
    /// The rule in words.
    because: &'static str,
}

/// Where concrete types meet; everything may be named here.
const WIRING: &[&str] = &["main", "lib", "cli"];

const RULES: &[Rule] = &[
    Rule {
        room: "domain",
        ours: &[],
        never: &[
            "sqlx",
            "actix_web",
            "tokio",
            "tokio_util",
            "futures_util",
            "async_trait",
            "lettre",
            "reqwest",
            "tracing",
            "rand",
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::thread",
            "std::time",
            "std::io",
            "Utc::now",
            "Uuid::new_v4",
            "Uuid::now_v7",
        ],
        because: "domain holds pure rules: nothing of ours, no I/O, no clock, no SQL, no async",
    },
    Rule {
        room: "store",
        ours: &["domain"],
        never: &["sqlx", "actix_web"],
        because: "store is traits over domain values; SQL lives in store::pg",
    },
    Rule {
        room: "store::pg",
        ours: &["domain", "store"],
        never: &["actix_web"],
        because: "store::pg serves the traits of store",
    },
    Rule {
        room: "app",
        ours: &["domain", "store", "mail", "webhook"],
        never: &["store::pg", "mail::smtp", "mail::SmtpMailer", "sqlx", "actix_web"],
        because: "app knows the rules and the traits, never an adapter",
    },
    Rule {
        room: "http",
        ours: &["domain", "app", "store", "openid", "telemetry"],
        never: &["store::pg", "sqlx", "reqwest"],
        because: "http translates for app, never for a database",
    },
    Rule {
        room: "jobs",
        ours: &["domain", "app", "store", "mail", "webhook", "telemetry"],
        never: &["store::pg", "mail::smtp", "mail::SmtpMailer", "sqlx", "actix_web"],
        because: "jobs dispatches to app through the traits",
    },
    Rule {
        room: "mail",
        ours: &["domain"],
        never: &["sqlx", "actix_web"],
        because: "mail only carries domain values outside",
    },
    Rule {
        room: "openid",
        ours: &["domain"],
        never: &["sqlx", "actix_web"],
        because: "openid only asks providers for their keys",
    },
    Rule {
        room: "webhook",
        ours: &["domain"],
        never: &["sqlx", "actix_web"],
        because: "webhook only carries domain values outside",
    },
    Rule {
        room: "config",
        ours: &[],
        never: &["sqlx", "actix_web"],
        because: "config is read once and knows nothing of ours",
    },
    Rule {
        room: "telemetry",
        ours: &[],
        never: &["sqlx"],
        because: "telemetry is set up once and knows nothing of ours",
    },
    Rule {
        room: "local_postgres",
        ours: &[],
        never: &["actix_web"],
        because: "local_postgres starts servers and knows nothing of ours",
    },
];

/// `(file, path, why)`. It only shrinks.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("domain/authorization/tests.rs", "std::env::var_os", PERMISSION_TABLE),
    ("domain/authorization/tests.rs", "std::fs::write", PERMISSION_TABLE),
    ("domain/authorization/tests.rs", "std::fs::read_to_string", PERMISSION_TABLE),
];
const PERMISSION_TABLE: &str = "a test holds docs/permissions.md against the rules; no code of the service is there";

#[derive(Debug, PartialEq, Eq)]
struct Fault {
    file: String,
    line: usize,
    path: String,
    because: &'static str,
}

/// The module path below `crate` of a source file, `["main"]` and `["lib"]` for the roots.
fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<_> =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Blanks out comments, strings and character literals; lines stay where they are.
fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if rest.starts_with('"') {
            string(rest)
        } else if rest.starts_with('r') && (at == 0 || !is_word(bytes[at - 1])) && raw_string(rest).is_some() {
            raw_string(rest).unwrap_or(1)
        } else if rest.starts_with('\'') {
            character(rest)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        for byte in &mut code[at..at + length] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += length;
    }
    String::from_utf8(code).expect("whole literals and comments were replaced by spaces")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let body = 2 + hashes;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[body..].find(&close).map_or(text.len(), |end| body + end + close.len()))
}

/// A character literal; a lifetime is left alone.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Colons,
    Other(char),
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first as u8) && first.is_ascii() {
                let end = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
                tokens.push((line, Token::Word(rest[..end].to_owned())));
                end
            } else if rest.starts_with("::") {
                tokens.push((line, Token::Colons));
                2
            } else {
                if !first.is_whitespace() {
                    tokens.push((line, Token::Other(first)));
                }
                first.len_utf8()
            };
            rest = &rest[length..];
        }
    }
    tokens
}

/// Every path of two words or more, `use` trees taken apart, and `use` of a whole crate.
fn paths(source: &str) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(&code_only(source));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].1 {
            Token::Word(word) if word == "use" => {
                at += 1;
                if matches!(tokens.get(at), Some((_, Token::Colons))) {
                    at += 1;
                }
                tree(&tokens, &mut at, &[], &mut found);
            }
            Token::Word(_) if matches!(tokens.get(at + 1), Some((_, Token::Colons))) => {
                let (line, mut path) = (tokens[at].0, Vec::new());
                while let Some((_, Token::Word(word))) = tokens.get(at) {
                    path.push(word.clone());
                    at += 1;
                    match tokens.get(at) {
                        Some((_, Token::Colons)) => at += 1,
                        _ => break,
                    }
                }
                found.push((line, path));
            }
            _ => at += 1,
        }
    }
    found
}

fn tree(tokens: &[(usize, Token)], at: &mut usize, prefix: &[String], found: &mut Vec<(usize, Vec<String>)>) {
    let mut path = prefix.to_vec();
    let mut line = tokens.get(*at).map_or(0, |(line, _)| *line);
    while let Some((here, token)) = tokens.get(*at) {
        match token {
            Token::Word(word) if word == "as" => *at += 2,
            Token::Word(word) => {
                line = *here;
                path.push(word.clone());
                *at += 1;
            }
            Token::Colons => *at += 1,
            Token::Other('*') => {
                path.push("*".to_owned());
                *at += 1;
            }
            Token::Other('{') => {
                *at += 1;
                while !matches!(tokens.get(*at), None | Some((_, Token::Other('}')))) {
                    match &tokens[*at].1 {
                        Token::Other(other) if *other != '{' && *other != '*' => *at += 1,
                        _ => tree(tokens, at, &path, found),
                    }
                }
                *at += 1;
                return;
            }
            Token::Other(_) => break,
        }
    }
    found.push((line, path));
}

/// The path below `crate` that a path in `module` names; `None` when it is not one of ours.
fn of_ours(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut base: Vec<String> = match path.first().map(String::as_str)? {
        "crate" | "attestry" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    let mut rest = path;
    if matches!(rest[0].as_str(), "crate" | "attestry" | "self") {
        rest = &rest[1..];
    }
    while rest.first().is_some_and(|word| word == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

fn starts_with(path: &[String], prefix: &str) -> bool {
    let mut words = prefix.split("::");
    let mut parts = path.iter();
    words.all(|word| parts.next().is_some_and(|part| part == word))
}

fn rule_of(module: &[String]) -> Option<&'static Rule> {
    RULES.iter().filter(|rule| starts_with(module, rule.room)).max_by_key(|rule| rule.room.len())
}

/// What a source file names against the rule of its room.
fn faults(file: &str, source: &str) -> Vec<Fault> {
    let module = module_of(Path::new(file));
    if module.len() == 1 && WIRING.contains(&module[0].as_str()) || module.first().is_some_and(|room| room == "cli") {
        return Vec::new();
    }
    let fault = |line, path: String, because| Fault { file: file.to_owned(), line, path, because };
    let Some(rule) = rule_of(&module) else {
        return vec![fault(1, module.join("::"), "a new room needs a rule in this test")];
    };
    let mut faults = Vec::new();
    for (line, path) in paths(source) {
        let ours = of_ours(&module, &path);
        let named = ours.as_deref().unwrap_or(&path);
        let is_never = rule.never.iter().any(|never| starts_with(named, never));
        // The bare root and its globs name nothing: an inline test module of a room's `mod.rs` says `super::*`.
        let is_foreign_room = ours.as_deref().is_some_and(|ours| {
            let target = rule_of(ours).map(|target| target.room);
            let itself = target == Some(rule.room);
            let names_something = ours.first().is_some_and(|first| first != "*");
            // A part of a room, such as `store::pg`, is the room's unless `never` says otherwise; `store` may not name its own.
            let allowed = rule.ours.iter().any(|allowed| starts_with(ours, allowed)) && target != Some("store::pg");
            names_something && !itself && !allowed
        });
        if is_never || is_foreign_room {
            faults.push(fault(line, path.join("::"), rule.because));
        }
    }
    if rule.room == "domain" {
        for (line, token) in tokens(&code_only(source)) {
            if matches!(&token, Token::Word(word) if word == "async" || word == "await") {
                faults.push(fault(line, "async".to_owned(), rule.because));
            }
        }
    }
    faults
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources is readable") {
        let path = entry.expect("a folder of the sources is readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_room_imports_what_it_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources were found");

    let mut unused: Vec<_> = EXCEPTIONS.iter().collect();
    let mut told = String::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        for fault in faults(&name, &fs::read_to_string(&file).unwrap()) {
            let excepted = |(file, path, _): &(&str, &str, &str)| *file == fault.file && *path == fault.path;
            if EXCEPTIONS.iter().any(excepted) {
                unused.retain(|exception| !excepted(exception));
            } else {
                writeln!(told, "src/{}:{}: {}: {}", fault.file, fault.line, fault.path, fault.because).unwrap();
            }
        }
    }

    assert!(told.is_empty(), "forbidden imports:\n{told}");
    assert!(unused.is_empty(), "these exceptions are not needed any more: {unused:?}");
}

#[test]
fn a_forbidden_import_is_found_however_it_is_written() {
    for (file, source, expected) in [
        ("domain/stage.rs", "use crate::app::ids;", vec![(1, "crate::app::ids")]),
        (
            "domain/stage.rs",
            "\nuse crate::{\n    domain::ids,\n    store::{Page, Slice as S},\n};",
            vec![(4, "crate::store::Page"), (4, "crate::store::Slice")],
        ),
        (
            "domain/stage.rs",
            "fn f() { let x = sqlx::query(\"tokio::spawn\"); } // tokio::spawn",
            vec![(1, "sqlx::query")],
        ),
        ("domain/stage.rs", "pub async fn f() {}", vec![(1, "async")]),
        ("domain/directory/line.rs", "use super::super::http::Edge;", vec![]),
        (
            "domain/directory/line.rs",
            "use super::super::super::http::Edge;",
            vec![(1, "super::super::super::http::Edge")],
        ),
        ("domain/directory.rs", "use super::super::http::Edge;", vec![(1, "super::super::http::Edge")]),
        ("domain/mod.rs", "mod tests { use super::*; }", vec![]),
        ("domain/event.rs", "fn now() { chrono::Utc::now(); Utc::now(); }", vec![(1, "Utc::now")]),
        ("store/mod.rs", "use self::pg::PgStore;", vec![(1, "self::pg::PgStore")]),
        ("store/mod.rs", "pub mod pg; use crate::domain::ids;", vec![]),
        ("store/pg/items.rs", "use crate::{domain::ids, store::Page}; use super::error::corrupt;", vec![]),
        (
            "app/stop_stage.rs",
            "use crate::{domain::ids, store::{Page, pg::PgStore}, mail::Mailer};",
            vec![(1, "crate::store::pg::PgStore")],
        ),
        (
            "app/stop_stage.rs",
            "use crate::http::Edge; use actix_web::web;",
            vec![(1, "crate::http::Edge"), (1, "actix_web::web")],
        ),
        (
            "http/mod.rs",
            "fn f<'a>(c: char) { let _ = ('\\'', '\"'); crate::store::pg::connect() }",
            vec![(1, "crate::store::pg::connect")],
        ),
        ("http/mod.rs", "use crate::{app::get_stage, domain::ids, store::StoreError};", vec![]),
        ("mail/smtp.rs", "use crate::store::MailKind;", vec![(1, "crate::store::MailKind")]),
        ("config.rs", "use crate::domain::ids::TenantId;", vec![(1, "crate::domain::ids::TenantId")]),
        ("kitchen.rs", "", vec![(1, "kitchen")]),
        ("main.rs", "use attestry::store::pg::PgStore;", vec![]),
    ] {
        let found: Vec<_> = faults(file, source).into_iter().map(|fault| (fault.line, fault.path)).collect();
        let expected: Vec<_> = expected.into_iter().map(|(line, path)| (line, path.to_owned())).collect();
        assert_eq!(found, expected, "{file}: {source}");
    }
}
