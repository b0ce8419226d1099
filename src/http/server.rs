//! The HTTP server: the application around the routes, the probes beside them, and an end that answers whoever was accepted.

use std::{
    future::Future,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    body::{BoxBody, MessageBody},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{CONNECTION, HeaderValue},
    },
    middleware::{Compress, Next, from_fn},
    web::{self, Data, PayloadConfig},
};
use serde_json::json;
use tracing::{Span, field::Empty};
use tracing_actix_web::{RootSpanBuilder, TracingLogger};
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;

use crate::{
    http::{
        Edge, api,
        conventions::conventions,
        in_process::InProcess,
        odata::canonicalize,
        request_ids::{RequestIds, request_ids},
    },
    store::Readiness,
    telemetry,
};

/// The longest body of a request, unpacked.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// How long an idle connection is kept for the client's next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send a request's head; also the first, so a silent connection does not last.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to agree on TLS.
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepted requests may take to be answered once the service is told to stop, in seconds.
const SHUTDOWN_TIMEOUT_SECONDS: u64 = 60;
/// From the moment nothing more is accepted to the moment idle connections are closed: what was accepted last has sent its
/// request by then and counts as busy.
const SETTLE: Duration = Duration::from_millis(250);
/// What stands for the pattern where no route was found.
const NO_ROUTE: &str = "none";
/// How long the database may take to say that it is there.
const READY_TIMEOUT: Duration = Duration::from_secs(3);

/// What the probes tell.
pub struct Probes {
    shutting_down: AtomicBool,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl Probes {
    /// Probes of a service that is up. `metrics` renders what was measured, as Prometheus text.
    pub fn new(metrics: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { shutting_down: AtomicBool::new(false), metrics: Box::new(metrics) }
    }

    /// From here on `/readyz` says no, and answers ask clients to close their connections.
    pub fn announce_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Release);
    }

    fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }
}

/// Where clients come in.
pub struct Entrance {
    /// Must not block.
    pub listener: TcpListener,
    /// Only TLS is spoken when given, else only plain HTTP.
    ///
    /// HTTP/1.1 is all that is offered: actix does not tell HTTP/2 clients of a shutdown, so that an idle one would delay
    /// it to its deadline.
    pub tls: Option<rustls::ServerConfig>,
}

/// Serves at `entrance` until `stop` is ready, then answers everything that was accepted and returns.
///
/// After `stop` requests are accepted for `drain` longer, while `/readyz` already says no.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    Entrance { listener, tls }: Entrance,
    edge: Data<Edge>,
    probes: Arc<Probes>,
    drain: Duration,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let probes = Data::from(probes);
    let told = probes.clone();
    let server = HttpServer::new(move || application(edge.clone(), probes.clone()))
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_HEAD_TIMEOUT)
        .shutdown_timeout(SHUTDOWN_TIMEOUT_SECONDS)
        .tls_handshake_timeout(TLS_HANDSHAKE_TIMEOUT)
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let server = server.run();
    let handle = server.handle();
    let mut running = tokio::spawn(server);
    tokio::select! {
        ended = &mut running => return ended.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        () = stop => {}
    }
    told.announce_shutdown();
    tokio::time::sleep(drain).await;
    handle.pause().await;
    tokio::time::sleep(SETTLE).await;
    handle.stop(true).await;
    running.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// The application: routes, probes, and what surrounds every request.
pub fn application(
    edge: Data<Edge>,
    probes: Data<Probes>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let (app, _document) = App::new().into_utoipa_app().configure(api::routes).split_for_parts();
    app.configure(api::refusals)
        .app_data(Data::new(InProcess::new(edge.clone(), probes.clone())))
        .app_data(edge)
        .app_data(probes)
        .app_data(PayloadConfig::new(MAX_BODY_BYTES))
        .app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES))
        .route("/healthz", web::get().to(alive))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(metrics))
        // The last one is the outermost.
        .wrap(from_fn(canonicalize))
        .wrap(from_fn(conventions))
        .wrap(TracingLogger::<RequestSpan>::new())
        .wrap(from_fn(measured))
        .wrap(from_fn(request_ids))
        .wrap(Compress::default())
}

/// The API document, from the same registration as the routes.
pub fn api_document() -> utoipa::openapi::OpenApi {
    let mut base = api::Document::openapi();
    base.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let (_app, document) = App::new().into_utoipa_app().openapi(base).configure(api::routes).split_for_parts();
    document
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

async fn ready(edge: Data<Edge>, probes: Data<Probes>) -> HttpResponse {
    let not_ready =
        |reason: String| HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready", "reason": reason }));
    if probes.is_shutting_down() {
        return not_ready("shutting down".to_owned());
    }
    match tokio::time::timeout(READY_TIMEOUT, edge.services.store.ready()).await {
        Ok(Ok(Readiness::Ready)) => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Ok(Ok(Readiness::SchemaMismatch { found, wanted })) => {
            not_ready(format!("the database has schema version {found}, this program needs {wanted}"))
        }
        Ok(Err(_)) | Err(_) => not_ready("the database does not answer".to_owned()),
    }
}

async fn metrics(probes: Data<Probes>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((probes.metrics)())
}

/// Middleware that counts and times answers; and while shutting down asks clients to close their connections.
async fn measured<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let method = method_name(request.method());
    let probes = request.app_data::<Data<Probes>>().cloned();
    let result = next.call(request).await;
    let (route, status) = match &result {
        Ok(answer) => (route_of(answer.request()), answer.status()),
        // Of a middleware: nothing was routed. The request itself must not be kept: routing needs it for itself alone.
        Err(error) => (NO_ROUTE.to_owned(), error.as_response_error().status_code()),
    };
    telemetry::request_answered(method, route, status.as_u16(), began.elapsed());
    let mut answer = result?.map_into_boxed_body();
    if probes.is_some_and(|probes| probes.is_shutting_down()) {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        answer.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    Ok(answer)
}

/// The pattern of the route, which names no object.
fn route_of(request: &HttpRequest) -> String {
    request.match_pattern().unwrap_or_else(|| NO_ROUTE.to_owned())
}

fn method_name(method: &Method) -> &'static str {
    const KNOWN: [(&Method, &str); 7] = [
        (&Method::GET, "GET"),
        (&Method::POST, "POST"),
        (&Method::PATCH, "PATCH"),
        (&Method::PUT, "PUT"),
        (&Method::DELETE, "DELETE"),
        (&Method::HEAD, "HEAD"),
        (&Method::OPTIONS, "OPTIONS"),
    ];
    KNOWN.iter().find(|(known, _)| *known == method).map_or("other", |(_, name)| name)
}

/// The span around a request: its id, method, route pattern and status; no path, no address, nothing of people.
struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        use actix_web::HttpMessage;

        let span = tracing::info_span!(
            "request",
            request.id = Empty,
            http.method = method_name(request.method()),
            http.route = Empty,
            http.status_code = Empty,
        );
        if let Some(ids) = request.extensions().get::<RequestIds>() {
            span.record("request.id", tracing::field::display(ids.request_id));
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(answer) => {
                span.record("http.route", route_of(answer.request()));
                answer.status()
            }
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.status_code", status.as_u16());
        let level_is_warning = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
        span.in_scope(|| match level_is_warning {
            true => tracing::warn!("answered"),
            false => tracing::debug!("answered"),
        });
    }
}
