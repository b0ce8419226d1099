//! Mail: one trait on top, adapters below. Nothing here decides who gets mail or when.

mod smtp;
mod text;

use async_trait::async_trait;

pub use smtp::MailConfigError;
pub use smtp::SmtpMailer;
pub use text::{MailFacts, MailText, compose};

/// A mail ready to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The same for every try of one mail, so that a peer that got it twice can tell.
    pub message_id: String,
    pub to_name: String,
    pub to_address: String,
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Why a mail did not go out.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Trying again may help: no connection, or the peer said so.
    #[error("the mail server could not take the mail now")]
    Temporary(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Trying again does not help.
    #[error("the mail can not be delivered")]
    Permanent(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands one mail over.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// No mail server is configured: mail is dropped, which the log says once per start, not once per mail.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMailer;

#[async_trait]
impl Mailer for NoMailer {
    async fn send(&self, _: &Mail) -> Result<(), MailError> {
        Ok(())
    }
}
