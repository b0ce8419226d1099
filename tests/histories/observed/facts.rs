//! What is there, one fact for each thing, told the same way of the model and of the database: so that they can be compared after
//! every step, and their difference can be read. Words are made of them only where they differ: that is rare, and dear.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use attestry::domain::{decision::Verdict, status::Status};
use chrono::{DateTime, Utc};

use crate::{
    command::{At, MailKey},
    company::{Directory, Name},
    model::{Applied, Decision},
    review::Lists,
};

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    MembersOfFinance,
    MembersOfContractors,
    OwnersOfFinance,
    User(Name),
    Review(usize),
    Instance(At),
    Reminded(At),
    Stage(At, usize),
    Item(At, usize, Name),
    Recommendation(At, usize, Name),
    /// Stage 0 is the default decision.
    Decision(At, usize, Name),
    Applied(At, Name),
    Deletion(At, Name),
    Contacted(At, usize, Name),
    Waits(MailKey),
    Left(MailKey),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MembersOfFinance => f.write_str("members of finance"),
            Self::MembersOfContractors => f.write_str("members of contractors"),
            Self::OwnersOfFinance => f.write_str("owners of finance"),
            Self::User(name) => write!(f, "user {name}"),
            Self::Review(number) => write!(f, "r{number}"),
            Self::Instance(at) => write!(f, "{at}"),
            Self::Reminded(at) => write!(f, "{at} reminded by hand"),
            Self::Stage(at, stage) => write!(f, "{at}/stage {stage}"),
            Self::Item(at, stage, item) => write!(f, "{at}/stage {stage}/{item}"),
            Self::Recommendation(at, stage, item) => write!(f, "{at}/stage {stage}/{item} recommendation"),
            Self::Decision(at, 0, item) => write!(f, "{at}/default/{item} decision"),
            Self::Decision(at, stage, item) => write!(f, "{at}/stage {stage}/{item} decision"),
            Self::Applied(at, item) => write!(f, "{at}/{item} applied"),
            Self::Deletion(at, item) => write!(f, "{at}/{item} deletion"),
            Self::Contacted(at, stage, person) => write!(f, "{at}/stage {stage} contacted {person}"),
            Self::Waits(mail) => write!(f, "mail {mail} waits"),
            Self::Left(mail) => write!(f, "mail {mail} left"),
        }
    }
}

/// What is so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    People(BTreeSet<Name>),
    Account { enabled: bool, manager: Option<Name> },
    Updated(Status, i64),
    Period(Status, DateTime<Utc>, DateTime<Utc>),
    Times(i64, DateTime<Utc>),
    PeriodBy(Status, DateTime<Utc>, DateTime<Utc>, Lists),
    ReviewedBy(BTreeSet<Name>),
    Recommended(Option<Verdict>),
    Decided(Decision),
    Applied(Applied, Name),
    On(DateTime<Utc>),
    Waiting { handed_over: bool },
    Yes,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: &DateTime<Utc>| at.format("%m-%d %H:%M:%S%.6f").to_string();
        match self {
            Self::People(people) => write!(f, "{people:?}"),
            Self::Account { enabled, manager } => {
                write!(f, "{}, manager {manager:?}", if *enabled { "enabled" } else { "disabled" })
            }
            Self::Updated(status, times) => write!(f, "{status}, updated {times} times"),
            Self::Period(status, start, end) => write!(f, "{status} from {} to {}", time(start), time(end)),
            Self::Times(times, last) => write!(f, "{times} times, last at {}", time(last)),
            Self::PeriodBy(status, start, end, lists) => {
                write!(f, "{status} from {} to {} by {lists:?}", time(start), time(end))
            }
            Self::ReviewedBy(people) => write!(f, "reviewed by {people:?}"),
            Self::Recommended(verdict) => write!(f, "{verdict:?}"),
            Self::Decided(Decision { verdict, by, at, justified }) => {
                write!(f, "{verdict:?} by {by} at {}, justified: {justified:?}", time(at))
            }
            Self::Applied(applied, by) => write!(f, "{applied:?} by {by}"),
            Self::On(at) => f.write_str(&time(at)),
            Self::Waiting { handed_over: false } => f.write_str("yes"),
            Self::Waiting { handed_over: true } => f.write_str("yes, and it may have left"),
            Self::Yes => f.write_str("yes"),
        }
    }
}

/// Facts by what they are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<About, What>);

impl Facts {
    fn tell(&mut self, about: About, what: What) {
        self.0.insert(about, what);
    }

    /// The facts in which two tellings differ.
    pub fn difference(&self, other: &Self, mine: &str, others: &str) -> String {
        let about: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut text = String::new();
        for about in about {
            let (left, right) = (self.0.get(about), other.0.get(about));
            if left != right {
                let told = |what: Option<&What>| what.map_or_else(|| "nothing".to_owned(), What::to_string);
                text += &format!("  {about}\n    {mine}: {}\n    {others}: {}\n", told(left), told(right));
            }
        }
        text
    }
}

pub fn directory(facts: &mut Facts, directory: &Directory) {
    facts.tell(About::MembersOfFinance, What::People(directory.members.clone()));
    facts.tell(About::MembersOfContractors, What::People(directory.nested.clone()));
    facts.tell(About::OwnersOfFinance, What::People(directory.owners.clone()));
    for (name, user) in &directory.users {
        facts.tell(About::User(*name), What::Account { enabled: user.enabled, manager: user.manager });
    }
}

/// Without the number of updates nobody could tell whether one happened that shows only later.
pub fn review(facts: &mut Facts, number: usize, status: Status, updates: i64) {
    facts.tell(About::Review(number), What::Updated(status, updates));
}

pub fn instance(facts: &mut Facts, at: At, status: Status, start_at: DateTime<Utc>, end_at: DateTime<Utc>) {
    facts.tell(About::Instance(at), What::Period(status, start_at, end_at));
}

pub fn reminded(facts: &mut Facts, at: At, last: DateTime<Utc>, times: i64) {
    facts.tell(About::Reminded(at), What::Times(times, last));
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
    facts.tell(About::Stage(at, stage), What::PeriodBy(status, start_at, end_at, lists.clone()));
}

pub fn item_in_stage(facts: &mut Facts, at: At, stage: usize, item: Name, reviewers: &BTreeSet<Name>) {
    facts.tell(About::Item(at, stage, item), What::ReviewedBy(reviewers.clone()));
}

pub fn recommendation(facts: &mut Facts, at: At, stage: usize, item: Name, shown: Option<Verdict>) {
    facts.tell(About::Recommendation(at, stage, item), What::Recommended(shown));
}

pub fn decision(facts: &mut Facts, at: At, stage: usize, item: Name, decision: &Decision) {
    facts.tell(About::Decision(at, stage, item), What::Decided(decision.clone()));
}

pub fn applied(facts: &mut Facts, at: At, item: Name, applied: Applied, by: Name) {
    facts.tell(About::Applied(at, item), What::Applied(applied, by));
}

pub fn deletion(facts: &mut Facts, at: At, item: Name, due_at: DateTime<Utc>) {
    facts.tell(About::Deletion(at, item), What::On(due_at));
}

pub fn contacted(facts: &mut Facts, at: At, stage: usize, person: Name, contacted_at: DateTime<Utc>) {
    facts.tell(About::Contacted(at, stage, person), What::On(contacted_at));
}

pub fn waiting(facts: &mut Facts, mail: &MailKey, handed_over: bool) {
    facts.tell(About::Waits(*mail), What::Waiting { handed_over });
}

pub fn delivered(facts: &mut Facts, mail: &MailKey) {
    facts.tell(About::Left(*mail), What::Yes);
}
