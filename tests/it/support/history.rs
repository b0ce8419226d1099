//! Reports as tests ask for them and read them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Tenant};

/// A scope of a report: definitions whose own query contains this text.
pub fn history_scope(text: &str) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.accessReviewQueryScope",
        "query": format!("/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '{text}')"),
        "queryType": "MicrosoftGraph",
    })
}

/// A report of everything about groups in these days around `now`.
pub fn history_body(now: DateTime<Utc>) -> Value {
    json!({
        "displayName": "Quarter",
        "scopes": [history_scope("/groups")],
        "reviewHistoryPeriodStartDateTime": now - TimeDelta::days(10),
        "reviewHistoryPeriodEndDateTime": now + TimeDelta::days(10),
    })
}

/// A row of a report by the names of its columns.
pub type ReportLine = HashMap<String, String>;

impl Tenant {
    /// Asks for a report, lets it run, and answers the path of its instance.
    pub async fn report(&self, client: &Client, body: &Value) -> String {
        let created = client.post("/historyDefinitions", body).await.is(201);
        let id = created.text("id");
        self.run_jobs().await;
        format!("/historyDefinitions/{id}/instances/{id}")
    }

    /// Asks for a report, lets it run and downloads it.
    pub async fn rows_of_report(&self, client: &Client, body: &Value) -> Vec<ReportLine> {
        let path = self.report(client, body).await;
        self.download(client, &path).await
    }

    /// Downloads a finished report through a fresh link, without a token.
    pub async fn download(&self, client: &Client, instance: &str) -> Vec<ReportLine> {
        let link = client.act(&format!("{instance}/generateDownloadUri")).await.is(200).text("downloadUri");
        parse(&self.text_behind(&link).await)
    }

    /// What a link leads to, without a token.
    pub async fn text_behind(&self, link: &str) -> String {
        let response = self.with_authorization(None).request(Method::GET, link).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }
}

/// The lines of a report.
pub fn parse(text: &str) -> Vec<ReportLine> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap()
}
