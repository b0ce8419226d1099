//! The mail server that other tests look into.

#[path = "support/smtp_sink.rs"]
mod smtp_sink;

use lettre::message::MultiPart;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use smtp_sink::SmtpSink;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_mail_sent_by_a_mail_library_is_kept_and_can_be_read() {
    let sink = SmtpSink::start().await.unwrap();
    let mail = Message::builder()
        .from("attestry <reviews@acme.example>".parse().unwrap())
        .to("Zoë <zoe@acme.example>".parse().unwrap())
        .subject("Prüfung fällig")
        .multipart(MultiPart::alternative_plain_html(".dot at first\nGrüße".to_owned(), "<p>Grüße</p>".to_owned()))
        .unwrap();

    transport(&sink).send(mail).await.unwrap();

    let mails = sink.at_least(1).await;
    assert_eq!(mails[0].sender, "reviews@acme.example");
    assert_eq!(mails[0].recipients, ["zoe@acme.example"]);
    assert_eq!(mails[0].subject(), "Prüfung fällig");
    assert_eq!(mails[0].text().trim_end(), ".dot at first\r\nGrüße");
    assert_eq!(mails[0].html().trim_end(), "<p>Grüße</p>");
    assert!(mails[0].header("From").contains("reviews@acme.example"));
}

#[tokio::test]
async fn a_refused_mail_is_not_kept_and_the_next_one_is() {
    let sink = SmtpSink::start().await.unwrap();
    let mail = Message::builder()
        .from("reviews@acme.example".parse().unwrap())
        .to("ada@acme.example".parse().unwrap())
        .body("hello".to_owned())
        .unwrap();
    sink.refuse_next(1);

    let refusal = transport(&sink).send(mail.clone()).await.unwrap_err();
    transport(&sink).send(mail).await.unwrap();

    assert!(refusal.is_transient());
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn the_dialogue_is_that_of_a_mail_server() {
    let sink = SmtpSink::start().await.unwrap();
    let mut client = BufReader::new(TcpStream::connect(sink.address()).await.unwrap());
    let long = "x".repeat(50_000);

    for (said, answered) in [
        ("", "220"),
        ("HELO client", "250"),
        ("DATA", "503"),
        ("RCPT TO:<ada@acme.example>", "503"),
        ("MAIL FROM:reviews@acme.example", "501"),
        ("mail from:<reviews@acme.example> SIZE=100", "250"),
        ("DATA", "503"),
        ("RSET", "250"),
        ("MAIL FROM:<>", "250"),
        ("RCPT TO:<ada@acme.example>", "250"),
        ("RCPT TO:<grace@acme.example>", "250"),
        ("NOOP", "250"),
        ("AUTH LOGIN", "502"),
        (&long, "500"),
        ("DATA", "354"),
        ("Subject: dots\r\n\r\n..one\r\n...two\r\n.", "250"),
        ("QUIT", "221"),
    ] {
        if !said.is_empty() {
            client.write_all(format!("{said}\r\n").as_bytes()).await.unwrap();
        }
        let mut answer = String::new();
        client.read_line(&mut answer).await.unwrap();
        assert!(answer.starts_with(answered), "{} was answered {answer}", &said[..said.len().min(60)]);
    }

    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].recipients, ["ada@acme.example", "grace@acme.example"]);
    assert_eq!(mails[0].source, b"Subject: dots\r\n\r\n.one\r\n..two\r\n");
}

#[tokio::test]
async fn a_mail_that_is_too_large_is_refused_and_the_connection_goes_on() {
    let sink = SmtpSink::start().await.unwrap();
    let mut client = BufReader::new(TcpStream::connect(sink.address()).await.unwrap());
    let large = format!("{}\r\n", "x".repeat(998)).repeat(11 << 10);

    client.write_all(b"HELO client\r\nMAIL FROM:<>\r\nRCPT TO:<ada@acme.example>\r\nDATA\r\n").await.unwrap();
    client.write_all(format!("{large}.\r\nNOOP\r\n").as_bytes()).await.unwrap();

    let mut codes = Vec::new();
    while codes.len() < 7 {
        let mut answer = String::new();
        client.read_line(&mut answer).await.unwrap();
        codes.push(answer[..3].to_owned());
    }
    assert_eq!(codes, ["220", "250", "250", "250", "354", "552", "250"]);
    assert!(sink.mails().is_empty());
}

fn transport(sink: &SmtpSink) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(sink.address().ip().to_string())
        .port(sink.address().port())
        .build()
}
