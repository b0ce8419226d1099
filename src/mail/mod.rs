//! Mail: what it says, and one trait for handing it over, adapters below. Nothing here decides who gets mail or when.

mod facts;
mod language;
mod rest;
mod smtp;
mod templates;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;

pub use facts::{MOST_RESOURCES, MailFacts, Matter, Request, Variable, variables};
pub use smtp::{MailConfigError, Patience, SmtpMailer};
pub use templates::{MailParts, TemplateFault, built_in, check, render};

/// A mail ready to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The same for every try of one mail, so that a peer that got it twice can tell.
    pub message_id: String,
    pub to_name: String,
    pub to_address: String,
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same for those who read HTML.
    pub html: String,
}

/// Why a mail did not go out.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Trying again may help, and cannot send it twice: no connection, or the peer said so.
    #[error("the mail server could not take the mail now")]
    Temporary(#[source] Cause),
    /// Trying again does not help.
    #[error("the mail cannot be delivered")]
    Permanent(#[source] Cause),
    /// It was not tried, for the server was silent a moment ago; the time until it is asked again.
    #[error("the mail server does not answer")]
    Resting(Duration),
    /// There is no mail server.
    #[error("no mail server is configured")]
    NotConfigured,
    /// It was handed over and the answer never came: it may have gone out. LC-NOTE-08
    #[error("the mail server did not say whether it took the mail")]
    Uncertain(#[source] Cause),
}

/// What went wrong below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Sends mail, in two steps, so that the caller can put on record in between that it may have gone out. LC-NOTE-08
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Does everything up to the mail's text; until then nothing was sent. [`MailError::Uncertain`] is no answer here.
    async fn prepare(&self, mail: &Mail) -> Result<Box<dyn PreparedMail>, MailError>;
    /// For how long mail is better not tried: its server did not answer a moment ago. Whatever is tried meanwhile is
    /// [`MailError::Resting`].
    fn rests_for(&self) -> Option<Duration> {
        None
    }
}

/// A mail for which everything is ready. Dropping it sends nothing.
#[async_trait]
pub trait PreparedMail: Send {
    /// Hands it over.
    async fn hand_over(self: Box<Self>) -> Result<(), MailError>;
}

/// No mail server is configured: nothing goes out, and every mail's record says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMailer;

#[async_trait]
impl Mailer for NoMailer {
    async fn prepare(&self, _: &Mail) -> Result<Box<dyn PreparedMail>, MailError> {
        Err(MailError::NotConfigured)
    }
}
