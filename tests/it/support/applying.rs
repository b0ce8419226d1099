//! What tests of applying look at: a review that ended, what became of its items, and the directory afterwards.

use std::{collections::BTreeMap, sync::Arc};

use attestry::mail::NoMailer;
use serde_json::Value;

use super::{Company, Database, Review, ReviewBuilder, Tenant, object_id};

/// `…/applyDecisions`
pub fn apply_path(review: &Review) -> String {
    format!("{}/applyDecisions", review.instance_path())
}

/// A review that ended at its end date, after Mia decided.
pub async fn ended(t: &Tenant, review: ReviewBuilder<'_>, decisions: &[(&str, &str)]) -> Review {
    let review = review.running().await;
    for (name, decision) in decisions {
        review.decide(&t.as_user("mia"), name, decision).await.is(204);
    }
    t.advance("P10D").await;
    review
}

/// The admin has the decisions applied, and the jobs do it.
pub async fn applied(t: &Tenant, review: &Review) {
    t.as_admin().act(&apply_path(review)).await.is(204);
    assert_eq!(review.status().await, "Applying");
    t.run_jobs().await;
}

/// `applyResult` by display name.
pub async fn results(review: &Review) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = review.items().await;
    items.iter().map(|item| (text(&item["principal"]["displayName"]), text(&item["applyResult"]))).collect()
}

/// Ids of a group's direct members.
pub async fn members(t: &Tenant, group: &str) -> Vec<String> {
    column_where(t, "group_members", "group_id", group, "member_id").await
}

/// The ids in `column` of the rows of `table` whose `key` is the id of this name, sorted.
pub async fn column_where(t: &Tenant, table: &str, key: &str, name: &str, column: &str) -> Vec<String> {
    let id = object_id(name);
    let rows = t.table(table).await;
    let mut found: Vec<_> =
        rows.iter().filter(|row| row[key] == id.as_str()).map(|row| row[column].as_str().unwrap().to_owned()).collect();
    found.sort();
    found
}

/// Whether an account is enabled; `None` when there is none.
pub async fn account(t: &Tenant, name: &str) -> Option<bool> {
    let id = object_id(name);
    t.table("users").await.iter().find(|row| row["user_id"] == id.as_str()).map(|row| row["account_enabled"] == true)
}

/// `partners`: the guests `gus` and `gil`, who owns it and manages `una`.
pub async fn with_guests(t: &Tenant) {
    Company::finance()
        .with(serde_json::json!({ "type": "user", "id": object_id("gil"), "userPrincipalName": "gil@partner.example",
            "displayName": "gil", "userType": "Guest" }))
        .user("una", Some("gil"))
        .group("partners", &[super::GUEST, "gil"], &["gil"])
        .import(t)
        .await;
}

/// A review of the guests in `partners` that disables and deletes whom it denies.
pub fn of_guests(t: &Tenant) -> ReviewBuilder<'_> {
    let scope = format!(
        "/groups/{}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')",
        object_id("partners")
    );
    let delete = serde_json::json!([{ "@odata.type": "#microsoft.graph.disableAndDeleteUserApplyAction" }]);
    t.review().scope(&scope).setting("applyActions", delete)
}

/// A tenant alone in its database, so that triggers meet nobody else.
pub async fn alone(company: &Company) -> Tenant {
    let t = Tenant::on(Database::own().await, Arc::new(NoMailer), true).await;
    company.import(&t).await;
    t
}

/// From now on `operation` on rows of `table` whose `column` is one of these people's ids fails with this SQLSTATE.
pub async fn refuse(t: &Tenant, operation: &str, table: &str, column: &str, names: &[&str], code: &str) {
    let ids: Vec<_> = names.iter().map(|name| format!("'{}'", object_id(name))).collect();
    t.database
        .execute(&format!(
            "create or replace function refuse() returns trigger language plpgsql
             as $$ begin raise exception 'not now' using errcode = '{code}'; end $$;
             create trigger refuse before {operation} on {table} for each row
             when (old.{column} in ({})) execute function refuse()",
            ids.join(", ")
        ))
        .await;
}
