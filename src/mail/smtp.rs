//! Mail over SMTP, with TLS and a password where the address says so.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use lettre::{
    Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailCommand, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use percent_encoding::percent_decode_str;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use url::{Host, Url};

use super::{Mail, MailError, Mailer, PreparedMail, rest::Rest};

/// How long a server is waited for, step by step.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection: made, greeted, encrypted, logged in.
    pub connection: Duration,
    /// Until it waits for a mail's text.
    pub envelope: Duration,
    /// Until it has taken it.
    pub text: Duration,
    /// How long it is left alone when it did not answer in time; longer when it does not the next time.
    pub rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connection: Duration::from_secs(15),
            envelope: Duration::from_secs(15),
            text: Duration::from_secs(30),
            rest: Duration::from_secs(15),
        }
    }
}

/// Connections kept for the next mail.
const MOST_IDLE: usize = 4;
/// How long a connection that was kept may take to say that it is still there.
const KEPT_PATIENCE: Duration = Duration::from_secs(3);

/// Sends through one SMTP server over connections that are used again.
pub struct SmtpMailer {
    host: String,
    port: u16,
    security: Security,
    hello: ClientId,
    credentials: Option<Credentials>,
    from: Mailbox,
    idle: Arc<Mutex<Vec<AsyncSmtpConnection>>>,
    patience: Patience,
    rest: Arc<Rest>,
}

/// When a connection is encrypted.
enum Security {
    Never,
    /// After STARTTLS, where the server offers it.
    Offered(TlsParameters),
    /// After STARTTLS, or not at all.
    Required(TlsParameters),
    /// From the first byte.
    Always(TlsParameters),
}

/// Why the configured server or sender cannot be used. Never tells the address: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    #[error(
        "ATTESTRY_SMTP_URL is no SMTP address such as smtps://user:password@mail, smtp://user:password@mail?tls=required \
         or smtp://mail:1025"
    )]
    Url,
    #[error("ATTESTRY_MAIL_FROM is no mail address")]
    From(#[source] lettre::address::AddressError),
    #[error("ATTESTRY_SMTP_CA holds no certificates in PEM form")]
    Authority,
    #[error("TLS to the mail server cannot be set up")]
    Tls(#[source] SmtpError),
}

impl SmtpMailer {
    /// A mailer over `url` that writes as `from` and trusts public authorities. No connection is made before the first mail.
    ///
    /// # Errors
    /// [`MailConfigError`] says which setting is wrong.
    pub fn new(url: &str, from: &str) -> Result<Self, MailConfigError> {
        Self::trusting(url, from, None)
    }

    /// The same; it trusts the authorities of `authority_pem` besides.
    ///
    /// # Errors
    /// As [`SmtpMailer::new`].
    pub fn trusting(url: &str, from: &str, authority_pem: Option<&[u8]>) -> Result<Self, MailConfigError> {
        let url = Url::parse(url).map_err(|_| MailConfigError::Url)?;
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => IpAddr::from(address).to_string(),
            Some(Host::Ipv6(address)) => IpAddr::from(address).to_string(),
            // `smtp` is no scheme of the web, whose hosts alone are read as addresses.
            Some(Host::Domain(_)) | None => return Err(MailConfigError::Url),
        };
        let mut tls = None;
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), tls) {
                ("tls", None) => tls = Some(value.into_owned()),
                _ => return Err(MailConfigError::Url),
            }
        }
        let parameters = || tls_parameters(&host, authority_pem);
        let (security, usual_port) = match (url.scheme(), tls.as_deref()) {
            ("smtps", None | Some("required")) => (Security::Always(parameters()?), 465),
            ("smtp", Some("required")) => (Security::Required(parameters()?), 587),
            ("smtp", Some("opportunistic")) => (Security::Offered(parameters()?), 587),
            ("smtp", None) => (Security::Never, 25),
            _ => return Err(MailConfigError::Url),
        };
        let decoded =
            |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| MailConfigError::Url);
        let credentials = match url.password() {
            Some(password) => Some(Credentials::new(decoded(url.username())?, decoded(password)?)),
            None => None,
        };
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        Ok(Self {
            port: url.port().unwrap_or(usual_port),
            host,
            security,
            hello,
            credentials,
            from: from.parse().map_err(MailConfigError::From)?,
            idle: Arc::default(),
            patience: Patience::default(),
            rest: Arc::new(rest(Patience::default())),
        })
    }

    /// Whether others on the way may read the password: it is sent also where the connection is not encrypted.
    pub fn exposes_password(&self) -> bool {
        let may_be_plain = match self.security {
            Security::Never | Security::Offered(_) => true,
            Security::Required(_) | Security::Always(_) => false,
        };
        may_be_plain && self.credentials.is_some()
    }

    /// The same with another patience.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, rest: Arc::new(rest(patience)), ..self }
    }

    /// A connection that is ready for a mail.
    async fn connection(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        loop {
            let kept = self.idle.lock().await.pop();
            let Some(mut kept) = kept else { break };
            // The server may have had enough of it meanwhile.
            if timeout(KEPT_PATIENCE, kept.test_connected()).await.unwrap_or(false) {
                return Ok(kept);
            }
        }
        let from_the_start = match &self.security {
            Security::Always(parameters) => Some(parameters.clone()),
            Security::Never | Security::Offered(_) | Security::Required(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, from_the_start, None).await?;
        match &self.security {
            Security::Required(parameters) => connection.starttls(parameters.clone(), &self.hello).await?,
            Security::Offered(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &self.hello).await?;
            }
            Security::Offered(_) | Security::Never | Security::Always(_) => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// Has the server say that it waits for the mail's text. Until then nothing was sent.
    async fn announce(
        &self,
        mut connection: AsyncSmtpConnection,
        envelope: &Envelope,
        text: &[u8],
    ) -> Result<AsyncSmtpConnection, SmtpError> {
        let mut parameters = Vec::new();
        let mut addresses = envelope.to().iter().chain(envelope.from());
        if addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !text.is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime) {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        connection.command(MailCommand::new(envelope.from().cloned(), parameters)).await?;
        for address in envelope.to() {
            connection.command(Rcpt::new(address.clone(), Vec::new())).await?;
        }
        connection.command(Data).await?;
        Ok(connection)
    }

    fn message(&self, mail: &Mail) -> Result<Message, MailError> {
        let address = mail.to_address.parse().map_err(|error| MailError::Permanent(Box::new(error)))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(mail.to_name.clone()), address))
            .message_id(Some(mail.message_id.clone()))
            .subject(mail.subject.clone())
            // Nobody's absence is to be answered to a machine. RFC 3834
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| MailError::Permanent(Box::new(error)))
    }
}

fn tls_parameters(host: &str, authority_pem: Option<&[u8]>) -> Result<TlsParameters, MailConfigError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = authority_pem {
        // What is no PEM at all reads as an empty list.
        if !String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(MailConfigError::Authority);
        }
        let authority = Certificate::from_pem(pem).map_err(|_| MailConfigError::Authority)?;
        builder = builder.add_root_certificate(authority);
    }
    builder.build_rustls().map_err(MailConfigError::Tls)
}

fn rest(Patience { connection, envelope, text, rest }: Patience) -> Rest {
    Rest::new(rest, connection + envelope + text)
}

/// The step, or why it did not come to its end in time. Until the text was sent everything but the server's final word may be tried
/// again.
async fn in_time<T>(
    rest: &Rest,
    patience: Duration,
    step: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, MailError> {
    match timeout(patience, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            match error.is_timeout() {
                true => rest.silent(Instant::now()),
                false => rest.answered(),
            }
            match error.is_permanent() {
                true => Err(MailError::Permanent(Box::new(error))),
                false => Err(MailError::Temporary(Box::new(error))),
            }
        }
        Err(elapsed) => {
            rest.silent(Instant::now());
            Err(MailError::Temporary(Box::new(elapsed)))
        }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn prepare(&self, mail: &Mail) -> Result<Box<dyn PreparedMail>, MailError> {
        let message = self.message(mail)?;
        let text = message.formatted();
        self.rest.admit(Instant::now()).map_err(MailError::Resting)?;
        let connection = in_time(&self.rest, self.patience.connection, self.connection()).await?;
        let announced = self.announce(connection, message.envelope(), &text);
        let connection = in_time(&self.rest, self.patience.envelope, announced).await?;
        let (idle, rest) = (Arc::clone(&self.idle), Arc::clone(&self.rest));
        Ok(Box::new(Announced { connection, text, idle, rest, patience: self.patience.text }))
    }

    fn rests_for(&self) -> Option<Duration> {
        self.rest.lasts(Instant::now())
    }
}

/// A mail whose text the server waits for. A server that gets none forgets the mail with the connection.
struct Announced {
    connection: AsyncSmtpConnection,
    text: Vec<u8>,
    idle: Arc<Mutex<Vec<AsyncSmtpConnection>>>,
    rest: Arc<Rest>,
    patience: Duration,
}

#[async_trait]
impl PreparedMail for Announced {
    async fn hand_over(self: Box<Self>) -> Result<(), MailError> {
        let Self { mut connection, text, idle, rest, patience } = *self;
        match timeout(patience, connection.message(&text)).await {
            Ok(taken) => {
                rest.answered();
                match taken {
                    Ok(_) => {
                        let mut idle = idle.lock().await;
                        if idle.len() < MOST_IDLE {
                            idle.push(connection);
                        }
                        Ok(())
                    }
                    Err(error) if error.is_permanent() => Err(MailError::Permanent(Box::new(error))),
                    Err(error) if error.is_transient() => Err(MailError::Temporary(Box::new(error))),
                    Err(error) => Err(MailError::Uncertain(Box::new(error))),
                }
            }
            Err(elapsed) => {
                rest.silent(Instant::now());
                Err(MailError::Uncertain(Box::new(elapsed)))
            }
        }
    }
}
