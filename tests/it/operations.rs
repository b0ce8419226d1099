//! `docs/operations.md` is true: every row is called as a client would, the API document has the same operations, and the tests
//! it names exist. Sections 1 and 9 of the API

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use attestry::http::server::api_document;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Review, Tenant, id_of, manager, stage, user};

const ROOT: &str = "/v1.0/identityGovernance/accessReviews";
/// Long-standing and documented operations, with the stage's batchRecordDecisions. Section 1.1
const DOCUMENTED: usize = 35;

/// A row of one of the tables.
#[derive(Clone, Debug)]
struct Row {
    section: String,
    id: String,
    method: Method,
    /// Below [`ROOT`], with names of objects in braces.
    path: String,
    answer: u16,
    /// `file.rs::function`; none for what is refused.
    test: Option<String>,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (id, method, path, answer, test) = match cells.as_slice() {
            [id, method, path, answer, test] => (*id, *method, *path, *answer, Some((*test).to_owned())),
            [method, path, answer] => ("", *method, *path, *answer, None),
            _ => continue,
        };
        let Ok(answer) = answer.parse() else { continue };
        let path = path.trim_end_matches('/').to_owned();
        rows.push(Row {
            section: section.clone(),
            id: id.to_owned(),
            method: method.parse().unwrap(),
            path,
            answer,
            test,
        });
    }
    rows
}

fn offered() -> Vec<Row> {
    rows().into_iter().filter(|row| row.test.is_some()).collect()
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A path without the names of its parameters, so that both sides may call them as they like.
fn nameless(path: &str) -> String {
    let mut bare = String::new();
    let mut inside = false;
    for character in path.chars() {
        match character {
            '{' => inside = true,
            '}' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        bare.push(character);
    }
    bare
}

#[test]
fn the_table_has_every_documented_operation_once() {
    let rows = offered();
    let documented: Vec<_> = rows.iter().filter(|row| row.section == "Documented").collect();
    assert_eq!(documented.len(), DOCUMENTED);
    let ids: BTreeSet<_> = rows.iter().map(|row| &row.id).collect();
    let places: BTreeSet<_> = rows.iter().map(|row| (row.method.as_str(), nameless(&row.path))).collect();
    assert_eq!((ids.len(), places.len()), (rows.len(), rows.len()), "a row is there twice");
}

#[test]
fn the_table_and_the_api_document_have_the_same_operations() {
    let document = serde_json::to_value(api_document()).unwrap();
    let described: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(path, item)| Some((path.strip_prefix(ROOT)?, item.as_object()?)))
        .flat_map(|(path, item)| item.keys().map(move |method| format!("{} {}", method.to_uppercase(), nameless(path))))
        .collect();
    let listed: BTreeSet<_> = offered().iter().map(|row| format!("{} {}", row.method, nameless(&row.path))).collect();

    assert_eq!(listed.difference(&described).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the API document");
    assert_eq!(described.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the table");
}

#[test]
fn every_test_the_table_names_exists() {
    let mut sources = BTreeMap::new();
    for row in offered() {
        let test = row.test.clone().unwrap();
        let (file, function) = test.split_once("::").unwrap_or_else(|| panic!("{}: `{test}` names no test", row.id));
        let source: &String = sources
            .entry(file.to_owned())
            .or_insert_with(|| std::fs::read_to_string(repository("tests").join(file)).unwrap_or_default());
        assert!(source.contains(&format!("fn {function}(")), "{}: there is no test {test}", row.id);
    }
}

#[tokio::test]
async fn every_operation_of_the_table_answers_as_it_says() {
    let tenant = Tenant::with_finance().await;
    let place = Place::new(&tenant).await;
    for row in offered() {
        let (caller, path, body) = place.call(&row).await;
        let answer = caller.send(row.method.clone(), &path, body.as_ref()).await;
        assert_eq!(answer.status, row.answer, "{}: {} {path}: {:#}", row.id, row.method, answer.body);
        match row.answer {
            204 => assert_eq!(answer.body, Value::Null, "{}", row.id),
            _ if row.path.ends_with("/$count") => assert!(answer.body.is_u64(), "{}: {:#}", row.id, answer.body),
            _ => assert!(answer.body["@odata.context"].is_string(), "{}: {:#}", row.id, answer.body),
        }
    }
}

#[tokio::test]
async fn what_the_table_refuses_is_refused_in_graphs_form() {
    let tenant = Tenant::with_finance().await;
    let place = Place::new(&tenant).await;
    for row in rows().into_iter().filter(|row| row.test.is_none()) {
        let path = place.shared.path(&row.path);
        let body = (row.method != Method::DELETE && row.method != Method::GET).then(|| json!({}));
        let answer = tenant.as_admin().send(row.method.clone(), &path, body.as_ref()).await;
        assert_eq!(answer.status, row.answer, "{} {path}: {:#}", row.method, answer.body);
        let error = &answer.body["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{path}: {error}");
        if row.answer == 405 {
            assert_eq!(error["code"], "MethodNotAllowed");
            let allowed = answer.headers["allow"].to_str().unwrap().to_owned();
            assert!(!allowed.contains(row.method.as_str()), "{} {path}: Allow: {allowed}", row.method);
        }
    }
}

/// Objects to put into the braces of a path.
struct Objects {
    names: BTreeMap<&'static str, String>,
}

impl Objects {
    fn path(&self, pattern: &str) -> String {
        let mut path = pattern.to_owned();
        for (name, id) in &self.names {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        assert!(!path.contains('{'), "nothing is known of {path}");
        path
    }
}

/// A tenant with one of everything.
struct Place<'a> {
    tenant: &'a Tenant,
    /// For what changes nothing.
    shared: Objects,
}

impl<'a> Place<'a> {
    async fn new(tenant: &'a Tenant) -> Self {
        let mut shared = objects(&staged(tenant).await, tenant).await;
        shared.names.extend(report(tenant).await.names);
        Self { tenant, shared }
    }

    /// Who calls a row's operation, where, and with what.
    async fn call(&self, row: &Row) -> (Client, String, Option<Value>) {
        let of_reviewer = row.path.contains("filterByCurrentUser")
            || ["INST-ACCEPT", "STAGE-ACCEPT", "INST-BATCH", "STAGE-BATCH", "DEC-UPDATE", "STAGE-DEC-UPDATE"]
                .contains(&row.id.as_str());
        let caller = if of_reviewer { self.tenant.as_user("mia") } else { self.tenant.as_admin() };
        if row.method == Method::GET {
            return (caller, self.shared.path(&row.path), None);
        }
        let of_history = row.path.contains("{historyDefinition}");
        let objects = match row.id.as_str() {
            _ if of_history => report(self.tenant).await,
            "DEF-CREATE" | "HIST-CREATE" => Objects { names: BTreeMap::new() },
            "INST-UPDATE" | "INST-UPDATE (merge)" => objects(&single(self.tenant).await, self.tenant).await,
            "INST-APPLY" => {
                let review = single(self.tenant).await;
                self.tenant.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
                objects(&review, self.tenant).await
            }
            _ => objects(&staged(self.tenant).await, self.tenant).await,
        };
        let path = objects.path(&row.path);
        let body = match row.id.as_str() {
            "DEF-CREATE" => Some(self.tenant.review().body),
            "DEF-UPDATE" => {
                let mut whole = self.tenant.as_admin().get(&path).await.ok().body;
                whole["displayName"] = json!("renamed");
                Some(whole)
            }
            "DEF-UPDATE (merge)" | "HIST-UPDATE" => Some(json!({ "displayName": "renamed" })),
            "INST-UPDATE" => {
                let scope = self.tenant.as_admin().get(&path).await.ok().body["scope"].clone();
                Some(json!({ "scope": scope, "fallbackReviewers": [user("sam")] }))
            }
            "INST-UPDATE (merge)" | "STAGE-UPDATE" => Some(json!({ "fallbackReviewers": [user("sam")] })),
            "DEC-UPDATE" | "STAGE-DEC-UPDATE" | "INST-BATCH" | "STAGE-BATCH" => {
                Some(json!({ "decision": "Approve", "justification": "needed" }))
            }
            "HIST-CREATE" => Some(history(self.tenant).await),
            _ => None,
        };
        (caller, path, body)
    }
}

async fn single(tenant: &Tenant) -> Review {
    tenant.review().setting("recommendationsEnabled", json!(true)).running().await
}

/// Two stages; Mia reviews Ana, whose last sign-in is known, in the first one.
async fn staged(tenant: &Tenant) -> Review {
    tenant
        .import(&format!(
            "{}\n",
            json!({ "type": "user", "id": id_of("ana"), "userPrincipalName": "ana@acme.example", "displayName": "ana",
                "signInActivity": { "lastSignInDateTime": "2026-01-01T00:00:00Z" } })
        ))
        .await;
    let mut first = stage(1, 3, &[manager()], &[], &[]);
    first["recommendationsEnabled"] = json!(true);
    tenant.review().stages(&[first, stage(2, 3, &[user("olga")], &[], &[])]).running().await
}

async fn objects(review: &Review, tenant: &Tenant) -> Objects {
    let mut names = BTreeMap::new();
    names.insert("definition", review.definition.clone());
    names.insert("instance", review.instance.clone());
    if let Some(stage) = review.stages().await.first() {
        names.insert("stage", stage["id"].as_str().unwrap().to_owned());
    }
    let item = review.item_id("ana").await;
    let insights = tenant.as_admin().get(&format!("{}/decisions/{item}/insights", review.instance_path())).await.ok();
    if let Some(insight) = insights.rows().first() {
        names.insert("insight", insight["id"].as_str().unwrap().to_owned());
    }
    names.insert("item", item);
    names.insert("reviewer", id_of("mia").to_string());
    Objects { names }
}

async fn history(tenant: &Tenant) -> Value {
    let now = tenant.now().await;
    json!({
        "displayName": "quarter",
        "reviewHistoryPeriodStartDateTime": now - chrono::TimeDelta::days(1),
        "reviewHistoryPeriodEndDateTime": now + chrono::TimeDelta::days(100),
        "scopes": [{
            "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "query": "/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '/groups')",
            "queryType": "MicrosoftGraph",
        }],
    })
}

/// A report that is done.
async fn report(tenant: &Tenant) -> Objects {
    let made = tenant.as_admin().post("/historyDefinitions", &history(tenant).await).await.is(201).text("id");
    tenant.run_jobs().await;
    let runs = tenant.as_admin().get(&format!("/historyDefinitions/{made}/instances")).await.ok();
    let run = runs.rows()[0]["id"].as_str().unwrap().to_owned();
    Objects { names: BTreeMap::from([("historyDefinition", made), ("historyInstance", run)]) }
}
