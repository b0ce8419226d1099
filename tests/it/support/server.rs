//! The service's own application on a port of its own.

use std::{net::TcpListener, time::Duration};

use actix_web::{HttpServer, dev::ServerHandle, web::Data};
use attestry::http::{
    Edge,
    server::{Probes, application},
};

/// A service that listens until it is dropped.
pub struct Running {
    handle: ServerHandle,
    port: u16,
}

impl Running {
    pub fn start(edge: Edge) -> Self {
        let edge = Data::new(edge);
        let probes = Data::new(Probes::new(String::new));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = HttpServer::new(move || application(edge.clone(), probes.clone()))
            .workers(1)
            // Longer than any test: a connection closed for idleness just as it is used again would fail the call.
            .keep_alive(Duration::from_secs(600))
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
