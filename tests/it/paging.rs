//! Pages, their links, and filters against an oracle in memory.

use std::collections::BTreeSet;

use attestry::{
    domain::{decision::Verdict, recommendation::Recommendation, status::Status},
    http::odata::{
        collections::{Allowed, DECISIONS, DEFINITIONS, INSTANCES},
        options::QueryOptions,
    },
    store::filter::{DecisionProperty, DefinitionProperty, FilterValue, InstanceProperty},
};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Company, Review, Tenant, manager, stage, user};

const MINE: &str = "filterByCurrentUser(on='reviewer')";

/// A tenant with a review of a group of 250 users, all of them reviewed by Mia.
async fn of_250(t: &Tenant) -> Review {
    let names: Vec<String> = (0..250).map(|number| format!("user-{number}")).collect();
    let mut company = Company::finance();
    for name in &names {
        company = company.user(name, None);
    }
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    company.group("everybody", &members, &[]).import(t).await;
    let scope = format!("/groups/{}/transitiveMembers", crate::support::id_of("everybody"));
    t.review().scope(&scope).stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Follows links to the end; the rows of each page.
async fn pages(client: &Client, path: &str) -> Vec<Answer> {
    let mut pages = vec![client.get(path).await.is(200)];
    while let Some(link) = pages[pages.len() - 1].body["@odata.nextLink"].as_str().map(str::to_owned) {
        assert!(
            link.starts_with("https://reviews.example/v1.0/identityGovernance/accessReviews/definitions"),
            "{link}"
        );
        pages.push(client.get(&link).await.is(200));
    }
    pages
}

/// CL-24, section 4 of the OData digest
#[tokio::test]
async fn every_row_comes_once_whatever_the_page_size() {
    let t = Tenant::new().await;
    let review = of_250(&t).await;
    let stage = review.stage_path(1).await;
    let instance = review.instance_path();
    for (client, list) in [
        (t.as_admin(), format!("{instance}/decisions")),
        (t.as_user("mia"), format!("{instance}/decisions/{MINE}")),
        (t.as_admin(), format!("{stage}/decisions")),
        (t.as_user("mia"), format!("{stage}/decisions/{MINE}")),
    ] {
        let whole = client.get(&format!("{list}?$top=999")).await.is(200);
        let all = ids(whole.rows());
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 250);
        assert!(whole.body["@odata.nextLink"].is_null());
        for (query, sizes) in [
            ("", vec![100, 100, 50]),
            ("?$top=125", vec![125, 125]),
            ("?$top=250", vec![250]),
            ("?$top=249", vec![249, 1]),
            ("?$skip=240", vec![10]),
            ("?$skip=40&$top=110", vec![110, 100]),
            ("?$skip=250", vec![0]),
            ("?$skip=1000", vec![0]),
            ("?$orderby=decision desc&$top=90", vec![90, 90, 70]),
            ("?$filter=decision eq 'NotReviewed'&$top=200", vec![200, 50]),
            ("?$filter=decision eq 'Approve'", vec![0]),
        ] {
            let pages = pages(&client, &format!("{list}{query}")).await;
            let found: Vec<_> = pages.iter().map(|page| page.rows().len()).collect();
            assert_eq!(found, sizes, "{list}{query}");
            let rows: Vec<String> = pages.iter().flat_map(|page| ids(page.rows())).collect();
            let expected: Vec<_> = all.iter().skip(250 - sizes.iter().sum::<usize>()).cloned().collect();
            assert_eq!(rows, expected, "{list}{query}");
            assert!(pages.iter().all(|page| page.body["@odata.count"].is_null()), "{query}");
        }
    }
    // the largest place that can be asked for
    let far = t.as_admin().get(&format!("{instance}/decisions?$skip=2000000000&$top=999")).await.is(200);
    assert!(far.rows().is_empty());
}

/// LC-STAGE-50 to 52: a page that is read at once shows what the unit of work shows, also of a reviewer whose items lie apart: those of
/// his reports, and those of people without a manager, for whom he stands in.
#[tokio::test]
async fn a_page_of_items_that_lie_apart_is_the_same_however_it_is_read() {
    let t = Tenant::new().await;
    let names: Vec<String> = (0..150).map(|number| format!("user-{number}")).collect();
    let mut company = Company::finance();
    for (name, manager) in names.iter().zip([Some("mia"), Some("noor"), None].iter().cycle()) {
        company = company.user(name, *manager);
    }
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    company.group("everybody", &members, &[]).import(&t).await;
    let scope = format!("/groups/{}/transitiveMembers", crate::support::id_of("everybody"));
    let review = t.review().scope(&scope).reviewers(&[manager()]).fallbacks(&[user("mia")]).running().await;
    let mia = t.as_user("mia");
    for (name, decision) in [("user-0", "Approve"), ("user-3", "Deny"), ("user-2", "DontKnow"), ("user-149", "Deny")] {
        review.decide(&mia, name, decision).await.is(204);
    }
    let list = format!("{}/decisions/{MINE}", review.instance_path());
    let seqs: Vec<i32> = mia.get(&format!("{list}?$top=999")).await.is(200).rows().iter().map(seq).collect();
    assert_eq!(seqs.len(), 100);
    let gaps = seqs.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert_eq!(gaps, 1, "two cohorts with another between them: {seqs:?}");

    for (top, skip) in
        [(1, 0), (7, 0), (7, 46), (7, 49), (7, 50), (50, 0), (50, 50), (60, 45), (100, 99), (100, 100), (9, 500)]
    {
        let page = format!("{list}?$top={top}&$skip={skip}");
        let at_once = mia.get(&page).await.is(200);
        let counted = mia.get(&format!("{page}&$count=true")).await.is(200);
        assert_eq!(at_once.rows(), counted.rows(), "{page}");
        assert_eq!(counted.body["@odata.count"], 100);
    }
    for top in [1, 7, 49, 50, 51] {
        let pages = pages(&mia, &format!("{list}?$top={top}")).await;
        let found: Vec<i32> = pages.iter().flat_map(|page| page.rows().iter().map(seq)).collect();
        assert_eq!(found, seqs, "{top}");
    }
}

/// A page comes with its texts in one, and U+001F between them: one that has it in itself is shown like any other.
#[tokio::test]
async fn a_text_with_a_separator_in_it_is_shown_as_it_is() {
    let t = Tenant::new().await;
    let review = of_250(&t).await;
    let mia = t.as_user("mia");
    let texts = ["", "because", "\u{1f}", "two\u{1f}parts\u{1f}"];
    for (number, text) in texts.iter().enumerate() {
        let path = format!("{}/decisions/{}", review.instance_path(), review.item_id(&format!("user-{number}")).await);
        mia.patch(&path, &json!({ "decision": "DontKnow", "justification": text })).await.is(204);
        let list = format!("{}/decisions/{MINE}?$top=200", review.instance_path());
        let at_once = mia.get(&list).await.is(200);
        let counted = mia.get(&format!("{list}&$count=true")).await.is(200);
        assert_eq!(at_once.rows(), counted.rows(), "{text:?}");
    }
}

/// The number that the last digits of an item's id are.
fn seq(item: &Value) -> i32 {
    let id = item["id"].as_str().unwrap();
    i32::from_str_radix(&id[id.len() - 8..], 16).unwrap()
}

/// Section 5 of the design
#[tokio::test]
async fn a_count_stands_on_every_page_when_it_is_asked_for() {
    let t = Tenant::new().await;
    let review = of_250(&t).await;
    let list = format!("{}/decisions", review.instance_path());
    for (query, count) in [
        ("?$count=true", 250),
        ("?$count=true&$top=200&$skip=30", 250),
        ("?$count=true&$filter=decision eq 'NotReviewed'", 250),
        ("?$count=true&$filter=decision ne 'NotReviewed'", 0),
    ] {
        for page in pages(&t.as_admin(), &format!("{list}{query}")).await {
            assert_eq!(page.body["@odata.count"], count, "{query}");
        }
    }
}

/// Section 4 of the OData digest
#[tokio::test]
async fn a_continuation_counts_for_its_caller_path_and_options_only() {
    let t = Tenant::new().await;
    let review = of_250(&t).await;
    let other = Tenant::with_finance().await;
    let list = format!("{}/decisions", review.instance_path());
    let first = t.as_admin().get(&format!("{list}?$top=50&$count=true")).await.is(200);
    let link = first.text("@odata.nextLink");
    let token = link.split("$skiptoken=").nth(1).unwrap().to_owned();

    let again = t.as_admin().get(&link).await.is(200);
    assert_eq!(again.body["value"], t.as_admin().get(&link).await.is(200).body["value"], "a link can be used twice");
    let respelt = link.replace("$skiptoken", "%24skipToken");
    assert_eq!(t.as_admin().get(&respelt).await.is(200).body["value"], again.body["value"]);

    t.as_reader().get(&link).await.refused(400, "InvalidSkipToken");
    t.as_application().get(&link).await.refused(400, "InvalidSkipToken");
    let stage = review.stage_path(1).await;
    for path in [
        format!("{list}?$count=true&$skiptoken={token}"),
        format!("{list}?$top=51&$count=true&$skiptoken={token}"),
        format!("{list}?$top=50&$skiptoken={token}"),
        format!("{list}?$top=50&$count=true&$orderby=decision&$skiptoken={token}"),
        format!("{list}?$top=50&$count=true&$filter=decision eq 'Deny'&$skiptoken={token}"),
        format!("{list}/{MINE}?$top=50&$count=true&$skiptoken={token}"),
        format!("{stage}/decisions?$top=50&$count=true&$skiptoken={token}"),
        format!("{list}?$top=50&$count=true&$skiptoken="),
        format!("{list}?$top=50&$count=true&$skiptoken=x{token}"),
        format!("{list}?$top=50&$count=true&$skiptoken={}", &token[..token.len() - 2]),
    ] {
        t.as_admin().get(&path).await.refused(400, "InvalidSkipToken");
    }
    for position in [0, token.len() / 2, token.len() - 2] {
        let mut tampered = token.clone().into_bytes();
        tampered[position] = if tampered[position] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        t.as_admin()
            .get(&format!("{list}?$top=50&$count=true&$skiptoken={tampered}"))
            .await
            .refused(400, "InvalidSkipToken");
    }
    let foreign = "/definitions?$top=1";
    for _ in 0..2 {
        t.review().send().await.is(201);
        other.review().send().await.is(201);
    }
    let link = t.as_admin().get(foreign).await.is(200).text("@odata.nextLink");
    t.as_admin().get(&link).await.is(200);
    other.as_admin().get(&link).await.refused(400, "InvalidSkipToken");
}

/// A continuation follows keys, so what comes between changes nothing. Section 4 of the OData digest
#[tokio::test]
async fn rows_that_come_in_meanwhile_do_not_shift_the_pages() {
    let t = Tenant::with_finance().await;
    let mut expected = Vec::new();
    for _ in 0..6 {
        expected.insert(0, t.review().send().await.is(201).text("id"));
    }
    let first = t.as_admin().get("/definitions?$top=3").await.is(200);
    t.review().send().await.is(201);
    t.as_admin().delete(&format!("/definitions/{}", expected[1])).await.is(204);

    let second = t.as_admin().get(&first.text("@odata.nextLink")).await.is(200);

    assert_eq!(ids(first.rows()), expected[..3]);
    assert_eq!(ids(second.rows()), expected[3..]);
    assert!(second.body["@odata.nextLink"].is_null());
}

#[tokio::test]
async fn definitions_page_in_every_order() {
    let t = Tenant::with_finance().await;
    for number in 0..7 {
        let builder = t.review().with("displayName", json!(format!("{} review", ["b", "A", "c"][number % 3])));
        if number % 2 == 0 {
            builder.running().await
        } else {
            builder.create().await
        };
    }
    let all = ids(t.as_admin().get("/definitions").await.is(200).rows());
    let default_order = ids(t.as_admin().get("/definitions?$orderby=createdDateTime desc").await.is(200).rows());
    assert_eq!(default_order, all);
    for order in ["displayName", "displayName desc", "status", "status desc", "createdDateTime", "createdDateTime desc"]
    {
        let whole = t.as_admin().get(&format!("/definitions?$orderby={order}")).await.is(200);
        let (property, _) = order.split_once(' ').unwrap_or((order, ""));
        let mut keys: Vec<String> =
            whole.rows().iter().map(|row| row[property].as_str().unwrap().to_lowercase()).collect();
        if order.ends_with("desc") {
            keys.reverse();
        }
        assert!(keys.is_sorted(), "{order}: {keys:?}");

        let (rows, pages) = t.as_admin().all(&format!("/definitions?$orderby={order}&$top=2")).await;

        assert_eq!(ids(&rows), ids(whole.rows()), "{order}");
        assert_eq!(pages, 4);
        assert_eq!(ids(&rows).into_iter().collect::<BTreeSet<_>>(), all.iter().cloned().collect());
    }
}

/// `parts` alone and combined with each other.
fn combined(parts: &[&str]) -> Vec<String> {
    let mut filters: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    for (position, left) in parts.iter().enumerate() {
        let right = parts[(position + 1) % parts.len()];
        let third = parts[(position + 2) % parts.len()];
        filters.push(format!("not ({left})"));
        filters.push(format!("{left} and {right}"));
        filters.push(format!("{left} or {right} and {third}"));
        filters.push(format!("({left} or {right}) and {third}"));
        filters.push(format!("not ({left} or {right}) or {third}"));
        filters.push(format!("not ({left} and not ({right}))"));
    }
    filters
}

/// The list filtered by the service is the whole list filtered here, for every filter.
async fn assert_filters<P: Copy + 'static>(
    client: &Client,
    list: &str,
    allowed: &Allowed<P>,
    parts: &[&str],
    value_of: impl Fn(&Value, P) -> FilterValue,
) {
    let all = client.get(&format!("{list}?$top=999")).await.is(200);
    let mut some = 0;
    for filter in combined(parts) {
        let options = QueryOptions::parse(&format!("$filter={filter}"), allowed).unwrap();
        let expression = options.filter.unwrap();
        let kept: Vec<Value> =
            all.rows().iter().filter(|row| expression.matches(&|property| value_of(row, property))).cloned().collect();

        let answer = client.get(&format!("{list}?$filter={filter}&$count=true&$top=999")).await.is(200);
        let paged = client.all(&format!("{list}?$filter={filter}&$top=2")).await.0;

        assert_eq!(ids(answer.rows()), ids(&kept), "{filter}");
        assert_eq!(ids(&paged), ids(&kept), "{filter}");
        assert_eq!(answer.body["@odata.count"], kept.len(), "{filter}");
        some += usize::from(!kept.is_empty() && kept.len() < all.rows().len());
    }
    assert!(some > parts.len(), "the filters tell nothing apart");
}

fn member(known: &[&'static str], value: &Value) -> FilterValue {
    let value = value.as_str().unwrap();
    FilterValue::Member(known.iter().copied().find(|word| *word == value).unwrap())
}

fn id_value(value: &Value) -> FilterValue {
    FilterValue::Id(value.as_str().unwrap().parse().unwrap())
}

fn text_value(value: &Value) -> FilterValue {
    FilterValue::Text(value.as_str().unwrap().to_owned())
}

fn instant_value(value: &Value) -> FilterValue {
    value.as_str().map_or(FilterValue::Null, |text| FilterValue::Instant(text.parse().unwrap()))
}

/// The query where the filter sees one. A-10
fn scope_value(scope: &Value) -> FilterValue {
    match scope["@odata.type"] == "#microsoft.graph.accessReviewQueryScope" {
        true => text_value(&scope["query"]),
        false => FilterValue::Null,
    }
}

/// Section 3 of the OData digest
#[tokio::test]
async fn decisions_are_filtered_as_in_memory() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .setting("decisionHistoriesForReviewersEnabled", json!(true))
        .stages(&[
            stage(1, 3, &[manager(), user("mia")], &[], &["Approve", "NotReviewed", "DontKnow"]),
            stage(2, 3, &[user("mia")], &[], &[]),
        ])
        .running()
        .await;
    let mia = t.as_user("mia");
    for (principal, decision) in
        [("ana", "Approve"), ("ben", "Deny"), ("cleo", "DontKnow"), ("dan", "Approve"), ("fay", "Deny")]
    {
        review.decide(&mia, principal, decision).await.is(204);
    }
    let first = review.stage_path(1).await;
    t.advance("P3D").await;
    for (principal, decision) in [("ana", "Deny"), ("eve", "Approve")] {
        review.decide(&mia, principal, decision).await.is(204);
    }
    let second = review.stage_path(2).await;
    let parts = [
        "decision eq 'Approve'",
        "decision ne 'Deny'",
        "decision in ('DontKnow','NotReviewed')",
        "recommendation eq 'NoInfoAvailable'",
        "decision eq 'NotReviewed'",
        "applyResult ne 'New'",
        "decision eq null",
        "decision ne null",
    ];
    let value_of = |row: &Value, property| match property {
        DecisionProperty::Decision => member(&Verdict::ALL.map(Verdict::as_str), &row["decision"]),
        DecisionProperty::Recommendation => {
            member(&Recommendation::ALL.map(Recommendation::as_str), &row["recommendation"])
        }
        DecisionProperty::ApplyResult => member(&["New"], &row["applyResult"]),
        DecisionProperty::Id => id_value(&row["id"]),
        DecisionProperty::PrincipalId => id_value(&row["principal"]["id"]),
        DecisionProperty::PrincipalName => text_value(&row["principal"]["displayName"]),
        DecisionProperty::ResourceId => id_value(&row["resource"]["id"]),
        DecisionProperty::ReviewerId => id_value(&row["reviewedBy"]["id"]),
        DecisionProperty::ReviewedDateTime => instant_value(&row["reviewedDateTime"]),
    };
    let instance = review.instance_path();
    for (client, list) in [
        (t.as_admin(), format!("{instance}/decisions")),
        (mia.clone(), format!("{instance}/decisions/{MINE}")),
        (t.as_admin(), format!("{first}/decisions")),
        (mia.clone(), format!("{first}/decisions/{MINE}")),
        (t.as_admin(), format!("{second}/decisions")),
        (mia.clone(), format!("{second}/decisions/{MINE}")),
    ] {
        assert_filters(&client, &list, &DECISIONS, &parts, value_of).await;
        for order in ["decision", "decision desc", "recommendation", "applyResult desc"] {
            let whole = client.get(&format!("{list}?$orderby={order}")).await.is(200);
            let (property, _) = order.split_once(' ').unwrap_or((order, ""));
            let mut keys: Vec<_> = whole.rows().iter().map(|row| row[property].as_str().unwrap()).collect();
            if order.ends_with("desc") {
                keys.reverse();
            }
            assert!(keys.is_sorted(), "{list} by {order}: {keys:?}");
            let (rows, _) = client.all(&format!("{list}?$orderby={order}&$top=2")).await;
            assert_eq!(ids(&rows), ids(whole.rows()), "{list} by {order}");
        }
    }
}

#[tokio::test]
async fn definitions_and_instances_are_filtered_as_in_memory() {
    let t = Tenant::with_finance().await;
    let recurrence = json!({
        "pattern": { "type": "weekly", "interval": 1 },
        "range": { "type": "noEnd", "startDate": "2020-01-01" },
    });
    let named = |name: &str| t.review().reviewers(&[user("mia")]).with("displayName", json!(name));
    named("Ended").setting("instanceDurationInDays", json!(1)).running().await;
    let series =
        named("Übersicht 100% of 'all'").setting("recurrence", recurrence).setting("instanceDurationInDays", json!(3));
    let series = series.send().await.is(201).text("id");
    t.run_jobs().await;
    t.advance("P15D").await;
    named("Running_now").running().await;
    named("running late").running().await;
    named("Not yet").create().await;

    let parts = [
        "status eq 'InProgress'",
        "status ne 'Completed'",
        "status in ('NotStarted','Completed')",
        "displayName eq 'RUNNING LATE'",
        "startswith(displayName,'running')",
        "contains(displayName,'100% OF ''all')",
        "contains(displayName,'g_n')",
        "contains(displayName,'ÜBER')",
    ];
    let value_of = |row: &Value, property| match property {
        DefinitionProperty::Status => member(&Status::ALL.map(Status::as_str), &row["status"]),
        DefinitionProperty::DisplayName => text_value(&row["displayName"]),
        DefinitionProperty::CreatedDateTime => instant_value(&row["createdDateTime"]),
        DefinitionProperty::LastModifiedDateTime => instant_value(&row["lastModifiedDateTime"]),
        DefinitionProperty::Id => id_value(&row["id"]),
        DefinitionProperty::CreatorId => id_value(&row["createdBy"]["id"]),
        DefinitionProperty::ScopeQuery => scope_value(&row["scope"]),
    };
    let encoded: Vec<String> = parts.iter().map(|part| part.replace('%', "%25")).collect();
    let encoded: Vec<&str> = encoded.iter().map(String::as_str).collect();
    assert_filters(&t.as_admin(), "/definitions", &DEFINITIONS, &encoded, value_of).await;
    assert_filters(&t.as_user("mia"), &format!("/definitions/{MINE}"), &DEFINITIONS, &encoded, value_of).await;

    let parts = [
        "status eq 'Completed'",
        "status ne 'InProgress'",
        "status in ('InProgress','NotStarted')",
        "status eq 'Failed'",
    ];
    let value_of = |row: &Value, property| match property {
        InstanceProperty::Status => member(&Status::ALL.map(Status::as_str), &row["status"]),
        InstanceProperty::StartDateTime => instant_value(&row["startDateTime"]),
        InstanceProperty::EndDateTime => instant_value(&row["endDateTime"]),
        InstanceProperty::Id => id_value(&row["id"]),
        InstanceProperty::ScopeQuery => scope_value(&row["scope"]),
    };
    let list = format!("/definitions/{series}/instances");
    assert_filters(&t.as_admin(), &list, &INSTANCES, &parts, value_of).await;
    assert_filters(&t.as_user("mia"), &format!("{list}/{MINE}"), &INSTANCES, &parts, value_of).await;
}
