//! The service's own routes and middleware on a port of their own.

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web::Data};
use attestry::http::{Edge, api, odata::canonicalize, request_ids::request_ids};
use utoipa_actix_web::AppExt;

/// A service that listens until it is dropped.
pub struct Running {
    handle: ServerHandle,
    port: u16,
}

impl Running {
    pub fn start(edge: Edge) -> Self {
        let edge = Data::new(edge);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = HttpServer::new(move || {
            let (app, _) = App::new().into_utoipa_app().configure(api::routes).split_for_parts();
            app.app_data(edge.clone()).configure(api::refusals).wrap(from_fn(canonicalize)).wrap(from_fn(request_ids))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { handle, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The future does its work when it is made; nobody waits for a test's server.
        drop(self.handle.stop(false));
    }
}
