//! The mail server of `docker-compose.yml`: keeps every mail in memory and shows them in a browser.
//!
//! ```text
//! cargo run --example mail_sink [SMTP address] [HTTP address]      127.0.0.1:1025 and 127.0.0.1:8025 unless given
//! ```

#[path = "../tests/support/smtp_sink.rs"]
mod smtp_sink;

use std::sync::Arc;

use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use actix_web::web::{self, Data, Path};
use actix_web::{App, HttpResponse, HttpServer, Responder};
use smtp_sink::{Mail, SmtpSink};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let smtp = arguments.next().unwrap_or_else(|| "127.0.0.1:1025".to_owned());
    let http = arguments.next().unwrap_or_else(|| "127.0.0.1:8025".to_owned());

    let sink = Data::new(SmtpSink::listen(smtp).await?);
    println!("mail is taken at {}, and shown at http://{http}", sink.address());
    HttpServer::new(move || {
        App::new()
            .app_data(sink.clone())
            .route("/", web::get().to(list))
            .route("/mails/{number}", web::get().to(show))
            .route("/mails/{number}/source", web::get().to(source))
    })
    .workers(1)
    .bind(http)?
    .run()
    .await
}

async fn list(sink: Data<SmtpSink>) -> impl Responder {
    let mails = sink.mails();
    let rows: String = mails
        .iter()
        .enumerate()
        .rev()
        .map(|(number, mail)| {
            format!(
                "<tr><td>{}<td>{}<td><a href=\"/mails/{number}\">{}</a>",
                escape(&mail.header("Date")),
                escape(&mail.recipients.join(", ")),
                escape(or(mail.subject(), "(no subject)").as_str()),
            )
        })
        .collect();
    page(&format!(
        "<meta http-equiv=refresh content=5><h1>{} mails</h1><table><tr><th>Date<th>To<th>Subject{rows}</table>",
        mails.len()
    ))
}

async fn show(sink: Data<SmtpSink>, number: Path<usize>) -> HttpResponse {
    let number = number.into_inner();
    let Some(mail) = find(&sink, number) else { return gone() };
    page(&format!(
        "<p><a href=\"/\">All mails</a> · <a href=\"/mails/{number}/source\">Source</a>\
         <h1>{}</h1><p>From {}<br>To {}<pre>{}</pre><iframe sandbox srcdoc=\"{}\"></iframe>",
        escape(&or(mail.subject(), "(no subject)")),
        escape(&mail.header("From")),
        escape(&mail.recipients.join(", ")),
        escape(&mail.text()),
        escape(&mail.html()),
    ))
}

async fn source(sink: Data<SmtpSink>, number: Path<usize>) -> HttpResponse {
    match find(&sink, number.into_inner()) {
        Some(mail) => HttpResponse::Ok().content_type(ContentType::plaintext()).body(mail.source.clone()),
        None => gone(),
    }
}

fn find(sink: &SmtpSink, number: usize) -> Option<Arc<Mail>> {
    sink.mails().get(number).cloned()
}

fn gone() -> HttpResponse {
    HttpResponse::NotFound().content_type(ContentType::plaintext()).body("there is no such mail")
}

/// A mail is whatever anybody sent: nothing in it may run or be fetched.
fn page(body: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"))
        .body(format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Mail sink</title><style>\
             body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}\
             table {{ width: 100%; border-collapse: collapse }} th, td {{ text-align: left; padding: .3rem; border-bottom: 1px solid #ccc }}\
             pre {{ white-space: pre-wrap }} iframe {{ width: 100%; height: 60vh; border: 1px solid #ccc }}</style>{body}"
        ))
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
