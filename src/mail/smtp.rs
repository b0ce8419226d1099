//! Mail over SMTP.

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};

use super::{Mail, MailError, Mailer};

/// Sends through one SMTP server, with a pool of connections.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why the configured server or sender cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    #[error("ATTESTRY_SMTP_URL is no SMTP address such as smtp://mail:1025 or smtps://user:password@mail")]
    Url(#[source] lettre::transport::smtp::Error),
    #[error("ATTESTRY_MAIL_FROM is no mail address")]
    From(#[source] lettre::address::AddressError),
}

impl SmtpMailer {
    /// A mailer over `url` that writes as `from`. No connection is made before the first mail.
    pub fn new(url: &str, from: &str) -> Result<Self, MailConfigError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(MailConfigError::Url)?.build();
        Ok(Self { transport, from: from.parse().map_err(MailConfigError::From)? })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let address = mail.to_address.parse().map_err(|error| MailError::Permanent(Box::new(error)))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(mail.to_name.clone()), address))
            .message_id(Some(mail.message_id.clone()))
            .subject(mail.subject.clone())
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|error| MailError::Permanent(Box::new(error)))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(MailError::Permanent(Box::new(error))),
            Err(error) => Err(MailError::Temporary(Box::new(error))),
        }
    }
}
