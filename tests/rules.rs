//! Which tests prove which rule: `docs/rules.md`, generated from the catalogue of rules and the tests' own doc comments.
//!
//! A test proves the rules that its doc comment names: `/// LC-STAGE-30 to 34, LC-STAGE-36`. A rule that no test names fails, and
//! so does an id, anywhere in the sources, that no rule has.
//!
//! `ATTESTRY_REGENERATE=1 cargo test --test rules` writes the table anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// One rule a line: its id, and what it says.
const CATALOGUE: &str = include_str!("rules/catalogue.txt");
const TABLE: &str = "docs/rules.md";

/// The groups of rules, in the order of the table.
const GROUPS: [(&str, &str); 19] = [
    ("LC-DEF", "Definitions"),
    ("LC-INST", "Instances"),
    ("IN", "How instances move"),
    ("LC-REC", "Recurrence"),
    ("LC-STAGE", "Stages"),
    ("ST", "How stages move"),
    ("LC-SUPD", "Updating a stage"),
    ("LC-REV", "Reviewers"),
    ("LC-DEC", "Decisions"),
    ("LC-RCM", "Recommendations and insights"),
    ("LC-CMP", "Completion"),
    ("LC-APPLY", "Applying"),
    ("LC-NOTE", "Mail"),
    ("N", "The seven mails"),
    ("LC-HIST", "Reports"),
    ("LC-AUTH", "Who may do what"),
    ("LC-CONC", "Concurrency"),
    ("LC-AUD", "Audit"),
    ("LC-INV", "Invariants"),
];

/// The id without its number.
fn group_of(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(group, _)| group)
}

/// Ids and what they say, in the catalogue's order.
fn catalogue() -> Vec<(&'static str, &'static str)> {
    CATALOGUE.lines().map(|line| line.split_once(' ').expect("a line is an id and what it says")).collect()
}

/// An id as it stands in a text; `end` is where it stops.
struct Named<'a> {
    group: &'a str,
    number: u32,
    end: usize,
}

impl Named<'_> {
    fn id(&self, number: u32) -> String {
        match self.group {
            "N" => format!("N-{number}"),
            group => format!("{group}-{number:02}"),
        }
    }
}

/// The next id in `text` from `from` on: the name of a group, a hyphen and digits, not in the middle of a word.
fn next_id(text: &str, from: usize) -> Option<Named<'_>> {
    let mut at = from;
    while let Some(found) = text[at..].find('-') {
        let hyphen = at + found;
        at = hyphen + 1;
        let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
        let begin = text[..hyphen].rfind(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(0, |c| c + 1);
        let group = text.get(begin..hyphen).unwrap_or_default();
        let ends_here = !text[at + digits..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        if digits > 0 && begin >= from && ends_here && GROUPS.iter().any(|(known, _)| *known == group) {
            let number = text[at..at + digits].parse().expect("a few digits");
            return Some(Named { group, number, end: at + digits });
        }
    }
    None
}

/// Every id that a text names, ranges such as `LC-RCM-01 to 05` and `IN-12 to IN-14` included, with the text as it stands.
fn ids_in(text: &str, known: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut at = 0;
    while let Some(first) = next_id(text, at) {
        at = first.end;
        let mut last = first.number;
        if let Some(rest) = text[at..].strip_prefix(" to ") {
            let rest_at = at + " to ".len();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                last = rest[..digits].parse().expect("a few digits");
                at = rest_at + digits;
            } else if let Some(named) = next_id(text, rest_at).filter(|named| {
                named.group == first.group && text[rest_at..named.end].len() <= named.group.len() + "-00".len()
            }) {
                last = named.number;
                at = named.end;
            }
        }
        ids.insert(first.id(first.number));
        ids.insert(first.id(last));
        // numbers are not dense
        ids.extend((first.number..last).map(|number| first.id(number)).filter(|id| known.contains(id.as_str())));
    }
    ids
}

/// A test, and the text before it.
struct Test {
    file: String,
    name: String,
    doc: String,
}

/// The tests of a file in the form that rustfmt leaves: doc comments and attributes, then the function.
fn tests_of(file: &str, source: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    let (mut doc, mut is_test) = (String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
            doc.push('\n');
        } else if line.starts_with("#[") || line.starts_with("//") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
            if let Some(name) = function.filter(|_| is_test) {
                let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                tests.push(Test { file: file.to_owned(), name, doc: std::mem::take(&mut doc) });
            }
            doc.clear();
            is_test = false;
        }
    }
    tests
}

/// Every text of ours that names rules, by its path from the root of the project.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "xtask", "migrations", "docs"].map(|folder| root.join(folder)).into();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "rs" || extension == "md" || extension == "sql")
            {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                files.push((name, fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    files.sort();
    files
}

/// The tests of each rule, by id.
fn proofs(known: &BTreeSet<&str>) -> BTreeMap<String, Vec<(String, String)>> {
    let mut proofs: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (file, source) in sources() {
        for test in tests_of(&file, &source) {
            for id in ids_in(&test.doc, known) {
                proofs.entry(id).or_default().push((test.file.clone(), test.name.clone()));
            }
        }
    }
    proofs
}

fn known_ids() -> BTreeSet<&'static str> {
    catalogue().into_iter().map(|(id, _)| id).collect()
}

fn table() -> String {
    let proofs = proofs(&known_ids());
    let mut table = String::from(
        "# Rules and the tests that prove them\n\nGenerated by `ATTESTRY_REGENERATE=1 cargo test --test rules` from the catalogue in \
         `tests/rules` and the doc comments of the tests;\n`tests/rules.rs` fails when it is not up to date, when a rule has no test, \
         and when an id is misspelt.\n",
    );
    for (group, title) in GROUPS {
        writeln!(table, "\n## {title}\n\n| rule | says | proved by |\n|---|---|---|").expect("a text takes all");
        for (id, says) in catalogue().into_iter().filter(|(id, _)| group_of(id) == group) {
            let tests: Vec<_> =
                proofs.get(id).into_iter().flatten().map(|(file, name)| format!("[{name}](../{file})")).collect();
            writeln!(table, "| {id} | {} | {} |", says.replace('|', "\\|"), tests.join("<br>"))
                .expect("a text takes all");
        }
    }
    table
}

#[test]
fn every_rule_is_proved_by_a_test() {
    let proofs = proofs(&known_ids());
    let unproved: Vec<_> = catalogue().into_iter().map(|(id, _)| id).filter(|id| !proofs.contains_key(*id)).collect();

    assert!(unproved.is_empty(), "no test names: {}", unproved.join(", "));
}

#[test]
fn every_id_in_the_sources_is_that_of_a_rule() {
    let known = known_ids();
    let mut faults = Vec::new();
    for (file, source) in sources().into_iter().filter(|(file, _)| file != file!() && file != TABLE) {
        for (number, line) in source.lines().enumerate() {
            for id in ids_in(line, &known).into_iter().filter(|id| !known.contains(id.as_str())) {
                faults.push(format!("{file}:{}: {id}", number + 1));
            }
            // a group that does not exist
            for (at, _) in line.match_indices("LC-") {
                let group: String = line[at..].chars().take_while(|c| c.is_ascii_uppercase() || *c == '-').collect();
                let group = group.trim_end_matches('-');
                if group != "LC" && !GROUPS.iter().any(|(known, _)| *known == group) {
                    faults.push(format!("{file}:{}: {group}", number + 1));
                }
            }
        }
    }

    assert!(faults.is_empty(), "no rule has these ids:\n{}", faults.join("\n"));
}

#[test]
fn the_table_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    let table = table();
    if env::var_os("ATTESTRY_REGENERATE").is_some() {
        fs::write(&path, &table).expect("the table can be written");
    }

    let written = fs::read_to_string(&path).unwrap_or_default();

    assert!(written == table, "{TABLE} is not up to date: ATTESTRY_REGENERATE=1 cargo test --test rules");
}

#[test]
fn the_catalogue_names_each_rule_once_and_every_group_has_some() {
    let ids: Vec<_> = catalogue().into_iter().map(|(id, _)| id).collect();

    assert_eq!(ids.len(), known_ids().len());
    for (group, _) in GROUPS {
        assert!(ids.iter().any(|id| group_of(id) == group), "{group}");
    }
    for id in ids {
        assert!(GROUPS.iter().any(|(group, _)| *group == group_of(id)), "{id}");
    }
}

#[test]
fn ids_are_read_alone_in_ranges_and_never_out_of_words() {
    let known = BTreeSet::from(["LC-RCM-01", "LC-RCM-02", "LC-RCM-05", "IN-12", "IN-13", "IN-14", "N-4"]);
    let read = |text: &str| ids_in(text, &known).into_iter().collect::<Vec<_>>();

    assert_eq!(
        read("LC-RCM-01 to 05, IN-12 to IN-14; N-4."),
        ["IN-12", "IN-13", "IN-14", "LC-RCM-01", "LC-RCM-02", "LC-RCM-05", "N-4"]
    );
    assert_eq!(read("LC-RCM-09"), ["LC-RCM-09"], "what no rule has is told as it stands");
    assert_eq!(read("LC-RCM-01 to the end, see IN-12"), ["IN-12", "LC-RCM-01"]);
    assert_eq!(read("MIN-12 BST-01 LC-RCM-01x utf-8 OPEN-12"), [""; 0]);
}

#[test]
fn a_test_is_told_with_its_own_comment_only() {
    let source = "/// LC-RCM-01\nfn helper() {}\n\n/// LC-RCM-02\n/// and more\n#[tokio::test]\nasync fn proof() {}\n\n#[test]\nfn other() {}\n";

    let tests: Vec<_> = tests_of("a.rs", source).into_iter().map(|test| (test.name, test.doc)).collect();

    assert_eq!(
        tests,
        [("proof".to_owned(), " LC-RCM-02\n and more\n".to_owned()), ("other".to_owned(), String::new())]
    );
}
