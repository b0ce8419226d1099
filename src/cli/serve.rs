//! `attestry serve`

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::web::Data;
use anyhow::Context;
use attestry::{
    app::Services,
    config::Config,
    http::{
        Edge,
        quotas::QuotaSettings,
        server::{self, Entrance, Probes},
        tls,
    },
    jobs::{Worker, WorkerSettings},
    store::{Lane, pg::PgStore},
    telemetry,
};
use metrics_exporter_prometheus::PrometheusHandle;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpSocket, lookup_host},
    signal::unix::{Signal, SignalKind, signal},
};

use super::{
    database::Database,
    service::{self, Wired},
};

/// Connections that wait for their turn to be accepted.
const BACKLOG: u32 = 1024;
/// What a process returns that was told twice to stop, as shells count it.
const FORCED_EXIT: i32 = 130;

pub async fn run(config: &Config, database: &Database, migrate: bool) -> anyhow::Result<()> {
    database.prepare(migrate).await?;
    let wired = service::wire(config, database)?;
    serve(config, wired, async |_| Ok(())).await
}

/// Every connection is an open file, and many systems give a process no more than 1024 unless it asks.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most).map(|()| most));
    match raised {
        Ok(most) => tracing::debug!(most, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it was"),
    }
}

/// By then all threads of the server have begun.
const BEGUN_AFTER: Duration = Duration::from_secs(1);

/// Each thread of the server compiles the routes for itself, which leaves some megabytes that nobody uses any more and that the
/// allocator keeps: a quarter of what a service at rest would take.
async fn give_memory_back() {
    tokio::time::sleep(BEGUN_AFTER).await;
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time and from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How often what was measured is put together.
const GATHERED_EVERY: Duration = Duration::from_secs(5);

/// Every duration is remembered by itself until it is counted in its bucket, which otherwise only happens when somebody asks for
/// the metrics: a service that nobody asks would grow by each request.
async fn gather(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(GATHERED_EVERY).await;
        metrics.run_upkeep();
    }
}

/// What a service that listens is reached by.
pub struct Listening {
    pub services: Services,
    pub public_url: String,
}

/// Serves until a signal, then ends in order: requests, jobs, connections. `started` runs once the service listens.
pub async fn serve(
    config: &Config,
    Wired { services, store }: Wired,
    started: impl AsyncFnOnce(Listening) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    raise_open_files();
    let mut signals = Signals::new()?;
    let metrics = telemetry::measure()?;
    let tls = config.tls.as_ref().map(|files| tls::server_config(&files.certificate_chain, &files.key)).transpose()?;
    let listener = listen(&config.listen).await?;
    let address = listener.local_addr().context("the address listened on is not known")?;
    let public_url = config.public_url_for(address);
    if config.mail.is_none() {
        tracing::info!("no mail server is configured (ATTESTRY_SMTP_URL): no mail is sent");
    }
    if config.dev_issuer {
        tracing::warn!("the built-in token issuer is switched on (ATTESTRY_DEV_ISSUER): not for production");
    }

    let quotas = config.quotas.then_some(QuotaSettings {
        reads: config.quota_reads,
        writes: config.quota_writes,
        tenant_units: config.quota_tenant_units,
    });
    let edge = Edge::new(services.clone(), config.dev_issuer, &public_url)
        .allowing(service::address_policy(config))
        .with_quotas(quotas)
        .with_allowed_origins(config.allowed_origins.clone());
    let edge = Data::new(edge);
    tokio::spawn(gather(metrics.clone()));
    let probes = Arc::new(Probes::new({
        let (store, edge) = (store.clone(), edge.clone());
        move || {
            observe(&store);
            telemetry::requests_waiting(edge.services.waiting_requests());
            telemetry::issuer_keys_age(edge.tokens.oldest_keys());
            metrics.render()
        }
    }));
    let settings = WorkerSettings { concurrency: config.workers, ..WorkerSettings::default() };
    let worker = Worker::spawn(services.clone(), public_url.clone(), settings);
    tracing::info!(%address, public_url, "listening");
    tokio::spawn(give_memory_back());

    let stop = async {
        started(Listening { services, public_url }).await?;
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping: answering what was accepted; another signal ends at once");
        tokio::spawn(async move {
            signals.next().await;
            tracing::warn!("stopped at once; what was not committed is rolled back");
            std::process::exit(FORCED_EXIT);
        });
        Ok(())
    };
    let mut outcome = Ok(());
    let served =
        server::serve(Entrance { listener, tls }, edge, probes, config.drain, async { outcome = stop.await }).await;
    worker.shutdown().await;
    store.close().await;
    tracing::info!("stopped");
    served.context("the server ended by itself").and(outcome)
}

fn observe(store: &PgStore) {
    for lane in Lane::ALL {
        let load = store.load(lane);
        telemetry::connections(lane.as_str(), load.open, load.in_use, load.waiting);
    }
}

async fn listen(address: &str) -> anyhow::Result<std::net::TcpListener> {
    let addresses: Vec<SocketAddr> =
        lookup_host(address).await.with_context(|| format!("{address} is no address to listen on"))?.collect();
    let first = addresses.first().with_context(|| format!("{address} is no address to listen on"))?;
    let bound = || -> std::io::Result<std::net::TcpListener> {
        let socket = if first.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(*first)?;
        socket.listen(BACKLOG)?.into_std()
    };
    bound().with_context(|| format!("cannot listen on {address}; choose another address with ATTESTRY_LISTEN"))
}

/// The signals that ask for an end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
