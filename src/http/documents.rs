//! What describes the service to others, without a token: the API document, a page to read and try it, and the metadata of OData.

use std::sync::OnceLock;

use actix_web::{
    HttpResponse,
    http::{
        Method,
        header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    web::{self, Bytes, Data, ServiceConfig},
};

use crate::http::{Edge, api::document::ApiDocument, metadata::csdl, request_ids::other_methods, server::api_document};

const PAGE: &str = include_str!("documents/page.html");
const SCRIPT: &str = include_str!("documents/page.js");
const STYLE: &str = include_str!("documents/page.css");
/// The page runs its own script, talks to this service and to nobody else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Registers the documents.
pub fn documents(config: &mut ServiceConfig) {
    const READ: &[Method] = &[Method::GET];
    for path in ["/openapi.json", "/attestry/v1/openapi.json"] {
        config.route(path, web::get().to(api)).service(other_methods(path, READ));
    }
    config
        .route("/v1.0/$metadata", web::get().to(metadata))
        .service(other_methods("/v1.0/$metadata", READ))
        .route("/docs", web::get().to(async || page("text/html; charset=utf-8", PAGE)))
        .service(other_methods("/docs", READ))
        .route("/docs/page.js", web::get().to(async || page("text/javascript; charset=utf-8", SCRIPT)))
        .route("/docs/page.css", web::get().to(async || page("text/css; charset=utf-8", STYLE)));
}

/// The API document; its server is this one under its public address.
async fn api(edge: Data<Edge>) -> HttpResponse {
    static DOCUMENT: OnceLock<ApiDocument> = OnceLock::new();
    let document = edge
        .served_document
        .get_or_init(|| Bytes::from(DOCUMENT.get_or_init(api_document).served_at(&edge.public_url).to_string()));
    HttpResponse::Ok().content_type("application/json").body(document.clone())
}

async fn metadata() -> HttpResponse {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(csdl::document);
    HttpResponse::Ok().content_type("application/xml; charset=utf-8").body(document.as_str())
}

fn page(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(text)
}
