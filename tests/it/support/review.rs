//! Reviews as tests describe them.

use serde_json::{Value, json};

use super::{Answer, Client, Tenant, id_of};

///
pub fn user(name: &str) -> Value {
    json!({ "query": format!("/users/{}", id_of(name)), "queryType": "MicrosoftGraph" })
}

///
pub fn group_members(name: &str) -> Value {
    json!({ "query": format!("/groups/{}/transitiveMembers", id_of(name)), "queryType": "MicrosoftGraph" })
}

///
pub fn group_owners(name: &str) -> Value {
    json!({ "query": format!("/groups/{}/owners", id_of(name)), "queryType": "MicrosoftGraph" })
}

///
pub fn resource_owners() -> Value {
    json!({ "query": "./owners", "queryType": "MicrosoftGraph" })
}

///
pub fn manager() -> Value {
    json!({ "query": "./manager", "queryType": "MicrosoftGraph", "queryRoot": "decisions" })
}

/// Stage settings; `moves` is `decisionsThatWillMoveToNextStage`.
pub fn stage(number: usize, days: u32, reviewers: &[Value], fallbacks: &[Value], moves: &[&str]) -> Value {
    let mut settings = json!({
        "stageId": number.to_string(),
        "durationInDays": days,
        "recommendationsEnabled": false,
        "reviewers": reviewers,
        "fallbackReviewers": fallbacks,
        "decisionsThatWillMoveToNextStage": moves,
    });
    if number > 1 {
        settings["dependsOn"] = json!([(number - 1).to_string()]);
    }
    settings
}

/// A definition body under construction: the group `finance`, all members however nested, for 10 days, one time, starting now.
pub struct ReviewBuilder<'a> {
    tenant: &'a Tenant,
    pub body: Value,
}

impl<'a> ReviewBuilder<'a> {
    pub(super) fn new(tenant: &'a Tenant) -> Self {
        let body = json!({
            "displayName": "Finance-ERP",
            "descriptionForAdmins": "for admins",
            "descriptionForReviewers": "for reviewers",
            "scope": {
                "@odata.type": "#microsoft.graph.accessReviewQueryScope",
                "query": format!("/groups/{}/transitiveMembers", id_of("finance")),
                "queryType": "MicrosoftGraph",
            },
            "reviewers": [user("mia")],
            "settings": { "instanceDurationInDays": 10 },
        });
        Self { tenant, body }
    }

    /// Replaces a top-level member.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.body[member] = value;
        self
    }

    /// Replaces a member of `settings`.
    pub fn setting(mut self, member: &str, value: Value) -> Self {
        self.body["settings"][member] = value;
        self
    }

    /// The scope's query.
    pub fn scope(mut self, query: &str) -> Self {
        self.body["scope"]["query"] = json!(query);
        self
    }

    pub fn reviewers(self, reviewers: &[Value]) -> Self {
        self.with("reviewers", json!(reviewers))
    }

    pub fn fallbacks(self, fallbacks: &[Value]) -> Self {
        self.with("fallbackReviewers", json!(fallbacks))
    }

    pub fn stages(self, stages: &[Value]) -> Self {
        self.with("stageSettings", json!(stages))
    }

    /// The body of its creation.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// Sends it as the admin and hands out the answer as it is.
    pub async fn send(self) -> Answer {
        self.tenant.as_admin().post("/definitions", &self.body).await
    }

    /// Creates it as the admin, without running any job.
    pub async fn create(self) -> Review {
        let tenant = self.tenant;
        let definition = self.send().await.is(201).text("id");
        Review { definition: definition.clone(), instance: definition, admin: tenant.as_admin() }
    }

    /// Creates it and opens its first occurrence.
    pub async fn running(self) -> Review {
        let tenant = self.tenant;
        let review = self.create().await;
        tenant.run_jobs().await;
        review
    }
}

/// A created one-time review.
#[derive(Clone)]
pub struct Review {
    pub definition: String,
    pub instance: String,
    admin: Client,
}

impl Review {
    /// `/definitions/{d}`
    pub fn path(&self) -> String {
        format!("/definitions/{}", self.definition)
    }

    /// `/definitions/{d}/instances/{i}`
    pub fn instance_path(&self) -> String {
        format!("{}/instances/{}", self.path(), self.instance)
    }

    /// The stages created so far, first to last.
    pub async fn stages(&self) -> Vec<Value> {
        self.admin.get(&format!("{}/stages", self.instance_path())).await.ok().rows().clone()
    }

    /// `…/stages/{s}` of stage `number` (from 1).
    pub async fn stage_path(&self, number: usize) -> String {
        let stages = self.stages().await;
        format!("{}/stages/{}", self.instance_path(), stages[number - 1]["id"].as_str().unwrap())
    }

    /// Statuses of the stages created so far.
    pub async fn stage_statuses(&self) -> Vec<String> {
        self.stages().await.iter().map(|stage| stage["status"].as_str().unwrap().to_owned()).collect()
    }

    /// The instance's status.
    pub async fn status(&self) -> String {
        self.admin.get(&self.instance_path()).await.ok().text("status")
    }

    /// Every item as the admin sees it in the instance.
    pub async fn items(&self) -> Vec<Value> {
        self.admin.all(&format!("{}/decisions", self.instance_path())).await.0
    }

    /// The item of a principal, as the admin sees it in the instance.
    pub async fn item(&self, principal: &str) -> Value {
        let filter = format!("principal/id%20eq%20'{}'", id_of(principal));
        let (items, _) = self.admin.all(&format!("{}/decisions?$filter={filter}", self.instance_path())).await;
        items.into_iter().next().unwrap_or_else(|| panic!("no {principal}"))
    }

    /// The id of a principal's item.
    pub async fn item_id(&self, principal: &str) -> String {
        self.item(principal).await["id"].as_str().unwrap().to_owned()
    }

    /// Records a decision on the instance path.
    pub async fn decide(&self, reviewer: &Client, principal: &str, decision: &str) -> Answer {
        let path = format!("{}/decisions/{}", self.instance_path(), self.item_id(principal).await);
        reviewer.patch(&path, &json!({ "decision": decision, "justification": "because" })).await
    }

    /// Short names of the principals in a list of items, sorted.
    pub fn principals(items: &[Value], names: &[&str]) -> Vec<String> {
        let mut found: Vec<_> = items
            .iter()
            .map(|item| {
                let id = item["principal"]["id"].as_str().unwrap();
                let known = names.iter().find(|name| id_of(name).to_string() == id);
                known.map_or_else(|| id.to_owned(), |name| (*name).to_owned())
            })
            .collect();
        found.sort();
        found
    }
}
