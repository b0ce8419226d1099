//! Mail as far as it is a rule: the seven mails, what a tenant may put in their place, and whom reminders go to. Section 11

use chrono::{DateTime, Utc};

use crate::domain::violation::Violation;

/// Characters of `descriptionForReviewers` in a mail. LC-NOTE-03
pub const REVIEWER_TEXT: usize = 256;
/// Longest subject template, in characters.
pub const LONGEST_SUBJECT: usize = 1_000;
/// Longest text or HTML template, in characters.
pub const LONGEST_BODY: usize = 65_536;

/// The seven mails. LC-NOTE-01
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// N-1: a review of one stage begins.
    #[serde(alias = "started")]
    ReviewStarted,
    /// N-2: a stage begins.
    StageStarted,
    /// N-3: somebody became a reviewer of what runs already.
    ReviewerAdded,
    /// N-4: half of the time is over.
    Reminder,
    /// N-5: an admin asks for a reminder.
    ManualReminder,
    /// N-6: to the creator.
    #[serde(alias = "completed")]
    ReviewCompleted,
    /// N-7: to the additional recipients.
    CompletedAdditional,
}

impl MailKind {
    /// Every kind, N-1 to N-7.
    pub const ALL: [Self; 7] = [
        Self::ReviewStarted,
        Self::StageStarted,
        Self::ReviewerAdded,
        Self::Reminder,
        Self::ManualReminder,
        Self::ReviewCompleted,
        Self::CompletedAdditional,
    ];

    /// The stored spelling, part of the mail's key. LC-NOTE-08
    pub const fn key(self) -> &'static str {
        match self {
            Self::ReviewStarted => "review_started",
            Self::StageStarted => "stage_started",
            Self::ReviewerAdded => "reviewer_added",
            Self::Reminder => "reminder",
            Self::ManualReminder => "manual_reminder",
            Self::ReviewCompleted => "review_completed",
            Self::CompletedAdditional => "completed_additional",
        }
    }

    /// The wire spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReviewStarted => "reviewStarted",
            Self::StageStarted => "stageStarted",
            Self::ReviewerAdded => "reviewerAdded",
            Self::Reminder => "reminder",
            Self::ManualReminder => "manualReminder",
            Self::ReviewCompleted => "reviewCompleted",
            Self::CompletedAdditional => "completedAdditional",
        }
    }

    /// Reads the stored spelling.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.key() == key)
    }

    /// Reads the wire spelling, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// What somebody is asked for in it.
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::ReviewStarted | Self::StageStarted | Self::ReviewerAdded => Purpose::Asks,
            Self::Reminder | Self::ManualReminder => Purpose::Reminds,
            Self::ReviewCompleted | Self::CompletedAdditional => Purpose::Reports,
        }
    }
}

/// What a mail is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For answers: somebody reviews. N-1 to N-3
    Asks,
    /// For the answers that are missing. N-4, N-5
    Reminds,
    /// For nothing: a review is over. N-6, N-7
    Reports,
}

/// The parts of a mail that a tenant wrote itself; the built-in ones stand for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTemplate {
    pub subject: Option<String>,
    pub text: Option<String>,
    pub html: Option<String>,
}

impl OwnTemplate {
    /// The parts that are there, by their member names.
    pub fn parts(&self) -> impl Iterator<Item = (Part, &str)> {
        [(Part::Subject, &self.subject), (Part::Text, &self.text), (Part::Html, &self.html)]
            .into_iter()
            .filter_map(|(part, source)| Some((part, source.as_deref()?)))
    }

    /// What is wrong with it before anything is known of its language: nothing in it, or too much.
    pub fn violations(&self) -> Vec<Violation> {
        let mut faults = Vec::new();
        if self.parts().next().is_none() {
            faults.push(Violation::new("", "at least one of subject, text and html must be there"));
        }
        for (part, source) in self.parts() {
            let longest = match part {
                Part::Subject => LONGEST_SUBJECT,
                Part::Text | Part::Html => LONGEST_BODY,
            };
            if source.trim().is_empty() {
                faults.push(Violation::new(part.member(), "must not be empty; leave it out for the built-in one"));
            } else if source.chars().count() > longest {
                faults.push(Violation::new(part.member(), format!("must have at most {longest} characters")));
            }
        }
        faults
    }
}

/// A part of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Subject,
    Text,
    Html,
}

impl Part {
    /// Its name in bodies.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "html",
        }
    }
}

/// A tenant's own template as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTemplate {
    pub kind: MailKind,
    pub own: OwnTemplate,
    /// UTC.
    pub modified_at: DateTime<Utc>,
}

/// How a tenant wants its mail sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailSettings {
    /// Reminders go to every reviewer of the stage, not only to those with answers missing. LC-NOTE-02
    pub remind_everyone: bool,
}

/// Whether a reminder goes to a reviewer of a running stage who has `open_items` without an answer. LC-NOTE-02
pub const fn reminds(settings: MailSettings, open_items: i64) -> bool {
    settings.remind_everyone || open_items > 0
}

/// How the items of a review were decided in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub kept: i64,
    pub removed: i64,
    pub dont_know: i64,
    pub not_reviewed: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_names_and_jobs_of_older_versions_are_read() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::from_key(kind.key()), Some(kind));
            assert_eq!(MailKind::from_name(&kind.name().to_uppercase()), Some(kind));
            let stored = serde_json::to_value(kind).expect("a text");
            assert_eq!(stored, kind.key());
        }
        let read = |text: &str| serde_json::from_value::<MailKind>(text.into()).expect("a kind");
        assert_eq!(read("started"), MailKind::ReviewStarted);
        assert_eq!(read("completed"), MailKind::ReviewCompleted);
    }

    /// LC-NOTE-02
    #[test]
    fn only_those_with_open_items_are_reminded_unless_the_tenant_wants_everyone() {
        assert!(!reminds(MailSettings::default(), 0));
        assert!(reminds(MailSettings::default(), 1));
        assert!(reminds(MailSettings { remind_everyone: true }, 0));
    }

    #[test]
    fn a_template_has_a_part_and_no_part_is_empty_or_endless() {
        let paths = |own: OwnTemplate| own.violations().into_iter().map(|fault| fault.path).collect::<Vec<_>>();
        assert_eq!(paths(OwnTemplate::default()), [""]);
        let own = OwnTemplate {
            subject: Some("x".repeat(LONGEST_SUBJECT + 1)),
            text: Some(" \n".to_owned()),
            html: Some("ä".repeat(LONGEST_BODY)),
        };
        assert_eq!(paths(own), ["subject", "text"]);
    }
}
