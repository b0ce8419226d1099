//! Report definitions: asked for, listed, renamed, deleted, linked; once and again and again. LC-HIST, section 7 of the API

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Company, Tenant, history_body, history_scope, parse, redacted};

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

async fn create(client: &Client, body: &Value) -> String {
    client.post("/historyDefinitions", body).await.is(201).text("id")
}

/// A report that recurs monthly from now on.
fn monthly(now: DateTime<Utc>, occurrences: i32) -> Value {
    json!({
        "displayName": "Monthly",
        "scopes": [history_scope("/groups")],
        "scheduleSettings": {
            "reportRange": "P1M",
            "recurrence": {
                "pattern": { "type": "absoluteMonthly", "interval": 1, "dayOfMonth": 0 },
                "range": { "type": "numbered", "numberOfOccurrences": occurrences, "startDate": now.date_naive() },
            },
        },
    })
}

/// LC-HIST-01, LC-HIST-02, LC-HIST-05
#[tokio::test]
async fn a_report_is_requested_and_then_done() {
    let t = Tenant::with_finance().await;
    let body = history_body(t.now().await);

    let created = t.as_admin().post("/historyDefinitions", &body).await.is(201);

    let id = created.text("id");
    insta::assert_snapshot!("created", redacted(&created.body));
    let location = created.headers["location"].to_str().unwrap().to_owned();
    assert!(location.ends_with(&format!("/historyDefinitions/{id}")), "{location}");
    let path = format!("/historyDefinitions/{id}/instances/{id}");
    let requested = t.as_admin().get(&path).await.ok();
    assert_eq!((requested.text("status").as_str(), &requested.body["fulfilledDateTime"]), ("requested", &Value::Null));

    t.run_jobs().await;

    assert_eq!(t.as_admin().get(&location).await.ok().text("status"), "done");
    let done = t.as_admin().get(&path).await.ok();
    insta::assert_snapshot!("instance", redacted(&done.body));
    assert_eq!(done.text("status"), "done");
    let kept = instant(&done.body["expirationDateTime"]) - instant(&done.body["fulfilledDateTime"]);
    assert_eq!(kept, TimeDelta::days(30));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_path() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let admin = t.as_admin();
    let send = async |change: &dyn Fn(&mut Value)| {
        let mut body = history_body(now);
        change(&mut body);
        admin.post("/historyDefinitions", &body).await
    };
    send(&|body| body["displayName"] = Value::Null).await.faults("displayName");
    send(&|body| body["displayName"] = json!("  ")).await.faults("displayName");
    send(&|body| body["scopes"] = json!([])).await.faults("scopes");
    send(&|body| body["scopes"] = Value::Null).await.faults("scopes");
    send(&|body| body["decisions"] = json!(["approve", "maybe"])).await.faults("decisions[1]");
    send(&|body| body["decisions"] = json!(["unknownFutureValue"])).await.faults("decisions[0]");
    send(&|body| body["reviewHistoryPeriodEndDateTime"] = Value::Null).await.faults("reviewHistoryPeriodEndDateTime");
    send(&|body| body["reviewHistoryPeriodEndDateTime"] = json!(now - TimeDelta::days(11)))
        .await
        .faults("reviewHistoryPeriodEndDateTime");
    send(&|body| body["displayname"] = json!("x")).await.faults("displayname");
    send(&|body| body["scopes"][0]["queryType"] = json!("ARM")).await.faults("scopes[0].queryType");
    let both = send(&|body| {
        body["scopes"][0]["query"] = json!("/groups");
        body["decisions"] = json!(["maybe"]);
    })
    .await;
    both.clone().faults("scopes[0].query");
    both.faults("decisions[0]");

    let unknown = send(&|body| body["scopes"][0]["query"] = json!("/users/all")).await.refused(400, "UnsupportedQuery");
    let message = unknown.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("/users/all") && message.contains("contains(scope/query"), "{message}");
    assert_eq!(t.table("history_definitions").await, [Value::Null; 0]);
}

/// Section 8.8 of the API: the scope is answered as it was sent.
#[tokio::test]
async fn a_scope_with_a_cast_is_accepted_and_answered_as_sent() {
    let t = Tenant::with_finance().await;
    let mut body = history_body(t.now().await);
    let query = "/v1.0/identityGovernance/accessReviews/definitions?$filter=(contains(scope/microsoft.graph.accessReviewQueryScope/query, '/groups'))";
    body["scopes"][0]["query"] = json!(query);
    body["decisions"] = json!(["Deny", "deny", "NOTREVIEWED"]);

    let created = t.as_admin().post("/historyDefinitions", &body).await.is(201);

    assert_eq!(created.body["scopes"][0]["query"], query);
    assert_eq!(created.body["scopes"][0]["@odata.type"], "#microsoft.graph.accessReviewQueryScope");
    assert_eq!(created.body["decisions"], json!(["deny", "notReviewed"]));
}

/// A-38, LC-AUTH-08, section 7 of the API
#[tokio::test]
async fn everybody_sees_his_own_reports_and_a_global_reader_all() {
    let t = Tenant::with_finance().await;
    let body = history_body(t.now().await);
    let carla = t.as_admin();
    let rita = t.as_reader();
    let uma = t.as_user_with_roles("zoe", &["User Administrator"]);
    let (of_carla, of_uma) = (create(&carla, &body).await, create(&uma, &body).await);
    t.run_jobs().await;

    let seen = async |client: &Client| {
        let (rows, _) = client.all("/historyDefinitions").await;
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen(&carla).await, std::slice::from_ref(&of_carla));
    assert_eq!(seen(&uma).await, std::slice::from_ref(&of_uma));
    for everything in [&rita, &t.as_application(), &t.as_user_with_roles("noor", &["Global Administrator"])] {
        assert_eq!(seen(everything).await.len(), 2);
        everything.get(&format!("/historyDefinitions/{of_carla}")).await.is(200);
    }
    assert_eq!(seen(&t.as_user("mia")).await, [""; 0]);

    let path = format!("/historyDefinitions/{of_carla}");
    let instance = format!("{path}/instances/{of_carla}");
    for stranger in [&uma, &t.as_user("mia")] {
        for hidden in [path.clone(), format!("{path}/instances"), format!("{path}/instances/$count"), instance.clone()]
        {
            stranger.get(&hidden).await.refused(404, "ResourceNotFound");
        }
        stranger.act(&format!("{instance}/generateDownloadUri")).await.refused(404, "ResourceNotFound");
        stranger.patch(&path, &json!({ "displayName": "x" })).await.refused(404, "ResourceNotFound");
        stranger.delete(&path).await.refused(404, "ResourceNotFound");
    }
    rita.act(&format!("{instance}/generateDownloadUri")).await.refused(403, "Forbidden");
    rita.patch(&path, &json!({ "displayName": "x" })).await.refused(403, "Forbidden");
    rita.delete(&path).await.refused(403, "Forbidden");
    t.as_user("mia").post("/historyDefinitions", &body).await.refused(403, "Forbidden");
    // The creator needs no role any more.
    t.as_user("carla").act(&format!("{instance}/generateDownloadUri")).await.is(200);
}

/// Also the reads need the greater permission.
#[tokio::test]
async fn the_read_permission_is_not_enough_for_anything() {
    let t = Tenant::with_finance().await;
    let id = create(&t.as_admin(), &history_body(t.now().await)).await;
    let path = format!("/historyDefinitions/{id}");
    for reader in [
        t.as_user_with_scopes("carla", &["Global Administrator"], &["AccessReview.Read.All"]),
        t.as_application_with(&["AccessReview.Read.All"]),
    ] {
        for read in [
            "/historyDefinitions".to_owned(),
            path.clone(),
            format!("{path}/instances"),
            format!("{path}/instances/{id}"),
        ] {
            reader.get(&read).await.refused(403, "Forbidden");
        }
        reader.post("/historyDefinitions", &history_body(t.now().await)).await.refused(403, "Forbidden");
    }
}

#[tokio::test]
async fn another_tenant_finds_nothing() {
    let (t, other) = (Tenant::with_finance().await, Tenant::with_finance().await);
    let instance = t.report(&t.as_admin(), &history_body(t.now().await)).await;
    let client = other.as_application();
    assert_eq!(client.get("/historyDefinitions").await.ok().rows().len(), 0);
    client.get(&instance).await.refused(404, "ResourceNotFound");
    client.act(&format!("{instance}/generateDownloadUri")).await.refused(404, "ResourceNotFound");
}

/// CL-07, section 3.5 of the API
#[tokio::test]
async fn reports_are_paged_filtered_counted_and_expanded() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let mut body = history_body(t.now().await);
    for name in ["alpha", "beta", "gamma"] {
        body["displayName"] = json!(name);
        create(&admin, &body).await;
    }
    t.run_jobs().await;
    body["displayName"] = json!("delta");
    create(&admin, &body).await;

    let (rows, pages) = admin.all("/historyDefinitions?$top=3").await;
    let names: Vec<_> = rows.iter().map(|row| row["displayName"].as_str().unwrap()).collect();
    assert_eq!((names, pages), (vec!["delta", "gamma", "beta", "alpha"], 2));
    let count = async |path: &str| admin.get(path).await.ok().body;
    assert_eq!(count("/historyDefinitions/$count").await, json!(4));
    assert_eq!(count("/historyDefinitions/$count?$filter=status eq 'done'").await, json!(3));
    assert_eq!(count("/historyDefinitions/$count?$filter=displayName eq 'BETA'").await, json!(1));
    assert_eq!(
        count("/historyDefinitions/$count?$filter=status eq 'requested' or displayName eq 'beta'").await,
        json!(2)
    );
    admin.get("/historyDefinitions?$filter=status eq 'inProgress'").await.is(400);
    let named = json!({ "displayName": "BETA" });
    let beta = rows.iter().find(|row| row["displayName"] == "beta").unwrap()["id"].as_str().unwrap();
    admin.patch(&format!("/historyDefinitions/{beta}"), &named).await;
    let ordered = admin.all("/historyDefinitions?$orderby=displayName&$top=2").await.0;
    let names: Vec<_> = ordered.iter().map(|row| row["displayName"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpha", "BETA", "delta", "gamma"], "names are ordered without regard to letter case");

    let expanded = admin.get("/historyDefinitions?$expand=instances&$filter=displayName eq 'alpha'").await.ok();
    let alpha = &expanded.rows()[0];
    assert_eq!(alpha["instances"][0]["id"], alpha["id"]);
    assert_eq!(alpha["instances"][0]["status"], "done");
    let path = format!("/historyDefinitions/{}", alpha["id"].as_str().unwrap());
    let one = admin.get(&format!("{path}?$expand=instances&$select=displayName")).await.ok();
    assert_eq!((one.text("displayName").as_str(), &one.body["status"]), ("alpha", &Value::Null));
    assert_eq!(one.body["instances"], alpha["instances"]);
    assert_eq!(admin.get(&path).await.ok().body["instances"], Value::Null);
    assert_eq!(count(&format!("{path}/instances/$count")).await, json!(1));
    assert_eq!(count(&format!("{path}/instances/$count?$filter=status eq 'error'")).await, json!(0));
    assert_eq!(admin.get(&format!("{path}/instances")).await.ok().rows()[0], alpha["instances"][0]);
}

/// Section 9 of the API
#[tokio::test]
async fn only_the_name_of_a_report_can_be_changed() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let id = create(&admin, &history_body(t.now().await)).await;
    let path = format!("/historyDefinitions/{id}");

    let renamed = admin.patch(&path, &json!({ "displayName": "Half-year" })).await.is(200);
    assert_eq!(renamed.text("displayName"), "Half-year");
    let mut whole = admin.get(&path).await.ok().body;
    assert_eq!(whole["displayName"], "Half-year");

    // The SDKs send back what they read.
    whole["displayName"] = json!("Year");
    assert_eq!(admin.patch(&path, &whole).await.is(200).text("displayName"), "Year");
    for (member, value) in [
        ("status", json!("done")),
        ("decisions", json!(["deny"])),
        ("reviewHistoryPeriodEndDateTime", json!("2020-01-01T00:00:00Z")),
        ("scopes", json!([history_scope("other")])),
    ] {
        admin.patch(&path, &json!({ "displayName": "No", member: value })).await.faults(member);
    }
    admin.patch(&path, &json!({ "displayName": "" })).await.faults("displayName");
    admin.patch(&path, &json!({ "displayName": null })).await.faults("displayName");
    admin.patch(&path, &json!({ "name": "x" })).await.faults("name");
    assert_eq!(admin.patch(&path, &json!({})).await.is(200).text("displayName"), "Year");
    let told = t.events_of("Report updated").await;
    assert_eq!(told.len(), 2);
    assert_eq!(
        (&told[0]["before"]["displayName"], &told[0]["after"]["displayName"]),
        (&json!("Quarter"), &json!("Half-year"))
    );
}

#[tokio::test]
async fn a_deleted_report_is_gone_with_all_that_belongs_to_it() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let link = admin.act(&format!("{instance}/generateDownloadUri")).await.ok().text("downloadUri");
    let (path, _) = instance.split_once("/instances").unwrap();

    admin.delete(path).await.is(204);

    for gone in [path.to_owned(), instance.clone()] {
        admin.get(&gone).await.refused(404, "ResourceNotFound");
    }
    t.with_authorization(None).get(&link).await.refused(404, "ResourceNotFound");
    admin.delete(path).await.refused(404, "ResourceNotFound");
    for table in ["history_definitions", "history_instances", "history_pieces"] {
        assert_eq!(t.table(table).await, [Value::Null; 0], "{table}");
    }
    assert_eq!(t.events_of("Report deleted").await.len(), 1);
}

/// A report that is being written does not hold up its deletion, and leaves nothing behind.
#[tokio::test]
async fn a_report_deleted_before_it_ran_never_runs() {
    let t = Tenant::with_finance().await;
    let id = create(&t.as_admin(), &history_body(t.now().await)).await;
    t.as_admin().delete(&format!("/historyDefinitions/{id}")).await.is(204);
    assert_eq!(t.run_jobs().await, 1);
    assert_eq!(t.table("history_pieces").await, [Value::Null; 0]);
}

/// Section 9 of the API
#[tokio::test]
async fn runs_of_a_report_are_not_for_clients_to_write() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let (path, _) = instance.split_once("/instances").unwrap();
    for (method, target) in [
        (Method::POST, format!("{path}/instances")),
        (Method::PATCH, instance.clone()),
        (Method::DELETE, instance.clone()),
        (Method::PUT, path.to_owned()),
        (Method::POST, format!("{path}/instances/$count")),
        (Method::GET, format!("{instance}/generateDownloadUri")),
    ] {
        let answer = admin.send(method.clone(), &target, Some(&json!({}))).await.refused(405, "MethodNotAllowed");
        assert!(!answer.headers["allow"].is_empty(), "{method} {target}");
    }
}

/// LC-HIST-06, CL-04
#[tokio::test]
async fn a_link_is_made_on_demand_and_shown_as_long_as_it_works() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let id = create(&admin, &history_body(t.now().await)).await;
    let instance = format!("/historyDefinitions/{id}/instances/{id}");
    let action = format!("{instance}/microsoft.graph.generateDownloadUri");

    let early = admin.act(&action).await.refused(400, "InvalidReviewState");
    assert!(early.body["error"]["message"].as_str().unwrap().contains("requested"));
    t.run_jobs().await;
    assert_eq!(admin.get(&instance).await.ok().body["downloadUri"], Value::Null);

    let linked = admin.post(&action, &json!({})).await.is(200);
    assert_eq!(linked.text("id"), id);
    let link = linked.text("downloadUri");
    assert!(link.starts_with("https://reviews.example/"), "{link}");
    assert_eq!(admin.get(&instance).await.ok().text("downloadUri"), link);
    let listed = admin.get(&format!("/historyDefinitions/{id}/instances")).await.ok();
    assert_eq!(listed.rows()[0]["downloadUri"], link.as_str());

    t.advance("PT23H59M").await;
    assert_eq!(parse(&t.text_behind(&link).await).len(), 0);
    let fresh = admin.act(&action).await.ok().text("downloadUri");
    assert_ne!(fresh, link);
    t.advance("PT1M").await;
    t.with_authorization(None).get(&link).await.refused(410, "Gone");
    assert_eq!(parse(&t.text_behind(&fresh).await).len(), 0);
    t.advance("P1D").await;
    assert_eq!(admin.get(&instance).await.ok().body["downloadUri"], Value::Null);
}

#[tokio::test]
async fn a_link_leads_to_one_report_and_to_nothing_when_it_is_changed() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let body = history_body(t.now().await);
    let nobody = t.with_authorization(None);
    let mut links = Vec::new();
    for _ in 0..2 {
        let instance = t.report(&admin, &body).await;
        links.push(admin.act(&format!("{instance}/generateDownloadUri")).await.ok().text("downloadUri"));
    }
    let (base, sealed) = links[0].rsplit_once('/').unwrap();
    let (_, other) = links[1].rsplit_once('/').unwrap();

    nobody.get(&links[0]).await.is(200);
    // The seal of one with the object of the other.
    let mixed = format!("{base}/{}{}", &sealed[..44], &other[44..]);
    for wrong in
        [mixed, format!("{base}/{}", sealed.to_uppercase()), format!("{base}/x"), format!("{base}/{}", "A".repeat(96))]
    {
        nobody.get(&wrong).await.refused(404, "ResourceNotFound");
    }
    for method in [Method::POST, Method::DELETE, Method::PATCH] {
        nobody.send(method, &links[0], Some(&json!({}))).await.refused(405, "MethodNotAllowed");
    }
}

#[tokio::test]
async fn a_download_is_a_file_that_may_be_compressed() {
    let t = Tenant::with_finance().await;
    t.review().running().await;
    let admin = t.as_admin();
    let mut body = history_body(t.now().await);
    body["displayName"] = json!("Q1 \"Übersicht\"");
    let instance = t.report(&admin, &body).await;
    let link = admin.act(&format!("{instance}/generateDownloadUri")).await.ok().text("downloadUri");
    let nobody = t.with_authorization(None);

    let head = nobody.request(Method::HEAD, &link).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-type"]),
        (200, &"text/csv; charset=utf-8".parse().unwrap())
    );
    assert_eq!(t.events_of("Report downloaded").await.len(), 0, "who asks how long it is has not downloaded it");

    let plain = nobody.request(Method::GET, &link).send().await.unwrap();
    assert_eq!(plain.headers()["content-type"], "text/csv; charset=utf-8");
    let disposition = plain.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.starts_with("attachment; filename=\"Q1 __bersicht_.csv\""), "{disposition}");
    assert_eq!(plain.headers()["cache-control"], "no-store");
    let length = plain.content_length().unwrap();
    let text = plain.text().await.unwrap();
    assert_eq!(u64::try_from(text.len()).unwrap(), length);

    let packed = nobody.request(Method::GET, &link).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
}

/// LC-AUD-01
#[tokio::test]
async fn reports_and_their_downloads_leave_events() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    t.download(&admin, &instance).await;
    t.download(&admin, &instance).await;

    let id = instance.rsplit_once('/').unwrap().1;
    let created = t.events_of("Report created").await;
    assert_eq!(created.len(), 1);
    assert_eq!((&created[0]["actor_name"], &created[0]["after"]["historyDefinition"]), (&json!("carla"), &json!(id)));
    let statuses: Vec<_> =
        t.events_of("Report status changed").await.iter().map(|event| event["after"]["status"].clone()).collect();
    assert_eq!(statuses, ["inprogress", "done"]);
    assert_eq!(t.events_of("Report link created").await.len(), 2);
    let downloaded = t.events_of("Report downloaded").await;
    assert_eq!(downloaded.len(), 2);
    assert_eq!(downloaded[0]["after"]["historyInstance"], id);
    assert!(downloaded[0]["request_id"].is_string());
}

/// LC-HIST-07, HIST-GET
#[tokio::test]
async fn a_report_lives_for_thirty_days_and_then_its_data_are_deleted() {
    let t = Tenant::with_finance().await;
    t.review().running().await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let (path, _) = instance.split_once("/instances").unwrap();

    t.advance("P29DT23H").await;
    let link = admin.act(&format!("{instance}/generateDownloadUri")).await.ok().text("downloadUri");
    assert!(parse(&t.text_behind(&link).await).len() > 1);
    t.advance("PT1H").await;

    for gone in [path.to_owned(), format!("{path}/instances"), instance.clone()] {
        admin.get(&gone).await.refused(404, "ResourceNotFound");
    }
    assert_eq!(admin.get("/historyDefinitions").await.ok().rows().len(), 0);
    t.advance("PT1H").await;
    t.with_authorization(None).get(&link).await.refused(410, "Gone");
    for table in ["history_definitions", "history_instances", "history_pieces"] {
        assert_eq!(t.table(table).await, [Value::Null; 0], "{table}");
    }
}

/// LC-HIST-08
#[tokio::test]
async fn a_recurring_report_runs_again_and_again_over_what_lies_before_it() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let now = t.now().await;
    let created = admin.post("/historyDefinitions", &monthly(now, 3)).await.is(201);
    let id = created.text("id");
    let mut schedule = created.body["scheduleSettings"].clone();
    assert_eq!(schedule["recurrence"]["range"]["startDate"], json!(now.date_naive()));
    schedule["recurrence"]["range"]["startDate"] = json!("today");
    insta::assert_snapshot!("recurring", redacted(&schedule));
    let path = format!("/historyDefinitions/{id}");
    let runs = async || {
        let answer = admin.get(&format!("{path}/instances")).await.ok();
        let runs: Vec<_> =
            answer.rows().iter().map(|run| (run["status"].as_str().unwrap().to_owned(), run.clone())).collect();
        runs
    };
    let statuses = async || runs().await.into_iter().map(|(status, _)| status).collect::<Vec<_>>();

    assert_eq!(statuses().await, ["requested"]);
    t.run_jobs().await;
    assert_eq!(statuses().await, ["done", "requested"], "the next one can be seen");
    assert_eq!(admin.get(&path).await.ok().text("status"), "inprogress");

    t.advance("P31D").await;
    let second = runs().await;
    assert_eq!(second.iter().map(|(status, _)| status.as_str()).collect::<Vec<_>>(), ["done", "requested"]);
    for (_, run) in &second {
        assert_ne!(run["id"], id.as_str());
        let period =
            (instant(&run["reviewHistoryPeriodStartDateTime"]), instant(&run["reviewHistoryPeriodEndDateTime"]));
        assert_eq!(period.1, instant(&run["runDateTime"]));
        assert_eq!(period.0, "P1M".parse::<attestry::domain::duration::IsoDuration>().unwrap().before(period.1));
    }

    t.advance("P31D").await;
    assert_eq!(statuses().await, ["done"], "the first and the second have expired, the third was the last");
    assert_eq!(admin.get(&path).await.ok().text("status"), "done");
    let last = runs().await.remove(0).1;
    let last = format!("{path}/instances/{}", last["id"].as_str().unwrap());
    t.download(&admin, &last).await;

    t.advance("P31D").await;
    admin.get(&path).await.refused(404, "ResourceNotFound");
    for table in ["history_definitions", "history_instances", "history_pieces"] {
        assert_eq!(t.table(table).await, [Value::Null; 0], "{table}");
    }
}

#[tokio::test]
async fn a_schedule_that_makes_no_sense_is_refused() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let admin = t.as_admin();
    let send = async |change: &dyn Fn(&mut Value)| {
        let mut body = monthly(now, 3);
        change(&mut body["scheduleSettings"]);
        admin.post("/historyDefinitions", &body).await
    };
    send(&|settings| settings["reportRange"] = json!("PT5H")).await.faults("scheduleSettings.reportRange");
    send(&|settings| settings["reportRange"] = json!("soon")).await.faults("scheduleSettings.reportRange");
    send(&|settings| settings["reportRange"] = Value::Null).await.faults("scheduleSettings.reportRange");
    send(&|settings| settings["recurrence"] = Value::Null).await.faults("scheduleSettings.recurrence");
    send(&|settings| settings["recurrence"]["pattern"] = Value::Null)
        .await
        .faults("scheduleSettings.recurrence.pattern");
    send(&|settings| settings["recurrence"]["pattern"]["interval"] = json!(0))
        .await
        .faults("scheduleSettings.recurrence.pattern.interval");
    send(&|settings| {
        settings["recurrence"]["range"] =
            json!({ "type": "endDate", "startDate": "2020-01-01", "endDate": "2020-02-01" });
    })
    .await
    .faults("scheduleSettings.recurrence.range.endDate");
}

/// The reports of a series that was down for a while are all made, each over its own window.
#[tokio::test]
async fn a_late_timer_leaves_out_no_run() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let id = create(&admin, &monthly(t.now().await, 3)).await;
    t.advance_without_jobs("P70D").await;

    t.run_jobs().await;

    let runs = admin.get(&format!("/historyDefinitions/{id}/instances")).await.ok().rows().clone();
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|run| run["status"] == "done"));
    let starts: std::collections::BTreeSet<_> =
        runs.iter().map(|run| instant(&run["reviewHistoryPeriodStartDateTime"])).collect();
    assert_eq!(starts.len(), 3);
}

/// A worker that died in the middle of a report is followed by another that makes it anew.
#[tokio::test]
async fn a_report_left_in_progress_is_finished_by_the_next_worker() {
    let t = Tenant::with_finance().await;
    t.review().running().await;
    let admin = t.as_admin();
    let id = create(&admin, &history_body(t.now().await)).await;
    t.database
        .execute(&format!(
            "update history_definitions set status = 'inprogress' where tenant_id = '{0}';
             update history_instances set status = 'inprogress' where tenant_id = '{0}'",
            t.id
        ))
        .await;
    let instance = format!("/historyDefinitions/{id}/instances/{id}");
    assert_eq!(admin.get(&instance).await.ok().text("status"), "inprogress");

    t.run_jobs().await;

    assert_eq!(t.download(&admin, &instance).await.len(), 7);
}

/// LC-HIST-01
#[tokio::test]
async fn a_report_that_cannot_be_made_fails_after_its_last_try() {
    let t = Tenant::with_finance().await;
    t.review().running().await;
    let admin = t.as_admin();
    let id = create(&admin, &history_body(t.now().await)).await;
    t.database
        .execute(&format!(
            "update decision_items set recommendations = 3 where tenant_id = '{0}';
             update jobs set attempts = 7 where tenant_id = '{0}' and kind = 'run_report'",
            t.id
        ))
        .await;

    t.run_jobs().await;

    let instance = format!("/historyDefinitions/{id}/instances/{id}");
    assert_eq!(admin.get(&instance).await.ok().text("status"), "error");
    assert_eq!(admin.get(&format!("/historyDefinitions/{id}")).await.ok().text("status"), "error");
    admin.act(&format!("{instance}/generateDownloadUri")).await.refused(400, "InvalidReviewState");
    assert_eq!(t.table("history_pieces").await, [Value::Null; 0]);
    t.advance("P31D").await;
    assert_eq!(t.table("history_definitions").await, [Value::Null; 0]);
}

/// A tenant without anything to report gets a header and nothing else.
#[tokio::test]
async fn an_empty_report_is_its_header() {
    let t = Tenant::new().await;
    Company::new().user("carla", None).import(&t).await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let link = admin.act(&format!("{instance}/generateDownloadUri")).await.ok().text("downloadUri");
    let text = t.text_behind(&link).await;
    assert_eq!(text, format!("{}\r\n", attestry::domain::history::report::HEADER.join(",")));
}
