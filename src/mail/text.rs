//! What mails say. Wording that cannot be misread: keep access, remove access. LC-NOTE-03, G-15

use chrono::{DateTime, Utc};

/// What every mail is made of.
#[derive(Clone, Debug)]
pub struct MailFacts<'a> {
    pub recipient: &'a str,
    pub review: &'a str,
    pub resource: &'a str,
    /// Put into reviewers' mails, cut at [`REVIEWER_TEXT`] characters.
    pub description: Option<&'a str>,
    /// When the stage or review ends. UTC.
    pub ends_at: DateTime<Utc>,
    /// Where to act.
    pub link: &'a str,
}

/// Which mail to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailText {
    /// N-1, N-2, N-3
    Started,
    /// N-4, N-5
    Reminder,
    /// N-6, N-7
    Completed,
}

/// Characters of `descriptionForReviewers` in a mail. LC-NOTE-03
pub const REVIEWER_TEXT: usize = 256;

/// Subject and plain text.
pub fn compose(text: MailText, facts: &MailFacts<'_>) -> (String, String) {
    let ends = facts.ends_at.format("%-d %B %Y, %H:%M UTC");
    // A subject is one line, whatever somebody called his review.
    let review: String = facts.review.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match text {
        MailText::Started | MailText::Reminder => {
            let (opening, subject) = match text {
                MailText::Reminder => {
                    ("some of your answers are still missing: please review who keeps", "Reminder: please")
                }
                MailText::Started | MailText::Completed => ("please review who keeps", "Please"),
            };
            let mut body = format!(
                "Hello {},\n\n{opening} access to {}.\n\nFor each person decide: approve keeps the access, \
                 deny removes it.\nThe review \"{review}\" takes your answers until {ends}.\n",
                facts.recipient, facts.resource,
            );
            if let Some(description) = facts.description.filter(|description| !description.trim().is_empty()) {
                let description: String = description.chars().take(REVIEWER_TEXT).collect();
                body.push_str(&format!("\n{description}\n"));
            }
            body.push_str(&format!("\n{}\n", facts.link));
            (
                format!(
                    "{subject} review access to {} by {}",
                    one_line(facts.resource),
                    facts.ends_at.format("%-d %B %Y")
                ),
                body,
            )
        }
        MailText::Completed => (
            format!("Access review completed: {review}"),
            format!(
                "Hello {},\n\nthe review \"{review}\" of access to {} has ended. Its decisions are final.\n\n{}\n",
                facts.recipient, facts.resource, facts.link,
            ),
        ),
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> MailFacts<'static> {
        MailFacts {
            recipient: "Mia",
            review: "Finance\r\nBcc: everybody@acme.example",
            resource: "Finance-ERP",
            description: None,
            ends_at: DateTime::UNIX_EPOCH,
            link: "https://attestry.example/review",
        }
    }

    /// N-4, N-5, G-15
    #[test]
    fn a_reminder_says_what_is_missing_and_what_the_answers_do() {
        let (subject, body) = compose(MailText::Reminder, &facts());
        assert_eq!(subject, "Reminder: please review access to Finance-ERP by 1 January 1970");
        assert!(body.contains("some of your answers are still missing"));
        assert!(body.contains("approve keeps the access, deny removes it"));
    }

    /// LC-NOTE-03
    #[test]
    fn a_description_is_cut_at_256_characters() {
        let long = "ä".repeat(300);
        let (_, body) = compose(MailText::Started, &MailFacts { description: Some(&long), ..facts() });
        assert_eq!(body.matches('ä').count(), REVIEWER_TEXT);
    }

    #[test]
    fn a_name_with_line_breaks_stays_on_the_subject_line() {
        for text in [MailText::Started, MailText::Reminder, MailText::Completed] {
            let (subject, _) = compose(text, &facts());
            assert!(!subject.contains(['\r', '\n']), "{subject:?}");
        }
    }
}
