//! The reference's worked examples in words of our own: what is sent and what comes back, whole, as snapshots.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Company, MINE, Tenant, group_owners, id_of, manager, redacted, resource_owners, stage, user,
};

/// What was said, in order.
#[derive(Default)]
struct Conversation {
    exchanges: Vec<Value>,
}

impl Conversation {
    /// Calls, remembers both sides, and hands out the answer's body.
    async fn say(&mut self, caller: &Client, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = caller.send(method.clone(), path, body).await;
        let mut exchange = json!({ "request": format!("{method} {path}"), "status": answer.status });
        if let Some(body) = body {
            exchange["sent"] = body.clone();
        }
        if answer.body != Value::Null {
            exchange["answer"] = answer.body.clone();
        }
        self.exchanges.push(exchange);
        answer.body
    }

    async fn get(&mut self, caller: &Client, path: &str) -> Value {
        self.say(caller, Method::GET, path, None).await
    }

    async fn act(&mut self, caller: &Client, path: &str) -> Value {
        self.say(caller, Method::POST, path, None).await
    }

    /// Everything said, without what differs from run to run.
    fn redacted(&self) -> Value {
        let mut shown = redacted(&Value::from(self.exchanges.clone()));
        settle(&mut shown);
        shown
    }
}

/// Tags, requests' ids and seals differ in every run; days do too.
fn settle(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match (name.as_str(), &*member) {
                    ("@odata.etag", Value::String(_)) => *member = json!("{etag}"),
                    ("date" | "startDate", Value::String(_)) => *member = json!("{date}"),
                    ("downloadUri", Value::String(_)) => *member = json!("{link}"),
                    ("@odata.nextLink", Value::String(link)) => {
                        let (path, _) = link.split_once("$skiptoken=").unwrap();
                        *member = json!(format!("{path}$skiptoken={{token}}"));
                    }
                    _ => settle(member),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(settle),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The company of the other tests with an application, a directory role and Microsoft 365 groups.
async fn tenant() -> Tenant {
    let tenant = Tenant::new().await;
    Company::finance()
        .with(json!({ "type": "servicePrincipal", "id": id_of("payroll"), "appId": id_of("payroll-app"),
            "displayName": "Payroll", "owners": [id_of("olga")], "appRoleAssignedTo": [
                { "id": "1", "principalId": id_of("ana"), "appRoleId": id_of("payroll-role") }] }))
        .with(json!({ "type": "directoryRole", "id": id_of("helpdesk"), "displayName": "Helpdesk Administrator",
            "roleTemplateId": id_of("helpdesk-template"), "members": [id_of("ben")] }))
        .with(json!({ "type": "group", "id": id_of("partners"), "displayName": "Partners", "groupTypes": ["Unified"],
            "members": [id_of("gus"), id_of("ana")], "owners": [id_of("olga")] }))
        .import(&tenant)
        .await;
    tenant
}

async fn created(tenant: &Tenant, body: Value) -> Value {
    let mut said = Conversation::default();
    let made = said.say(&tenant.as_admin(), Method::POST, "/definitions", Some(&body)).await;
    tenant.run_jobs().await;
    said.get(&tenant.as_admin(), &format!("/definitions/{}/instances", made["id"].as_str().unwrap())).await;
    said.redacted()
}

fn quarterly() -> Value {
    json!({ "pattern": { "type": "absoluteMonthly", "interval": 3 },
            "range": { "type": "noEnd", "startDate": "2020-01-01" } })
}

#[tokio::test]
async fn a_quarterly_review_of_guests_in_all_microsoft_365_groups() {
    let tenant = tenant().await;
    let body = json!({
        "displayName": "Guests, every quarter",
        "descriptionForAdmins": "Guests of all Microsoft 365 groups",
        "descriptionForReviewers": "Keep guests you still work with",
        "scope": { "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "query": "./members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')", "queryType": "MicrosoftGraph" },
        "instanceEnumerationScope": { "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "query": "/groups?$filter=(groupTypes/any(c:c+eq+'Unified'))&$count=true", "queryType": "MicrosoftGraph" },
        "reviewers": [resource_owners()],
        "fallbackReviewers": [user("sam")],
        "settings": { "instanceDurationInDays": 14, "mailNotificationsEnabled": true, "recommendationsEnabled": true,
            "defaultDecisionEnabled": true, "defaultDecision": "Recommendation", "recurrence": quarterly() },
    });
    insta::assert_json_snapshot!("guests_of_all_groups", created(&tenant, body).await);
}

#[tokio::test]
async fn inactive_users_of_a_group_reviewed_by_its_owners() {
    let tenant = tenant().await;
    let body = json!({
        "displayName": "Inactive members",
        "scope": { "@odata.type": "#microsoft.graph.accessReviewInactiveUsersQueryScope", "inactiveDuration": "P30D",
            "query": format!("/groups/{}/transitiveMembers", id_of("finance")), "queryType": "MicrosoftGraph" },
        "reviewers": [group_owners("finance")],
        "settings": { "instanceDurationInDays": 3 },
    });
    insta::assert_json_snapshot!("inactive_users", created(&tenant, body).await);
}

#[tokio::test]
async fn users_assigned_to_an_application() {
    let tenant = tenant().await;
    let query = |text: String| json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": text, "queryType": "MicrosoftGraph" });
    let body = json!({
        "displayName": "Payroll",
        "scope": { "@odata.type": "#microsoft.graph.principalResourceMembershipsScope",
            "principalScopes": [query("/users".to_owned())],
            "resourceScopes": [query(format!("/servicePrincipals/{}", id_of("payroll")))] },
        "reviewers": [manager()],
        "fallbackReviewers": [user("sam")],
        "settings": { "instanceDurationInDays": 5, "recommendationsEnabled": true, "recommendationLookBackDuration": "P14D" },
    });
    insta::assert_json_snapshot!("application", created(&tenant, body).await);
}

#[tokio::test]
async fn holders_of_a_directory_role() {
    let tenant = tenant().await;
    let body = json!({
        "displayName": "Helpdesk",
        "scope": { "@odata.type": "#microsoft.graph.accessReviewQueryScope", "queryType": "MicrosoftGraph",
            "query": format!("/roleManagement/directory/roleDefinitions/{}", id_of("helpdesk")) },
        "reviewers": [user("mia")],
        "settings": { "instanceDurationInDays": 5, "justificationRequiredOnApproval": true },
    });
    insta::assert_json_snapshot!("directory_role", created(&tenant, body).await);
}

#[tokio::test]
async fn two_stages_from_the_first_decision_to_the_last() {
    let tenant = tenant().await;
    let (admin, mia, olga) = (tenant.as_admin(), tenant.as_user("mia"), tenant.as_user("olga"));
    let mut said = Conversation::default();
    let body = tenant
        .review()
        .setting("decisionHistoriesForReviewersEnabled", json!(true))
        .stages(&[
            stage(1, 3, &[manager()], &[user("sam")], &["Approve", "NotReviewed"]),
            stage(2, 4, &[group_owners("finance")], &[], &[]),
        ])
        .body;
    let made = said.say(&admin, Method::POST, "/definitions", Some(&body)).await;
    tenant.run_jobs().await;
    let instance = format!("/definitions/{0}/instances/{0}", made["id"].as_str().unwrap());

    let stages = said.get(&admin, &format!("{instance}/stages")).await;
    let first = format!("{instance}/stages/{}", stages["value"][0]["id"].as_str().unwrap());
    let items = said.get(&mia, &format!("{first}/{MINE}?$filter=decision eq 'NotReviewed'&$top=1")).await;
    let item = format!("{first}/decisions/{}", items["value"][0]["id"].as_str().unwrap());
    let deny = json!({ "decision": "Deny", "justification": "Changed teams in May" });
    said.say(&mia, Method::PATCH, &item, Some(&deny)).await;
    said.get(&mia, &item).await;
    let approve = json!({ "decision": "Approve", "justification": "Works on it", "principalId": id_of("ben") });
    said.say(&mia, Method::POST, &format!("{first}/batchRecordDecisions"), Some(&approve)).await;
    said.say(&admin, Method::PATCH, &first, Some(&json!({ "fallbackReviewers": [user("tom")] }))).await;
    said.say(&admin, Method::PATCH, &first, Some(&json!({ "fallbackReviewers": [user("sam"), user("tom")] }))).await;
    said.get(&admin, &format!("{instance}/contactedReviewers?$orderby=displayName")).await;
    said.act(&admin, &format!("{first}/stop")).await;

    let stages = said.get(&admin, &format!("{instance}/stages?$select=id,status")).await;
    let second = format!("{instance}/stages/{}", stages["value"][1]["id"].as_str().unwrap());
    said.get(&olga, &format!("{second}/{MINE}?$select=principal,decision&$count=true")).await;
    said.act(&admin, &format!("{second}/stop")).await;
    said.get(&admin, &instance).await;
    said.act(&admin, &format!("{instance}/applyDecisions")).await;
    tenant.run_jobs().await;
    said.get(&admin, &format!("{instance}/decisions?$filter=applyResult eq 'AppliedSuccessfully'")).await;
    insta::assert_json_snapshot!("two_stages", said.redacted());
}

#[tokio::test]
async fn definitions_are_listed_by_scope_and_changed_as_a_whole() {
    let tenant = tenant().await;
    let admin = tenant.as_admin();
    let mut said = Conversation::default();
    let review = tenant.review().setting("recurrence", quarterly()).create().await;

    let filter = "contains(scope/microsoft.graph.accessReviewQueryScope/query,'/groups')";
    said.get(&admin, &format!("/definitions?$filter={filter}&$top=1&$select=id,status,scope")).await;
    let mut whole = admin.get(&review.path()).await.ok().body;
    whole["displayName"] = json!("Finance, twice a year");
    whole["settings"]["recurrence"]["pattern"]["interval"] = json!(6);
    said.say(&admin, Method::PUT, &review.path(), Some(&whole)).await;
    said.get(&admin, &review.path()).await;
    insta::assert_json_snapshot!("list_and_update", said.redacted());
}

#[tokio::test]
async fn a_report_of_what_was_decided() {
    let tenant = tenant().await;
    let admin = tenant.as_admin();
    tenant.review().running().await;
    let now = tenant.now().await;
    let mut said = Conversation::default();
    let body = json!({
        "displayName": "Last quarter",
        "decisions": ["approve", "deny", "dontKnow", "notReviewed", "notNotified"],
        "reviewHistoryPeriodStartDateTime": now - chrono::TimeDelta::days(90),
        "reviewHistoryPeriodEndDateTime": now + chrono::TimeDelta::days(90),
        "scopes": [{ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "queryType": "MicrosoftGraph",
            "query": "/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '/groups')" }],
    });
    let made = said.say(&admin, Method::POST, "/historyDefinitions", Some(&body)).await;
    tenant.run_jobs().await;
    let path = format!("/historyDefinitions/{}", made["id"].as_str().unwrap());
    said.get(&admin, &format!("{path}?$expand=instances")).await;
    let runs = said.get(&admin, &format!("{path}/instances")).await;
    let run = runs["value"][0]["id"].as_str().unwrap().to_owned();
    said.act(&admin, &format!("{path}/instances/{run}/generateDownloadUri")).await;
    insta::assert_json_snapshot!("report", said.redacted());
}

#[tokio::test]
async fn what_is_wrong_is_said_all_at_once_with_its_place() {
    let tenant = tenant().await;
    let mut said = Conversation::default();
    let body = json!({
        "displayName": "",
        "scope": { "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": "/planets/mars", "queryType": "MicrosoftGraph" },
        "reviewers": [{ "query": "/moons/phobos", "queryType": "MicrosoftGraph" }],
        "settings": { "instanceDurationInDays": -3, "recurrence": { "pattern": { "type": "daily", "interval": 1 }, "range": {} } },
        "stageSettings": [{ "stageId": "1", "durationInDays": 1, "recommendationsEnabled": true },
                          { "stageId": "2", "dependsOn": ["3"], "durationInDays": 1, "recommendationsEnabled": true }],
    });
    said.say(&tenant.as_admin(), Method::POST, "/definitions", Some(&body)).await;
    said.get(&tenant.as_admin(), "/definitions?$filter=colour eq 'red'").await;
    said.get(&tenant.as_admin(), &format!("/definitions/{}", id_of("nothing"))).await;
    said.get(&tenant.as_user("zoe"), "/definitions").await;
    said.get(&tenant.with_authorization(None), "/definitions").await;
    insta::assert_json_snapshot!("refusals", said.redacted());
}
