//! The load generator: HTTP/1.1 over kept connections, on the one thread of the benchmark. It writes prepared bytes and reads no
//! more of an answer than it needs, so that it takes little from what it measures.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, unix::AsyncFd},
    net::TcpStream,
    sync::Notify,
};

use crate::{
    processor::{Meter, Usage},
    random::Random,
};

/// One body out of so many is looked at.
const SAMPLED: u64 = 128;

/// Where the API begins.
pub const ROOT: &str = "/v1.0/identityGovernance/accessReviews";

/// What a workload sends, and what it takes for an answer.
pub trait Requests {
    /// Appends the next request, whole. What it answers comes back to [`Requests::check`].
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64;

    /// Refuses an answer that is not what this request must be answered. The body is there for a sample of the answers only.
    ///
    /// # Errors
    /// Whatever is wrong; the workload fails by it.
    fn check(&self, ticket: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()>;
}

/// Appends a request without a body.
pub fn push_get(request: &mut Vec<u8>, path: &str, token: &str) {
    for part in ["GET ", path, " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ", token, "\r\n\r\n"] {
        request.extend_from_slice(part.as_bytes());
    }
}

/// Appends a request with a JSON body.
pub fn push_json(request: &mut Vec<u8>, method: &str, path: &str, token: &str, body: &[u8]) {
    let length = body.len().to_string();
    for part in [method, " ", path, " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ", token] {
        request.extend_from_slice(part.as_bytes());
    }
    request.extend_from_slice(b"\r\nContent-Type: application/json\r\nContent-Length: ");
    request.extend_from_slice(length.as_bytes());
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(body);
}

/// A connection that is kept from request to request.
pub struct Connection {
    port: u16,
    stream: TcpStream,
    received: Vec<u8>,
    /// The service said that it closes the connection.
    ended: bool,
}

/// Where in the received bytes the body of an answer is.
struct Received {
    status: u16,
    body: std::ops::Range<usize>,
    /// In pieces, each with its length before it.
    chunked: bool,
}

impl Connection {
    pub async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = connect(port).await?;
        Ok(Self { port, stream, received: Vec::with_capacity(64 * 1024), ended: false })
    }

    /// Sends a request and reads its answer to the end.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Received> {
        if std::mem::take(&mut self.ended) {
            self.stream = connect(self.port).await?;
        }
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(end) = head_end(&self.received) {
                break end;
            }
        };
        let Head { status, content_length, chunked, closes } = parse(&self.received[..head])?;
        self.ended = closes;
        let length = usize::try_from(content_length.unwrap_or(0))?;
        if chunked {
            while !self.received.ends_with(b"0\r\n\r\n") {
                self.read_more().await?;
            }
        } else {
            while self.received.len() < head + length {
                self.read_more().await?;
            }
        }
        Ok(Received { status, body: head..self.received.len(), chunked })
    }

    /// Sends a request and reads its answer; answers the status.
    pub async fn status_of(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        Ok(self.exchange(request).await?.status)
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        let read = self.stream.read_buf(&mut self.received).await?;
        ensure!(read > 0, "the service closed a connection");
        Ok(())
    }
}

async fn connect(port: u16) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the head of an answer says.
pub struct Head {
    pub status: u16,
    pub content_length: Option<u64>,
    pub chunked: bool,
    /// The connection takes no more requests.
    pub closes: bool,
}

/// Where the body begins, if the head is there.
pub fn head_end(received: &[u8]) -> Option<usize> {
    find(received, b"\r\n\r\n").map(|end| end + 4)
}

/// Reads a head.
///
/// # Errors
/// When it is none.
pub fn parse(head: &[u8]) -> anyhow::Result<Head> {
    let text = std::str::from_utf8(head).context("the head of an answer is no text")?;
    let status = text.get(9..12).and_then(|code| code.parse().ok()).context("an answer without a status")?;
    let content_length = header(text, "content-length").map(str::parse).transpose().context("content-length")?;
    Ok(Head {
        status,
        content_length,
        chunked: header(text, "transfer-encoding").is_some(),
        closes: header(text, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    })
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Puts the pieces of a chunked body together.
fn joined(mut pieces: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(pieces.len());
    while let Some(end) = find(pieces, b"\r\n") {
        let length = std::str::from_utf8(&pieces[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(length) = length.filter(|length| *length > 0 && end + 4 + length <= pieces.len()) else { break };
        body.extend_from_slice(&pieces[end + 2..end + 2 + length]);
        pieces = &pieces[end + 4 + length..];
    }
    body
}

/// An answer as a whole.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, if the status is the expected one.
    ///
    /// # Errors
    /// With the body, for any other status.
    pub fn json(self, status: u16) -> anyhow::Result<Value> {
        let text = String::from_utf8_lossy(&self.body);
        ensure!(self.status == status, "answered {} instead of {status}: {text}", self.status);
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// One call on a connection of its own.
pub async fn call(
    port: u16,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    let mut request = Vec::new();
    match body {
        None if method == "GET" => push_get(&mut request, path, token.unwrap_or_default()),
        None => push_json(&mut request, method, path, token.unwrap_or_default(), b""),
        Some(body) => push_json(&mut request, method, path, token.unwrap_or_default(), body.to_string().as_bytes()),
    }
    send(port, &request).await
}

/// One prepared request on a connection of its own.
pub async fn send(port: u16, request: &[u8]) -> anyhow::Result<Answer> {
    let mut connection = Connection::open(port).await?;
    let received = connection.exchange(request).await?;
    let body = &connection.received[received.body];
    Ok(Answer { status: received.status, body: if received.chunked { joined(body) } else { body.to_vec() } })
}

/// What a slice of time saw.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    pub seconds: f64,
    pub requests: u64,
    /// With those of the warm-up and the end.
    pub all_requests: u64,
    pub usage: Usage,
    /// Of each request, unsorted.
    pub latencies: Vec<Duration>,
}

impl Slice {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// How long, and against which port.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub port: u16,
    pub connections: usize,
    pub warm_up: Duration,
    pub duration: Duration,
    pub meter: Meter,
}

struct Running<'a> {
    requests: &'a dyn Requests,
    counting: Cell<bool>,
    stopped: Cell<bool>,
    all: Cell<u64>,
    latencies: RefCell<Vec<Duration>>,
}

impl Running<'_> {
    fn done(&self, latency: Duration) {
        self.all.set(self.all.get() + 1);
        if self.counting.get() {
            self.latencies.borrow_mut().push(latency);
        }
    }

    /// One request; answers when it was sent.
    async fn once(&self, connection: &mut Connection, random: &mut Random, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
        buffer.clear();
        let ticket = self.requests.next(random, buffer);
        let received = connection.exchange(buffer).await?;
        let body = &connection.received[received.body.clone()];
        let sampled = random.next().is_multiple_of(SAMPLED) && !received.chunked;
        let checked = self.requests.check(ticket, received.status, sampled.then_some(body));
        checked.with_context(|| format!("answered {}: {}", received.status, String::from_utf8_lossy(body)))
    }

    /// Counts after the warm-up for as long as asked.
    async fn watch(&self, load: Load) -> anyhow::Result<Slice> {
        tokio::time::sleep(load.warm_up).await;
        let (before, from) = (load.meter.read(), Instant::now());
        self.counting.set(true);
        tokio::time::sleep(load.duration).await;
        self.counting.set(false);
        let seconds = from.elapsed().as_secs_f64();
        let usage = load.meter.read().since(before);
        self.stopped.set(true);
        let latencies = self.latencies.take();
        Ok(Slice { seconds, requests: latencies.len() as u64, all_requests: 0, usage, latencies })
    }
}

impl Load {
    /// Every connection sends its next request when the last one is answered.
    ///
    /// # Errors
    /// For the first wrong answer.
    pub async fn closed(self, requests: &dyn Requests, seed: u64) -> anyhow::Result<Slice> {
        let running = Running {
            requests,
            counting: Cell::new(false),
            stopped: Cell::new(false),
            all: Cell::new(0),
            latencies: RefCell::new(Vec::with_capacity(1 << 18)),
        };
        let clients = (0..self.connections).map(async |number| {
            let mut connection = Connection::open(self.port).await?;
            let mut random = Random::new(seed * 1_000 + number as u64 + 1);
            let mut buffer = Vec::with_capacity(4096);
            while !running.stopped.get() {
                let sent = Instant::now();
                running.once(&mut connection, &mut random, &mut buffer).await?;
                running.done(sent.elapsed());
            }
            anyhow::Ok(())
        });
        let (_, slice) = tokio::try_join!(try_join_all(clients), running.watch(self))?;
        Ok(Slice { all_requests: running.all.get(), ..slice })
    }

    /// Requests are due at random moments, `rate` a second on average, whether or not earlier ones are answered. A latency counts
    /// from the moment at which the request was due.
    ///
    /// # Errors
    /// For the first wrong answer.
    pub async fn open(self, requests: &dyn Requests, rate: f64, seed: u64) -> anyhow::Result<Slice> {
        let running = Running {
            requests,
            counting: Cell::new(false),
            stopped: Cell::new(false),
            all: Cell::new(0),
            latencies: RefCell::new(Vec::with_capacity(1 << 18)),
        };
        let due = Rc::new(RefCell::new(VecDeque::<Instant>::new()));
        let arrival = Notify::new();
        let schedule = async {
            let timer = Timer::new()?;
            let mut random = Random::new(seed + 77);
            let mut next = Instant::now();
            while !running.stopped.get() {
                next += Duration::from_secs_f64(-random.fraction().ln() / rate);
                timer.until(next).await?;
                due.borrow_mut().push_back(next);
                arrival.notify_one();
            }
            arrival.notify_waiters();
            anyhow::Ok(())
        };
        let clients = (0..self.connections).map(async |number| {
            let mut connection = Connection::open(self.port).await?;
            let mut random = Random::new(seed * 1_000 + number as u64 + 1);
            let mut buffer = Vec::with_capacity(4096);
            while !running.stopped.get() {
                let next = due.borrow_mut().pop_front();
                match next {
                    Some(intended) => {
                        running.once(&mut connection, &mut random, &mut buffer).await?;
                        running.done(intended.elapsed());
                    }
                    None => arrival.notified().await,
                }
            }
            anyhow::Ok(())
        });
        let clients = async {
            tokio::select! {
                served = try_join_all(clients) => served.map(|_| ()),
                // Who waits for an arrival that never comes is left where he is.
                () = async { while !running.stopped.get() { tokio::time::sleep(Duration::from_millis(50)).await } } => Ok(()),
            }
        };
        let (_, _, slice) = tokio::try_join!(schedule, clients, running.watch(self))?;
        Ok(slice)
    }
}

/// A timer that is finer than the runtime's, which counts in milliseconds.
struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    fn new() -> anyhow::Result<Self> {
        // SAFETY: makes a descriptor that is owned by nobody yet.
        let descriptor = unsafe {
            let made = libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC);
            ensure!(made >= 0, "no timer: {}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(made)
        };
        // SAFETY: the descriptor belongs to the value and is closed with it.
        Ok(Self(unsafe { AsyncFd::register(descriptor) }?))
    }

    async fn until(&self, moment: Instant) -> anyhow::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait < Duration::from_micros(5) {
            return Ok(());
        }
        let setting = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) },
        };
        // SAFETY: the descriptor is a timer and the setting lives through the call.
        let set = unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &setting, std::ptr::null_mut()) };
        ensure!(set == 0, "the timer could not be set: {}", std::io::Error::last_os_error());
        let mut ready = self.0.readable().await?;
        let mut expirations = [0_u8; 8];
        // SAFETY: reads at most eight bytes into eight.
        unsafe { libc::read(self.0.as_raw_fd(), expirations.as_mut_ptr().cast(), 8) };
        ready.clear_ready();
        Ok(())
    }
}

/// The latency that 99 of 100 do not exceed.
pub fn p99(latencies: &[Duration]) -> Option<Duration> {
    percentile(latencies, 0.99)
}

/// The latency that this part of all do not exceed.
pub fn percentile(latencies: &[Duration], part: f64) -> Option<Duration> {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let place = ((sorted.len() as f64 * part).ceil() as usize).saturating_sub(1);
    sorted.get(place).copied()
}
