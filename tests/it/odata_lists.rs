//! What every list has in common: counts, orders of several keys, expansion, page sizes as preferred, and refusals that help.

use serde_json::{Value, json};

use crate::support::{Company, Review, Tenant, manager, stage, user};

const MINE: &str = "filterByCurrentUser(on='reviewer')";

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

async fn two_stages(t: &Tenant) -> Review {
    let stages = [
        stage(1, 3, &[manager(), user("mia")], &[], &["Approve", "NotReviewed", "DontKnow"]),
        stage(2, 3, &[user("mia")], &[], &[]),
    ];
    t.review().stages(&stages).running().await
}

/// CL-07, sections 1 and 9 of the API
#[tokio::test]
async fn a_count_is_digits_in_plain_text_with_the_rights_and_filter_of_its_list() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let mia = t.as_user("mia");
    review.decide(&mia, "ana", "Approve").await.is(204);
    let (instance, stage) = (review.instance_path(), review.stage_path(1).await);
    let definition = instance.split("/instances").next().unwrap().to_owned();
    for collection in [
        "/definitions".to_owned(),
        format!("{definition}/instances"),
        format!("{instance}/stages"),
        format!("{instance}/decisions"),
        format!("{stage}/decisions"),
    ] {
        let whole = t.as_admin().get(&format!("{collection}?$top=999")).await.is(200).rows().len();
        let own = mia.get(&format!("{collection}/{MINE}?$top=999")).await.is(200).rows().len();
        for (client, path, expected) in [
            (t.as_admin(), format!("{collection}/$count"), whole),
            (
                t.as_admin(),
                format!("{}/%24COUNT?$top=1&$skip=1", collection.replace("definitions", "Definitions")),
                whole,
            ),
            (mia.clone(), format!("{collection}/{MINE}/$count"), own),
            (t.as_application(), format!("{collection}/{MINE}/$count"), 0),
        ] {
            let answer = client.get(&path).await.is(200);
            assert_eq!(answer.body, json!(expected), "{path}");
            assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8", "{path}");
        }
        t.as_admin().post(&format!("{collection}/$count"), &json!({})).await.refused(405, "MethodNotAllowed");
        mia.get(&format!("{collection}/$count?$search=x")).await.refused(400, "UnsupportedQuery");
    }
    for (filter, expected) in [("decision eq 'Approve'", 1), ("decision in ('Deny','DontKnow')", 0)] {
        let path = format!("{instance}/decisions/$count?$filter={filter}");
        assert_eq!(t.as_admin().get(&path).await.is(200).body, json!(expected), "{filter}");
    }
    // A reviewer reads his own items; the whole list, and so its number, is not his. A-03
    mia.get(&format!("{instance}/decisions/$count")).await.refused(403, "Forbidden");
    t.as_user("tom").get(&format!("{instance}/decisions/$count")).await.refused(404, "ResourceNotFound");
}

/// A-12, section 4 of the OData digest
#[tokio::test]
async fn instances_and_stages_are_sent_along_as_their_lists_show_them() {
    let t = Tenant::with_finance().await;
    let recurrence = json!({
        "pattern": { "type": "weekly", "interval": 1 },
        "range": { "type": "noEnd", "startDate": "2020-01-01" },
    });
    let series = t
        .review()
        .stages(&[stage(1, 1, &[user("mia")], &[], &[]), stage(2, 1, &[user("mia")], &[], &[])])
        .setting("recurrence", recurrence);
    let definition = series.send().await.is(201).text("id");
    t.run_jobs().await;
    t.advance("P15D").await;
    let admin = t.as_admin();
    let path = format!("/definitions/{definition}");
    let instances = admin.get(&format!("{path}/instances")).await.is(200);
    assert_eq!(instances.rows().len(), 3);

    let plain = admin.get(&path).await.is(200);
    assert!(plain.body.get("instances").is_none());
    let expanded = admin.get(&format!("{path}?$expand=instances")).await.is(200);
    assert_eq!(&expanded.body["instances"], &instances.body["value"]);
    assert!(
        expanded.text("@odata.context").ends_with("#identityGovernance/accessReviews/definitions(instances())/$entity")
    );

    let nested =
        format!("{path}?$select=id&$expand=instances($select=status;$top=2;$expand=stages($select=id,status))");
    let nested = admin.get(&nested).await.is(200);
    let first = instances.rows()[0]["id"].as_str().unwrap();
    let stages = admin.get(&format!("{path}/instances/{first}/stages?$select=id,status")).await.is(200);
    assert_eq!(stages.rows().len(), 2);
    let shown = nested.body["instances"].as_array().unwrap();
    assert_eq!(shown.len(), 2);
    let selected = json!({
        "@odata.etag": instances.rows()[0]["@odata.etag"],
        "status": instances.rows()[0]["status"],
        "stages": stages.body["value"],
    });
    assert_eq!(shown[0], selected);
    assert!(nested.body.get("displayName").is_none());
    let rest = admin.get(&nested.text("instances@odata.nextLink")).await.is(200);
    assert_eq!(rest.rows().len(), 1);
    assert_eq!(rest.rows()[0]["status"], instances.rows()[2]["status"]);
    assert_eq!(rest.rows()[0]["stages"].as_array().unwrap().len(), 2);
    assert!(rest.body["@odata.nextLink"].is_null());

    let instance = admin.get(&format!("{path}/instances/{first}?$expand=stages($top=1)")).await.is(200);
    assert_eq!(ids(instance.body["stages"].as_array().unwrap()), ids(&stages.rows()[..1]));
    let rest = admin.get(&instance.text("stages@odata.nextLink")).await.is(200);
    assert_eq!(ids(rest.rows()), ids(&stages.rows()[1..]));

    for refused in [
        "/definitions?$expand=instances".to_owned(),
        format!("/definitions/{MINE}?$expand=instances"),
        format!("{path}/instances/{first}?$expand=decisions"),
        format!("{path}/instances/{first}/decisions?$expand=instance"),
        format!("{path}/instances/{MINE}?$expand=stages"),
    ] {
        let refused = admin.get(&refused).await.refused(400, "UnsupportedQuery");
        assert_eq!(refused.body["error"]["target"], "$expand");
    }
}

/// The right to what is sent along is that of its own list. A-03
#[tokio::test]
async fn expanding_gives_a_reviewer_no_more_than_the_lists_do() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let instance = review.instance_path();
    let definition = instance.split("/instances").next().unwrap().to_owned();
    let mia = t.as_user("mia");

    mia.get(&definition).await.is(200);
    mia.get(&format!("{definition}?$expand=instances")).await.refused(403, "Forbidden");
    let stages = mia.get(&format!("{instance}/stages")).await.is(200);
    let expanded = mia.get(&format!("{instance}?$expand=stages")).await.is(200);
    assert_eq!(expanded.body["stages"], stages.body["value"]);
    t.as_user("tom").get(&format!("{definition}?$expand=instances")).await.refused(404, "ResourceNotFound");
}

/// Section 2 of the OData digest: null sorts before everything, the key comes last
#[tokio::test]
async fn several_keys_in_mixed_directions_order_every_page_of_every_list() {
    let t = Tenant::with_finance().await;
    for number in 0..8 {
        let named = t.review().reviewers(&[user("mia")]).with("displayName", json!(["b", "A", "c"][number % 3]));
        if number % 2 == 0 {
            named.running().await
        } else {
            named.create().await
        };
    }
    let review = two_stages(&t).await;
    let mia = t.as_user("mia");
    for (principal, decision) in [("ana", "Approve"), ("ben", "Deny"), ("cleo", "Approve"), ("dan", "DontKnow")] {
        review.decide(&mia, principal, decision).await.is(204);
    }
    let decisions = format!("{}/decisions", review.instance_path());
    for (client, list, orders) in [
        (
            t.as_admin(),
            "/definitions".to_owned(),
            &[
                "displayName desc,createdDateTime",
                "status,displayName,createdDateTime desc",
                "lastModifiedDateTime desc",
            ][..],
        ),
        (
            t.as_admin(),
            decisions.clone(),
            &[
                "reviewedDateTime",
                "reviewedDateTime desc",
                "decision desc,principal/displayName desc",
                "recommendation,reviewedDateTime desc,principal/displayName",
                "applyResult,decision",
            ],
        ),
        (mia.clone(), format!("{decisions}/{MINE}"), &["decision,reviewedDateTime desc", "principal/displayName desc"]),
    ] {
        for order in orders {
            let whole = client.get(&format!("{list}?$orderby={order}&$top=999")).await.is(200);
            let mut expected = whole.rows().clone();
            let default: Vec<String> = ids(client.get(&format!("{list}?$top=999")).await.is(200).rows());
            expected.sort_by_key(|row| {
                let id = row["id"].as_str().unwrap().to_owned();
                // Items come in the order of their generation, everything else by its id.
                if list.contains("decisions") { default.iter().position(|other| *other == id) } else { None }
            });
            if !list.contains("decisions") {
                expected.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
            }
            expected.sort_by(|left, right| {
                for key in order.split(',') {
                    let (path, direction) = key.split_once(' ').unwrap_or((key, "asc"));
                    let text = |row: &Value| {
                        let value = path.split('/').fold(row.clone(), |value, name| value[name].clone());
                        value.as_str().map(str::to_lowercase)
                    };
                    let ordering = text(left).cmp(&text(right));
                    let ordering = if direction == "desc" { ordering.reverse() } else { ordering };
                    if ordering.is_ne() {
                        return ordering;
                    }
                }
                std::cmp::Ordering::Equal
            });
            assert_eq!(ids(whole.rows()), ids(&expected), "{list} by {order}");
            for size in [1, 2, 3] {
                let (rows, _) = client.all(&format!("{list}?$orderby={order}&$top={size}")).await;
                assert_eq!(ids(&rows), ids(&expected), "{list} by {order}, {size} a page");
            }
            let skipped = client.get(&format!("{list}?$orderby={order}&$skip=3&$top=2")).await.is(200);
            assert_eq!(ids(skipped.rows()), ids(&expected[3..5]), "{list} by {order}");
        }
    }
}

/// Section 8 of the OData digest
#[tokio::test]
async fn a_preferred_page_size_bounds_the_page_and_is_not_remembered() {
    let t = Tenant::with_finance().await;
    for _ in 0..5 {
        t.review().send().await.is(201);
    }
    let get = async |path: &str, preference: &str| {
        let request = t.as_admin().request(reqwest::Method::GET, path).header("prefer", preference);
        crate::support::Answer::of(request.send().await.unwrap()).await.is(200)
    };
    let first = get("/definitions", "odata.maxpagesize=2").await;
    assert_eq!(first.rows().len(), 2);
    assert_eq!(first.headers["preference-applied"], "odata.maxpagesize=2");
    let rest = t.as_admin().get(&first.text("@odata.nextLink")).await.is(200);
    assert_eq!(rest.rows().len(), 3);
    assert!(!rest.headers.contains_key("preference-applied"));
    assert_eq!(get("/definitions?$top=3", "return=minimal, odata.maxpagesize=4").await.rows().len(), 3);
    assert_eq!(get("/definitions?$top=3", "odata.maxpagesize=0").await.rows().len(), 3);
}

/// Section 3.5 of the API, A-10
#[tokio::test]
async fn the_documented_texts_find_reviews_by_their_scope() {
    let t = Tenant::with_finance().await;
    Company::finance().group("other", &["ana"], &[]).import(&t).await;
    let other = crate::support::id_of("other");
    let finance = t.review().send().await.is(201).text("id");
    let scope = format!("/groups/{other}/members");
    let others = t.review().scope(&scope).send().await.is(201).text("id");
    let inactive = json!({
        "@odata.type": "#microsoft.graph.accessReviewInactiveUsersQueryScope",
        "query": format!("/groups/{other}/transitiveMembers"),
        "queryType": "MicrosoftGraph",
        "inactiveDuration": "P30D",
    });
    t.review().with("scope", inactive).send().await.is(201);
    let found = async |filter: &str| {
        let mut found = ids(t.as_admin().get(&format!("/definitions?$filter={filter}")).await.is(200).rows());
        found.sort();
        found
    };
    let mut both = vec![finance.clone(), others.clone()];
    both.sort();
    let cast = "scope/microsoft.graph.accessReviewQueryScope/query";
    for path in [cast, "scope/query"] {
        assert_eq!(found(&format!("contains({path},'/groups')")).await, both);
        assert_eq!(found(&format!("contains({path},'/GROUPS/{other}')")).await, std::slice::from_ref(&others));
        for text in ["./members", "accessPackageAssignments", "roleAssignmentScheduleInstances"] {
            assert_eq!(found(&format!("contains({path}, '{text}')")).await, Vec::<String>::new(), "{text}");
        }
        assert_eq!(found(&format!("not contains({path},'./members')")).await, both);
    }
    for cast in ["accessReviewInactiveUsersQueryScope", "principalResourceMembershipsScope"] {
        let filter = format!("/definitions?$filter=contains(scope/microsoft.graph.{cast}/query,'/groups')");
        t.as_admin().get(&filter).await.refused(400, "UnsupportedQuery");
    }
}

/// CL-03, section 3 of the OData digest
#[tokio::test]
async fn what_is_not_offered_is_refused_by_naming_what_is() {
    let t = Tenant::with_finance().await;
    for (query, code, told) in [
        ("$filter=colour eq 'x'", "UnsupportedQuery", "displayName"),
        ("$filter=status gt 'Applied'", "UnsupportedQuery", "eq, ne, in"),
        ("$filter=createdDateTime gt 'x'", "BadRequest", "2026-03-01T00:00:00Z"),
        ("$filter=displayName eq 5", "BadRequest", "single quotes"),
        ("$filter=reviewers/any(r:r/query eq 'x')", "UnsupportedQuery", "any"),
        ("$filter=displayName eq", "BadRequest", "at character"),
        ("$orderby=reviewers", "UnsupportedQuery", "createdDateTime"),
        ("$select=colour", "UnsupportedQuery", "displayName"),
        ("$search=x", "UnsupportedQuery", "$filter"),
        ("$format=xml", "UnsupportedQuery", "json"),
        ("$apply=x", "UnsupportedQuery", "$filter"),
        ("$top=1&%24TOP=2", "BadRequest", "more than once"),
    ] {
        let refused = t.as_admin().get(&format!("/definitions?{query}")).await.refused(400, code);
        assert!(refused.message().contains(told), "{query}: {}", refused.message());
    }
    for query in ["$format=json", "%24ToP=1", "top=1", "$filter=DisplayName+eq+'x'&$x"] {
        let expected = if query.contains("$x") { 400 } else { 200 };
        t.as_admin().get(&format!("/definitions?{query}")).await.is(expected);
    }
    assert!(
        t.as_admin().get("/definitions?$filter=not(displayName+Eq+'x')&$format=json").await.is(200).rows().is_empty()
    );
}

/// Sections 3 and 13 of the OData digest
#[tokio::test]
async fn items_are_found_by_principal_reviewer_resource_and_id() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let mia = t.as_user("mia");
    for (principal, decision) in [("ana", "Approve"), ("ben", "Deny")] {
        review.decide(&mia, principal, decision).await.is(204);
    }
    let id_of = crate::support::id_of;
    let instance = review.instance_path();
    let stage = review.stage_path(1).await;
    for (client, list) in [
        (t.as_admin(), format!("{instance}/decisions")),
        (mia.clone(), format!("{instance}/decisions/{MINE}")),
        (t.as_admin(), format!("{stage}/decisions")),
    ] {
        let all = client.get(&list).await.is(200);
        let find = |name: &str| {
            let row = all.rows().iter().find(|row| row["principal"]["id"] == id_of(name).to_string().as_str());
            row.unwrap()["id"].as_str().unwrap().to_owned()
        };
        let (ana, ben) = (find("ana"), find("ben"));
        let resource = all.rows()[0]["resource"]["id"].as_str().unwrap().to_owned();
        let rest = || all.rows().len() - 2;
        for (filter, expected) in [
            (format!("id eq '{ana}'"), 1),
            (format!("id in ({ana},'{ben}','x','{resource}')"), 2),
            (format!("id ne {}", ben.to_uppercase()), all.rows().len() - 1),
            (format!("id eq '{resource}'"), 0),
            (format!("principal/id eq '{}'", id_of("ana")), 1),
            (format!("principal/id in ('{}',{}) and decision eq 'Deny'", id_of("ana"), id_of("ben")), 1),
            (format!("reviewedBy/id eq '{}'", id_of("mia")), 2),
            ("reviewedBy/id eq 00000000-0000-0000-0000-000000000000".to_owned(), rest()),
            ("reviewedDateTime eq null".to_owned(), rest()),
            ("reviewedDateTime ne null and reviewedDateTime ge 2020-01-01".to_owned(), 2),
            ("not (reviewedDateTime ge 2020-01-01T00:00:00Z)".to_owned(), rest()),
            (format!("resource/id eq '{resource}' and decision eq 'Approve'"), 1),
            (format!("resource/id ne '{resource}' or id eq '{ana}'"), 1),
            ("contains(principal/displayName,'AN') and startswith(principal/displayName,'a')".to_owned(), 1),
        ] {
            let found = client.get(&format!("{list}?$count=true&$filter={filter}")).await.is(200);
            assert_eq!((found.rows().len(), &found.body["@odata.count"]), (expected, &json!(expected)), "{filter}");
        }
    }
}
