//! A mail server that keeps what it is sent and delivers nothing, for tests and for the demonstration in containers.
//!
//! It speaks as much SMTP (RFC 5321) as a mail library uses to hand over a message. Where it is told to, it wants encryption
//! (RFC 3207, RFC 8314) and a password (RFC 4954).

#![allow(dead_code, reason = "a test binary, or the example, uses a part of it")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// The longest mail taken, in bytes.
const LARGEST_MAIL: usize = 10 << 20;

/// The longest line taken, in bytes. RFC 5321 promises clients 1000.
const LONGEST_LINE: usize = 16 << 10;

/// The most recipients of one mail.
const MOST_RECIPIENTS: usize = 1000;

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 100;

/// The most mails kept; the oldest go first.
const MOST_MAILS: usize = 10_000;

/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(300);

/// A received mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The address of the envelope to which failures would go; empty for none.
    pub sender: String,
    /// The addresses of the envelope, in the order they were given.
    pub recipients: Vec<String>,
    /// Header and body as they came, lines ended by CRLF.
    pub source: Vec<u8>,
}

impl Mail {
    /// The decoded subject, empty without one.
    pub fn subject(&self) -> String {
        self.parsed(|message| message.subject().map(str::to_owned))
    }

    /// The decoded plain text, empty without one.
    pub fn text(&self) -> String {
        self.parsed(|message| message.body_text(0).map(|text| text.into_owned()))
    }

    /// The decoded HTML, empty without one.
    pub fn html(&self) -> String {
        self.parsed(|message| message.body_html(0).map(|html| html.into_owned()))
    }

    /// A header by its name, as it came but unfolded; empty without one.
    pub fn header(&self, name: &str) -> String {
        self.parsed(|message| {
            let raw = message.header_raw(name.to_owned())?;
            Some(raw.lines().map(str::trim).collect::<Vec<_>>().join(" "))
        })
    }

    fn parsed(&self, part: impl FnOnce(&mail_parser::Message<'_>) -> Option<String>) -> String {
        MessageParser::default().parse(&self.source).and_then(|message| part(&message)).unwrap_or_default()
    }
}

/// What the server asks of its clients; nothing unless told.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    pub encryption: Option<Encryption>,
    pub password: Option<Password>,
}

/// How a connection is encrypted.
#[derive(Clone, Debug)]
pub enum Encryption {
    /// From the first byte.
    Always(Arc<ServerConfig>),
    /// After STARTTLS.
    Starttls(Arc<ServerConfig>),
}

/// Who may send mail.
#[derive(Clone, Debug)]
pub struct Password {
    pub user: &'static str,
    pub password: &'static str,
    /// `PLAIN`, `LOGIN` or both with a space between.
    pub mechanisms: &'static str,
    /// What a wrong one is answered with.
    pub refusal: &'static str,
}

/// The running server. Dropping it ends it, with its connections.
#[derive(Debug)]
pub struct SmtpSink {
    address: SocketAddr,
    kept: Arc<Kept>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Kept {
    mails: watch::Sender<Vec<Arc<Mail>>>,
    refusals: AtomicU32,
    losses: AtomicU32,
    connections: AtomicU32,
    silent: watch::Sender<bool>,
    guard: Guard,
}

impl SmtpSink {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        Self::listen("127.0.0.1:0").await
    }

    /// Listens on a free port of this machine and asks for what `guard` says.
    ///
    /// # Errors
    /// When there is none.
    pub async fn guarded(guard: Guard) -> io::Result<Self> {
        Self::listen_guarded("127.0.0.1:0", guard).await
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// When that address cannot be had.
    pub async fn listen(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::listen_guarded(address, Guard::default()).await
    }

    async fn listen_guarded(address: impl ToSocketAddrs, guard: Guard) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let kept = Arc::new(Kept {
            mails: watch::Sender::default(),
            refusals: AtomicU32::new(0),
            losses: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            silent: watch::Sender::new(false),
            guard,
        });
        let address = listener.local_addr()?;
        Ok(Self { address, server: tokio::spawn(accept(listener, Arc::clone(&kept))), kept })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has received, in the order of arrival.
    pub fn mails(&self) -> Vec<Arc<Mail>> {
        self.kept.mails.borrow().clone()
    }

    /// Waits until it has received `count` mails, and answers all it has received. Put a limit around it.
    pub async fn at_least(&self, count: usize) -> Vec<Arc<Mail>> {
        let mut arrivals = self.kept.mails.subscribe();
        let mails = arrivals.wait_for(|mails| mails.len() >= count).await;
        mails.map(|mails| mails.clone()).unwrap_or_default()
    }

    /// Forgets what it has received.
    pub fn clear(&self) {
        self.kept.mails.send_replace(Vec::new());
    }

    /// Refuses the next `count` mails for now (451), as a busy server does.
    pub fn refuse_next(&self, count: u32) {
        self.kept.refusals.store(count, Ordering::SeqCst);
    }

    /// Keeps the next `count` mails, and hangs up before it says so.
    pub fn hang_up_on_next(&self, count: u32) {
        self.kept.losses.store(count, Ordering::SeqCst);
    }

    /// From now on it takes connections and says nothing, until [`SmtpSink::speak`].
    pub fn fall_silent(&self) {
        self.kept.silent.send_replace(true);
    }

    /// Says what it had to say.
    pub fn speak(&self) {
        self.kept.silent.send_replace(false);
    }

    /// How many connections were made.
    pub fn connections(&self) -> u32 {
        self.kept.connections.load(Ordering::SeqCst)
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Kept {
    fn refuses(&self) -> bool {
        one_less(&self.refusals)
    }

    fn hangs_up(&self) -> bool {
        one_less(&self.losses)
    }

    fn keep(&self, mail: Mail) {
        self.mails.send_modify(|mails| {
            if mails.len() == MOST_MAILS {
                mails.remove(0);
            }
            mails.push(Arc::new(mail));
        });
    }
}

/// Counts down; whether there was something left.
fn one_less(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

async fn accept(listener: TcpListener, kept: Arc<Kept>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MOST_CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let kept = Arc::clone(&kept);
                    // What goes wrong with a connection is its client's to notice.
                    kept.connections.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(async move { converse(Box::new(stream), kept).await.unwrap_or_default() });
                }
                // Out of file descriptors, most likely: some will come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What bytes come and go by, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Talks to one client, first as it comes, and again when it has asked for encryption.
async fn converse(stream: Box<dyn Stream>, kept: Arc<Kept>) -> io::Result<()> {
    match kept.guard.encryption.clone() {
        None => Session::new(stream, kept, false).run(true).await.map(drop),
        Some(Encryption::Always(config)) => {
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            Session::new(Box::new(stream), kept, true).run(true).await.map(drop)
        }
        Some(Encryption::Starttls(config)) => {
            let Some(stream) = Session::new(stream, Arc::clone(&kept), false).run(true).await? else { return Ok(()) };
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            Session::new(Box::new(stream), kept, true).run(false).await.map(drop)
        }
    }
}

/// A conversation with one client.
struct Session {
    stream: BufReader<Box<dyn Stream>>,
    kept: Arc<Kept>,
    encrypted: bool,
    known: bool,
    envelope: Option<Envelope>,
}

#[derive(Default)]
struct Envelope {
    sender: String,
    recipients: Vec<String>,
}

/// What a client said.
enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

impl Session {
    fn new(stream: Box<dyn Stream>, kept: Arc<Kept>, encrypted: bool) -> Self {
        Self { stream: BufReader::new(stream), kept, encrypted, known: false, envelope: None }
    }

    /// Until the client goes, or asks for encryption: then what to encrypt.
    async fn run(mut self, greet: bool) -> io::Result<Option<Box<dyn Stream>>> {
        if greet {
            self.answer("220 mail sink, nothing is delivered").await?;
        }
        loop {
            let line = match self.line().await? {
                Line::Text(line) => String::from_utf8_lossy(&line).into_owned(),
                Line::TooLong => {
                    self.answer("500 line too long").await?;
                    continue;
                }
                Line::End => return Ok(None),
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    self.envelope = None;
                    let size = format!("250 SIZE {LARGEST_MAIL}");
                    for extension in ["250-mail sink", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8"] {
                        self.answer(extension).await?;
                    }
                    if self.offers_encryption() {
                        self.answer("250-STARTTLS").await?;
                    }
                    if let Some(password) = self.kept.guard.password.clone().filter(|_| self.takes_passwords()) {
                        self.answer(&format!("250-AUTH {}", password.mechanisms)).await?;
                    }
                    self.answer(&size).await?;
                }
                "HELO" => {
                    self.envelope = None;
                    self.answer("250 mail sink").await?;
                }
                "STARTTLS" if self.offers_encryption() => {
                    self.answer("220 go on, encrypted").await?;
                    return Ok(Some(self.stream.into_inner()));
                }
                "AUTH" if self.takes_passwords() => self.authenticate(rest).await?,
                "MAIL" if self.kept.guard.password.is_some() && !self.known => {
                    self.answer("530 5.7.0 who are you").await?;
                }
                "MAIL" => self.mail(rest).await?,
                "RCPT" => self.recipient(rest).await?,
                "DATA" => {
                    if !self.data().await? {
                        return Ok(None);
                    }
                }
                "RSET" => {
                    self.envelope = None;
                    self.answer("250 forgotten").await?;
                }
                "NOOP" => self.answer("250 nothing done").await?,
                "VRFY" => self.answer("252 send it and see").await?,
                "QUIT" => return self.answer("221 until next time").await.map(|()| None),
                _ => self.answer("502 this server does not know that command").await?,
            }
        }
    }

    fn offers_encryption(&self) -> bool {
        !self.encrypted && self.kept.guard.encryption.is_some()
    }

    /// Passwords are not asked for where others could read them.
    fn takes_passwords(&self) -> bool {
        self.kept.guard.password.is_some() && (self.encrypted || self.kept.guard.encryption.is_none())
    }

    async fn authenticate(&mut self, rest: &str) -> io::Result<()> {
        let Some(expected) = self.kept.guard.password.clone() else { return Ok(()) };
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if !expected.mechanisms.split(' ').any(|offered| offered.eq_ignore_ascii_case(mechanism)) {
            return self.answer("504 5.5.4 not this way").await;
        }
        let said = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let said = decoded(initial);
                let mut parts = said.split('\0').skip(1);
                (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned())
            }
            _ => {
                self.answer("334 VXNlcm5hbWU6").await?;
                let user = self.said().await?;
                self.answer("334 UGFzc3dvcmQ6").await?;
                (user, self.said().await?)
            }
        };
        self.known = said == (expected.user.to_owned(), expected.password.to_owned());
        match self.known {
            true => self.answer("235 2.7.0 welcome").await,
            false => self.answer(expected.refusal).await,
        }
    }

    async fn said(&mut self) -> io::Result<String> {
        match self.line().await? {
            Line::Text(line) => Ok(decoded(&String::from_utf8_lossy(&line))),
            Line::TooLong | Line::End => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        let Some(sender) = address(rest, "FROM:") else { return self.answer("501 expected MAIL FROM:<address>").await };
        if self.envelope.is_some() {
            return self.answer("503 a mail is under way; RSET forgets it").await;
        }
        self.envelope = Some(Envelope { sender, recipients: Vec::new() });
        self.answer("250 go on").await
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        let recipient = address(rest, "TO:").filter(|recipient| !recipient.is_empty());
        let answer = match (&mut self.envelope, recipient) {
            (None, _) => "503 MAIL comes first",
            (_, None) => "501 expected RCPT TO:<address>",
            (Some(envelope), _) if envelope.recipients.len() == MOST_RECIPIENTS => "452 too many recipients",
            (Some(envelope), Some(recipient)) => {
                envelope.recipients.push(recipient);
                "250 go on"
            }
        };
        self.answer(answer).await
    }

    /// Whether the conversation goes on.
    async fn data(&mut self) -> io::Result<bool> {
        if self.envelope.as_ref().is_none_or(|envelope| envelope.recipients.is_empty()) {
            return self.answer("503 MAIL and RCPT come first").await.map(|()| true);
        }
        self.answer("354 end with a dot on a line of its own").await?;
        let Some(source) = self.source().await? else {
            self.envelope = None;
            return self.answer("552 too large").await.map(|()| true);
        };
        let Envelope { sender, recipients } = self.envelope.take().unwrap_or_default();
        if self.kept.refuses() {
            return self.answer("451 not now").await.map(|()| true);
        }
        self.kept.keep(Mail { sender, recipients, source });
        if self.kept.hangs_up() {
            return Ok(false);
        }
        self.answer("250 kept").await.map(|()| true)
    }

    /// Reads a mail to its end; `None` when it was too large to keep.
    async fn source(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut source = Some(Vec::new());
        loop {
            match self.line().await? {
                Line::Text(line) if line == b"." => return Ok(source),
                Line::Text(line) => {
                    // A client doubles the dot a line begins with, so that no line of a mail ends it.
                    let line = line.strip_prefix(b".").unwrap_or(&line);
                    source = source.filter(|source| source.len() + line.len() + 2 <= LARGEST_MAIL).map(|mut source| {
                        source.extend_from_slice(line);
                        source.extend_from_slice(b"\r\n");
                        source
                    });
                }
                Line::TooLong => source = None,
                Line::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> io::Result<Line> {
        let mut line = Vec::new();
        self.read_to_line_feed(&mut line).await?;
        let mut too_long = false;
        while !line.is_empty() && !line.ends_with(b"\n") {
            // Either the limit was met, and the rest is to be passed over, or the client has gone.
            let full = line.len() == LONGEST_LINE;
            too_long |= full;
            line.clear();
            if !full {
                return Ok(Line::End);
            }
            self.read_to_line_feed(&mut line).await?;
        }
        if too_long {
            return Ok(Line::TooLong);
        }
        if line.pop().is_none() {
            return Ok(Line::End);
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        Ok(Line::Text(line))
    }

    async fn read_to_line_feed(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        let mut limited = (&mut self.stream).take(LONGEST_LINE as u64);
        tokio::time::timeout(SILENCE, limited.read_until(b'\n', line)).await?
    }

    async fn answer(&mut self, line: &str) -> io::Result<()> {
        let mut silent = self.kept.silent.subscribe();
        silent.wait_for(|silent| !silent).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        tokio::time::timeout(SILENCE, self.stream.write_all(format!("{line}\r\n").as_bytes())).await?
    }
}

/// The address between angle brackets after `keyword`; what follows it (parameters of extensions) does not matter here.
fn address(rest: &str, keyword: &str) -> Option<String> {
    let named = rest.get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword));
    let (address, _) = rest.get(keyword.len()..).filter(|_| named)?.trim_start().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

fn decoded(text: &str) -> String {
    BASE64.decode(text.trim()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
