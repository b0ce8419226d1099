//! What is there, one line for each thing, in one wording for the model and the database: so that they can be compared, and
//! their difference can be read.

use std::collections::{BTreeMap, BTreeSet};

use attestry::domain::{decision::Verdict, status::Status};
use chrono::{DateTime, Utc};

use crate::{
    command::{At, MailKey},
    company::{Directory, Name},
    model::{Applied, Decision},
    review::Lists,
};

/// Lines by what they are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    pub fn tell(&mut self, about: String, what: String) {
        self.0.insert(about, what);
    }

    /// The lines in which two tellings differ.
    pub fn difference(&self, other: &Self, mine: &str, others: &str) -> String {
        let about: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut text = String::new();
        for about in about {
            let (left, right) = (self.0.get(about), other.0.get(about));
            if left != right {
                let told = |line: Option<&String>| line.cloned().unwrap_or_else(|| "nothing".to_owned());
                text += &format!("  {about}\n    {mine}: {}\n    {others}: {}\n", told(left), told(right));
            }
        }
        text
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%m-%d %H:%M:%S%.6f").to_string()
}

pub fn directory(facts: &mut Facts, directory: &Directory) {
    facts.tell("members of finance".to_owned(), format!("{:?}", directory.members));
    facts.tell("members of contractors".to_owned(), format!("{:?}", directory.nested));
    facts.tell("owners of finance".to_owned(), format!("{:?}", directory.owners));
    for (name, user) in &directory.users {
        let enabled = if user.enabled { "enabled" } else { "disabled" };
        facts.tell(format!("user {name}"), format!("{enabled}, manager {:?}", user.manager));
    }
}

pub fn instance(facts: &mut Facts, at: At, status: Status, start_at: DateTime<Utc>, end_at: DateTime<Utc>) {
    facts.tell(at.to_string(), format!("{status} from {} to {}", time(start_at), time(end_at)));
}

pub fn reminded(facts: &mut Facts, at: At, last: DateTime<Utc>, times: i64) {
    facts.tell(format!("{at} reminded by hand"), format!("{times} times, last at {}", time(last)));
}

pub fn stage(
    facts: &mut Facts,
    at: At,
    stage: usize,
    status: Status,
    start_at: DateTime<Utc>,
    end_at: DateTime<Utc>,
    lists: &Lists,
) {
    let what = format!("{status} from {} to {} by {lists:?}", time(start_at), time(end_at));
    facts.tell(format!("{at}/stage {stage}"), what);
}

pub fn item_in_stage(facts: &mut Facts, at: At, stage: usize, item: Name, reviewers: &BTreeSet<Name>) {
    facts.tell(format!("{at}/stage {stage}/{item}"), format!("reviewed by {reviewers:?}"));
}

pub fn recommendation(facts: &mut Facts, at: At, stage: usize, item: Name, shown: Option<Verdict>) {
    facts.tell(format!("{at}/stage {stage}/{item} recommendation"), format!("{shown:?}"));
}

pub fn decision(facts: &mut Facts, at: At, stage: usize, item: Name, decision: &Decision) {
    let Decision { verdict, by, at: when, justified } = decision;
    let stage = if stage == 0 { "default".to_owned() } else { format!("stage {stage}") };
    facts.tell(
        format!("{at}/{stage}/{item} decision"),
        format!("{verdict:?} by {by} at {}, justified: {justified:?}", time(*when)),
    );
}

pub fn applied(facts: &mut Facts, at: At, item: Name, applied: Applied, by: Name) {
    facts.tell(format!("{at}/{item} applied"), format!("{applied:?} by {by}"));
}

pub fn deletion(facts: &mut Facts, at: At, item: Name, due_at: DateTime<Utc>) {
    facts.tell(format!("{at}/{item} deletion"), time(due_at));
}

pub fn contacted(facts: &mut Facts, at: At, stage: usize, person: Name, contacted_at: DateTime<Utc>) {
    facts.tell(format!("{at}/stage {stage} contacted {person}"), time(contacted_at));
}

pub fn waiting(facts: &mut Facts, mail: &MailKey) {
    facts.tell(format!("mail {mail} waits"), "yes".to_owned());
}

pub fn delivered(facts: &mut Facts, mail: &MailKey) {
    facts.tell(format!("mail {mail} left"), "yes".to_owned());
}
