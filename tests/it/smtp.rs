//! Handing mail to a real server: TLS from the start and after STARTTLS, a private authority, passwords, and a server that fails.
//! LC-NOTE-08, LC-NOTE-09

use std::{sync::Arc, time::Duration};

use attestry::{
    jobs::{Worker, WorkerSettings},
    mail::{Mail, MailError, Mailer, Patience, SmtpMailer},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;

use crate::{
    smtp_sink::{Encryption, Guard, Password, SmtpSink},
    support::{Company, Database, Tenant, eventually, mailed, stage, user},
};

/// An authority of a company, and a server's certificate from it.
struct Pki {
    authority_pem: String,
    server: Arc<ServerConfig>,
}

fn pki() -> Pki {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let certificate: &rcgen::Certificate = authority.as_ref();
    Pki { authority_pem: certificate.pem(), server: Arc::new(server) }
}

fn password(mechanisms: &'static str) -> Option<Password> {
    Some(Password { user: "reviews@acme", password: "s3cret/+", mechanisms, refusal: "535 5.7.8 not you" })
}

/// The password as an address holds it.
const AS: &str = "reviews%40acme:s3cret%2F%2B@";

fn mailer(url: &str, authority: Option<&str>) -> SmtpMailer {
    SmtpMailer::trusting(url, "attestry <reviews@attestry.example>", authority.map(str::as_bytes)).unwrap()
}

fn mail() -> Mail {
    Mail {
        message_id: "<1@attestry>".to_owned(),
        to_name: "Zoë, of Acme".to_owned(),
        to_address: "zoe@acme.example".to_owned(),
        subject: "Prüfung".to_owned(),
        text: "Grüße\n".to_owned(),
        html: "<p>Grüße</p>\n".to_owned(),
    }
}

async fn send(mailer: &SmtpMailer) -> Result<(), MailError> {
    mailer.prepare(&mail()).await?.hand_over().await
}

#[tokio::test]
async fn mail_goes_out_encrypted_and_with_a_password() {
    let Pki { authority_pem, server } = pki();
    for (encryption, scheme, parameters) in [
        (Encryption::Always(Arc::clone(&server)), "smtps", ""),
        (Encryption::Starttls(Arc::clone(&server)), "smtp", "?tls=required"),
        (Encryption::Starttls(Arc::clone(&server)), "smtp", "?tls=opportunistic"),
    ] {
        for mechanisms in ["PLAIN LOGIN", "PLAIN", "LOGIN"] {
            let guard = Guard { encryption: Some(encryption.clone()), password: password(mechanisms) };
            let sink = SmtpSink::guarded(guard).await.unwrap();
            let mailer = mailer(&format!("{scheme}://{AS}{}{parameters}", sink.address()), Some(&authority_pem));

            send(&mailer).await.unwrap();
            send(&mailer).await.unwrap();

            let mails = sink.mails();
            assert_eq!(mails.len(), 2, "{scheme} {mechanisms}");
            assert_eq!(sink.connections(), 1, "a connection is used again");
            assert_eq!((mails[0].subject(), mails[0].html().trim_end()), ("Prüfung".to_owned(), "<p>Grüße</p>"));
            assert_eq!(mails[0].text().trim_end(), "Grüße");
            assert!(mails[0].header("Content-Type").contains("multipart/alternative"));
            assert_eq!(mails[0].header("Auto-Submitted"), "auto-generated");
        }
    }
}

#[tokio::test]
async fn without_the_encryption_that_is_required_nothing_is_sent() {
    let Pki { authority_pem, server } = pki();
    let plain = SmtpSink::start().await.unwrap();
    let required = mailer(&format!("smtp://{}?tls=required", plain.address()), Some(&authority_pem));
    assert!(matches!(send(&required).await, Err(MailError::Temporary(_))));

    // Whose certificate nobody vouches for is a stranger.
    for (encryption, scheme, parameters) in [
        (Encryption::Always(Arc::clone(&server)), "smtps", ""),
        (Encryption::Starttls(server), "smtp", "?tls=required"),
    ] {
        let sink = SmtpSink::guarded(Guard { encryption: Some(encryption), password: None }).await.unwrap();
        let unknown = mailer(&format!("{scheme}://{}{parameters}", sink.address()), None);
        assert!(matches!(send(&unknown).await, Err(MailError::Temporary(_))));
        assert!(sink.mails().is_empty());
    }
    assert!(plain.mails().is_empty());
}

#[tokio::test]
async fn a_refused_password_is_final_or_not_as_the_server_says() {
    for (refusal, is_final) in [("535 5.7.8 not you", true), ("454 4.7.0 not now", false)] {
        let guard = Guard {
            encryption: None,
            password: Some(Password { user: "a", password: "right", mechanisms: "PLAIN", refusal }),
        };
        let sink = SmtpSink::guarded(guard).await.unwrap();
        let error = send(&mailer(&format!("smtp://a:wrong@{}", sink.address()), None)).await.unwrap_err();
        assert_eq!(matches!(error, MailError::Permanent(_)), is_final, "{refusal}");
        assert_eq!(matches!(error, MailError::Temporary(_)), !is_final, "{refusal}");
        assert!(sink.mails().is_empty());
    }
}

#[test]
fn a_server_that_cannot_be_used_is_refused_at_the_start_and_no_password_is_told() {
    for url in [
        "mail",
        "http://mail",
        "smtp://u:hunter2@mail?tls=requierd",
        "smtp://u:hunter2@mail?tls=required&tls=opportunistic",
        "smtp://u:hunter2@mail?verify=off",
        "smtps://u:hunter2@",
    ] {
        let Err(error) = SmtpMailer::new(url, "a@b.example") else { panic!("{url}") };
        assert!(error.to_string().starts_with("ATTESTRY_SMTP_URL"), "{error}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
    let from = SmtpMailer::new("smtp://mail", "nobody").err().unwrap();
    assert!(from.to_string().starts_with("ATTESTRY_MAIL_FROM"));
    let authority = SmtpMailer::trusting("smtps://mail", "a@b.example", Some(b"no PEM")).err().unwrap();
    assert!(authority.to_string().starts_with("ATTESTRY_SMTP_CA"));
}

#[test]
fn a_password_that_may_be_read_on_the_way_is_noticed() {
    for (url, exposed) in [
        ("smtp://u:p@mail", true),
        ("smtp://u:p@mail?tls=opportunistic", true),
        ("smtp://u:p@mail?tls=required", false),
        ("smtps://u:p@mail", false),
        ("smtp://mail", false),
        ("smtp://mail?tls=opportunistic", false),
    ] {
        assert_eq!(mailer(url, None).exposes_password(), exposed, "{url}");
    }
}

/// LC-NOTE-08, LC-INV-08
#[tokio::test]
async fn a_mail_whose_answer_got_lost_is_not_sent_again() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    sink.hang_up_on_next(1);
    t.review().setting("mailNotificationsEnabled", json!(true)).running().await;

    t.end_backoff().await;
    t.run_jobs().await;
    t.advance("P1D").await;

    assert_eq!(mailed(&sink), ["mia"]);
    let failed = t.events_of("Mail failed").await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["after"]["reason"], "the mail server did not say whether it took it");
}

/// Longer than any test.
const AGES: Duration = Duration::from_secs(3_600);

/// LC-NOTE-09: a place for every mail that waits, and as many again for what is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_keeps_no_stage_from_closing() {
    let sink = SmtpSink::start().await.unwrap();
    sink.fall_silent();
    let patience = Patience { connection: AGES, envelope: AGES, text: AGES, rest: AGES };
    let mailer = mailer(&format!("smtp://{}", sink.address()), None).with_patience(patience);
    let t = Tenant::on(Database::own().await, Arc::new(mailer), true).await;
    Company::finance().import(&t).await;
    let settings = WorkerSettings::default();
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("noor")], &[], &[])];
    let review = t.review().stages(&stages).setting("mailNotificationsEnabled", json!(true)).create().await;
    // More mails than places of both kinds.
    for _ in 0..settings.concurrency + settings.mail_concurrency {
        t.review().setting("mailNotificationsEnabled", json!(true)).create().await;
    }
    let worker = Worker::spawn(t.services.clone(), "https://reviews.example".to_owned(), settings);
    let places = u32::try_from(settings.mail_concurrency).unwrap();
    eventually("mail waits in every place it has", async || sink.connections() == places).await;

    t.advance_without_jobs("P3D").await;
    eventually("the stage closes", async || review.stage_statuses().await == ["Completed", "InProgress"]).await;
    t.advance_without_jobs("P3D").await;
    eventually("the review is over", async || review.status().await == "Completed").await;

    assert_eq!(sink.connections(), places, "no mail took another's place");
    sink.speak();
    worker.shutdown().await;
}

/// LC-NOTE-09
#[tokio::test]
async fn a_server_that_says_nothing_is_left_alone_for_a_while() {
    let sink = SmtpSink::start().await.unwrap();
    sink.fall_silent();
    let brief = Duration::from_millis(50);
    let patience = |rest| Patience { connection: brief, envelope: AGES, text: AGES, rest };
    let url = format!("smtp://{}", sink.address());

    let resting = mailer(&url, None).with_patience(patience(AGES));
    assert_eq!(resting.rests_for(), None);
    assert!(matches!(send(&resting).await, Err(MailError::Temporary(_))));
    assert!(matches!(send(&resting).await, Err(MailError::Resting(_))));
    assert!(resting.rests_for().is_some());
    assert_eq!(sink.connections(), 1);

    let rested = mailer(&url, None).with_patience(patience(Duration::ZERO));
    assert!(matches!(send(&rested).await, Err(MailError::Temporary(_))));
    assert!(matches!(send(&rested).await, Err(MailError::Temporary(_))), "it is asked again");
    sink.speak();
    let rested = rested.with_patience(Patience::default());
    send(&rested).await.unwrap();
    assert_eq!((rested.rests_for(), sink.mails().len()), (None, 1));
}

/// LC-NOTE-09: mail waits in real time, whatever the clock of a sandbox does, and loses none of its tries.
#[tokio::test]
async fn a_server_that_says_nothing_holds_up_the_clock_of_a_sandbox_once_at_most() {
    let sink = SmtpSink::start().await.unwrap();
    sink.fall_silent();
    let patience = Patience { connection: Duration::from_millis(50), envelope: AGES, text: AGES, rest: AGES };
    let mailer = mailer(&format!("smtp://{}", sink.address()), None).with_patience(patience);
    let mut t = Tenant::with_mailer(Arc::new(mailer)).await;
    Company::finance().import(&t).await;
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("noor")], &[], &[])];
    let review = t
        .review()
        .stages(&stages)
        .setting("mailNotificationsEnabled", json!(true))
        .setting("reminderNotificationsEnabled", json!(true))
        .create()
        .await;

    t.advance("P10D").await;

    assert_eq!(review.status().await, "Completed");
    assert_eq!(sink.connections(), 1, "one mail found out, and the others did not wait");
    let jobs = t.table("jobs").await;
    let mails = jobs.iter().filter(|job| job["kind"] == "send_mail");
    let mut tries: Vec<_> = mails.map(|job| (job["attempts"].as_i64().unwrap(), job["outcome"].clone())).collect();
    tries.sort_by_key(|tries| tries.0);
    let waiting = json!(null);
    assert_eq!(
        tries,
        [(0, waiting.clone()), (0, waiting.clone()), (0, waiting.clone()), (0, waiting.clone()), (1, waiting)]
    );

    // What is still wanted follows when the server speaks again.
    sink.speak();
    t.services.mailer =
        Arc::new(SmtpMailer::new(&format!("smtp://{}", sink.address()), "reviews@attestry.example").unwrap());
    t.end_backoff().await;
    t.run_jobs().await;
    assert_eq!(mailed(&sink), ["carla"]);
}

/// LC-NOTE-09
#[tokio::test]
async fn a_server_that_is_not_there_holds_nothing_up_and_is_tried_eight_times() {
    let nowhere = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let t = Tenant::with_mailer(Arc::new(mailer(&format!("smtps://u:p@{nowhere}"), None))).await;
    Company::finance().import(&t).await;
    let review = t.review().setting("mailNotificationsEnabled", json!(true)).running().await;
    assert_eq!(review.status().await, "InProgress");

    for _ in 0..10 {
        t.end_backoff().await;
        t.run_jobs().await;
    }

    let jobs = t.table("jobs").await;
    let mail = jobs.iter().find(|job| job["kind"] == "send_mail").unwrap();
    assert_eq!((&mail["attempts"], &mail["outcome"]), (&json!(8), &json!("given up")));
    let failed = t.events_of("Mail failed").await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["after"]["reason"], "the mail server could not be reached or was busy");
}

/// LC-NOTE-09: the wrong password is the operator's to mend; the review goes on meanwhile.
#[tokio::test]
async fn a_wrong_password_loses_the_mail_and_not_the_review() {
    let Pki { authority_pem, server } = pki();
    let guard = Guard { encryption: Some(Encryption::Starttls(server)), password: password("LOGIN") };
    let sink = SmtpSink::guarded(guard).await.unwrap();
    let url = format!("smtp://reviews%40acme:wrong@{}?tls=required", sink.address());
    let t = Tenant::with_mailer(Arc::new(mailer(&url, Some(&authority_pem)))).await;
    Company::finance().import(&t).await;

    let review = t.review().setting("mailNotificationsEnabled", json!(true)).running().await;
    t.advance("P10D").await;

    assert_eq!(review.status().await, "Completed");
    assert_eq!(mailed(&sink), [""; 0]);
    let reasons: Vec<_> =
        t.events_of("Mail failed").await.iter().map(|event| event["after"]["reason"].clone()).collect();
    assert_eq!(reasons, ["the mail server refused it", "the mail server refused it"]);
}

/// A client in the way of the service, to see that nothing secret is said before the connection is encrypted.
#[tokio::test]
async fn no_password_is_said_before_the_connection_is_encrypted() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut said = Vec::new();
        stream.write_all(b"220 ready\r\n").await.unwrap();
        let mut line = String::new();
        // Offers passwords, and no encryption.
        while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
            let answer = if line.starts_with("EHLO") { "250-here\r\n250 AUTH PLAIN LOGIN\r\n" } else { "250 ok\r\n" };
            said.push(std::mem::take(&mut line));
            if stream.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
        said
    });

    let required = mailer(&format!("smtp://{AS}{address}?tls=required"), None);
    let sent = tokio::time::timeout(Duration::from_secs(60), send(&required)).await.unwrap();

    assert!(matches!(sent, Err(MailError::Temporary(_))));
    drop(required);
    let said = server.await.unwrap();
    assert!(said.iter().all(|line| line.starts_with("EHLO") || line.starts_with("QUIT")), "{said:?}");
}
