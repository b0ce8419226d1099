//! Requests that the service makes to itself: through the same application as those of clients, without a network between.
//!
//! Routes, rights, limits, errors and counters are therefore the same. Each worker of the server builds the application a second
//! time, when it is first needed.

use std::rc::Rc;

use actix_http::{Payload, Request};
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{AppConfig, Service, ServiceRequest},
    http::{
        Method, Uri,
        header::{AUTHORIZATION, HeaderMap},
    },
    web::{Bytes, Data},
};
use futures_util::future::LocalBoxFuture;
use tokio::sync::OnceCell;

use crate::http::{
    Edge,
    server::{Probes, application},
};

type Answering = LocalBoxFuture<'static, Result<HttpResponse<BoxBody>, Error>>;
type Application = Rc<dyn Fn(Request) -> Answering>;

/// The service as it is reached from within.
pub struct InProcess {
    edge: Data<Edge>,
    probes: Data<Probes>,
    application: OnceCell<Application>,
}

impl InProcess {
    /// Builds nothing yet.
    pub fn new(edge: Data<Edge>, probes: Data<Probes>) -> Self {
        Self { edge, probes, application: OnceCell::new() }
    }

    /// A request as a client would have sent it.
    pub fn request(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Request {
        let mut request = Request::with_payload(Payload::from(body));
        let head = request.head_mut();
        head.method = method;
        head.uri = uri;
        head.headers = headers;
        request
    }

    /// The reading of what this request is about, by the same caller.
    pub fn reading_again(request: &ServiceRequest) -> Request {
        let mut headers = HeaderMap::new();
        if let Some(authorization) = request.headers().get(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Self::request(Method::GET, request.uri().clone(), headers, Bytes::new())
    }

    /// Answers it. What a client would get as an error answer is one here, too.
    ///
    /// # Errors
    /// When the application cannot be built.
    pub async fn answer(&self, request: Request) -> Result<HttpResponse<BoxBody>, Error> {
        let application = self.application.get_or_try_init(|| build(self.edge.clone(), self.probes.clone())).await?;
        application(request).await
    }
}

fn build(edge: Data<Edge>, probes: Data<Probes>) -> LocalBoxFuture<'static, Result<Application, Error>> {
    Box::pin(async move {
        let factory = application(edge, probes).into_factory();
        let service = factory
            .new_service(AppConfig::default())
            .await
            .map_err(|()| actix_web::error::ErrorInternalServerError("the application cannot be built"))?;
        let service = Rc::new(service);
        let application: Application = Rc::new(move |request| {
            let service = service.clone();
            Box::pin(async move {
                Ok(match service.call(request).await {
                    Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
                    Err(error) => HttpResponse::from_error(error),
                })
            })
        });
        Ok(application)
    })
}
