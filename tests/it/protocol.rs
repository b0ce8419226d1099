//! Paths, verbs, headers and query options: what holds for every route alike.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Review, Tenant, manager, stage, user};

const ROOT: &str = "//v1.0/identityGovernance/accessReviews";
const MINE: &str = "filterByCurrentUser(on='reviewer')";

async fn two_stages(t: &Tenant) -> Review {
    t.review()
        .stages(&[stage(1, 3, &[manager()], &[user("sam")], &[]), stage(2, 3, &[user("olga")], &[], &[])])
        .running()
        .await
}

/// Every path with the verbs it offers, as `Allow` tells them.
async fn paths(review: &Review) -> Vec<(String, &'static str)> {
    let (definition, instance) = (review.path(), review.instance_path());
    let stage = review.stage_path(1).await;
    let item = review.item_id("ana").await;
    vec![
        (String::new(), "GET"),
        ("/definitions".to_owned(), "GET, POST"),
        (format!("/definitions/{MINE}"), "GET"),
        (definition.clone(), "GET, PUT, PATCH, DELETE"),
        (format!("{definition}/stop"), "POST"),
        (format!("{definition}/instances"), "GET"),
        (format!("{definition}/instances/{MINE}"), "GET"),
        (instance.clone(), "GET, PUT, PATCH"),
        (format!("{instance}/sendReminder"), "POST"),
        (format!("{instance}/contactedReviewers"), "GET"),
        (format!("{instance}/contactedReviewers/{item}"), "GET"),
        (format!("{instance}/stop"), "POST"),
        (format!("{instance}/stages"), "GET"),
        (format!("{instance}/stages/{MINE}"), "GET"),
        (stage.clone(), "GET, PATCH"),
        (format!("{stage}/stop"), "POST"),
        (format!("{instance}/decisions"), "GET"),
        (format!("{instance}/decisions/{MINE}"), "GET"),
        (format!("{instance}/decisions/{item}"), "GET, PATCH"),
        (format!("{stage}/decisions"), "GET"),
        (format!("{stage}/decisions/{MINE}"), "GET"),
        (format!("{stage}/decisions/{item}"), "GET, PATCH"),
        ("//attestry/v1/sandbox/clock".to_owned(), "POST"),
    ]
}

/// Section 7 of the OData digest
#[tokio::test]
async fn a_verb_that_is_not_offered_is_refused_with_those_that_are() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    for (path, allow) in paths(&review).await {
        let all = format!("{}, OPTIONS", allow.replace("GET", "GET, HEAD"));
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            if allow.split(", ").any(|offered| offered == method) {
                continue;
            }
            let answer = t.as_admin().send(method.parse().unwrap(), &path, Some(&json!({}))).await;

            let answer = answer.refused(405, "MethodNotAllowed");
            assert_eq!(answer.headers["allow"], all, "{method} {path}");
        }
        let asked = t.with_authorization(None).send(Method::OPTIONS, &path, None).await.is(204);
        assert_eq!(asked.headers["allow"], all, "{path}");
    }
    assert_eq!(t.events().await, before);
}

#[tokio::test]
async fn what_is_not_there_answers_404_in_graphs_form() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    for path in [
        "/definition".to_owned(),
        "/historyDefinitions".to_owned(),
        "/unified/definitions".to_owned(),
        format!("{}/nothing", review.path()),
        "//v1.0".to_owned(),
        "//beta/identityGovernance/accessReviews/definitions".to_owned(),
        "//nothing".to_owned(),
    ] {
        t.as_admin().get(&path).await.refused(404, "ResourceNotFound");
    }
}

/// Section 13 of the OData digest: an id that is no GUID names nothing.
#[tokio::test]
async fn an_id_that_is_no_guid_or_names_nothing_answers_404_at_every_place() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    let stage = review.stages().await[0]["id"].as_str().unwrap().to_owned();
    let item = review.item_id("ana").await;
    let body = json!({ "decision": "Deny" });
    let ids = [&review.definition, &review.instance, &stage, &item];
    for place in 0..4 {
        for wrong in [
            "x",
            "1",
            "not%20a%20guid",
            "%27%20or%201=1--",
            "00000000-0000-0000-0000-000000000000",
            "6f9619ff-8b86-4011-b42d-00c04fc964ff",
        ] {
            let [definition, instance, stage, item] =
                std::array::from_fn(|number| if number == place { wrong } else { ids[number].as_str() });
            let definition = format!("/definitions/{definition}");
            let instance = format!("{definition}/instances/{instance}");
            let stage = format!("{instance}/stages/{stage}");
            let all = [
                (0, Method::GET, definition.clone()),
                (0, Method::DELETE, definition.clone()),
                (0, Method::GET, format!("{definition}/instances")),
                (0, Method::GET, format!("{definition}/instances/{MINE}")),
                (1, Method::GET, instance.clone()),
                (1, Method::POST, format!("{instance}/stop")),
                (1, Method::GET, format!("{instance}/stages")),
                (1, Method::GET, format!("{instance}/stages/{MINE}")),
                (1, Method::GET, format!("{instance}/decisions")),
                (1, Method::GET, format!("{instance}/decisions/{MINE}")),
                (2, Method::GET, stage.clone()),
                (2, Method::POST, format!("{stage}/stop")),
                (2, Method::GET, format!("{stage}/decisions")),
                (2, Method::GET, format!("{stage}/decisions/{MINE}")),
                (3, Method::GET, format!("{stage}/decisions/{item}")),
                (3, Method::PATCH, format!("{stage}/decisions/{item}")),
            ];
            for (named, method, path) in all {
                if named < place {
                    continue;
                }
                let sent = (method == Method::PATCH).then_some(&body);
                t.as_admin().send(method, &path, sent).await.refused(404, "ResourceNotFound");
            }
            if place != 2 {
                let path = format!("{instance}/decisions/{item}");
                t.as_admin().get(&path).await.refused(404, "ResourceNotFound");
                t.as_user("mia").patch(&path, &body).await.refused(404, "ResourceNotFound");
            }
        }
    }
    assert_eq!(t.events().await, before);
}

/// CL-01, CL-04, section 3.1 of the API
#[tokio::test]
async fn every_spelling_of_a_path_means_the_same() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let (d, i) = (&review.definition, &review.instance);
    let stage = review.stages().await[0]["id"].as_str().unwrap().to_owned();
    let item = review.item_id("ana").await;
    let plain = format!("{ROOT}/definitions/{d}/instances/{i}/stages/{stage}/decisions/{item}");
    let expected = t.as_admin().get(&plain).await.is(200);
    for path in [
        format!("{plain}/"),
        format!(
            "//v1.0//identityGovernance///accessReviews/definitions//{d}/instances/{i}/stages/{stage}/decisions/{item}"
        ),
        format!(
            "//V1.0/IdentityGovernance/ACCESSREVIEWS/Definitions/{d}/INSTANCES/{i}/Stages/{stage}/Decisions/{item}"
        ),
        format!("{ROOT}/definitions('{d}')/instances('{i}')/stages('{stage}')/decisions('{item}')"),
        format!("{ROOT}/definitions({d})/instances/{i}/stages(id='{stage}')/decisions/{item}"),
        format!("{ROOT}/definitions(%27{d}%27)/instances%28%27{i}%27%29/stages/{stage}/decisions/{item}"),
    ] {
        let answer = t.as_admin().get(&path).await.is(200);
        assert_eq!(answer.body, expected.body, "{path}");
    }
    let shouted = plain.replace(&item, &item.to_uppercase());
    assert_eq!(t.as_admin().get(&shouted).await.is(200).body["id"], item.as_str());
}

/// CL-04
#[tokio::test]
async fn every_spelling_of_the_function_means_the_same() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let list = format!("{}/decisions", review.instance_path());
    let expected = t.as_user("mia").get(&format!("{list}/{MINE}")).await.is(200);
    for function in [
        "filterByCurrentUser%28on%3D%27reviewer%27%29",
        "filterByCurrentUser(on=%27reviewer%27)",
        "microsoft.graph.filterByCurrentUser(on='reviewer')",
        "microsoft.graph.filterByCurrentUser%28on='reviewer'%29",
        "FilterByCurrentUser(on='reviewer')/",
    ] {
        let answer = t.as_user("mia").get(&format!("{list}/{function}")).await.is(200);
        assert_eq!(answer.body["value"], expected.body["value"], "{function}");
    }
    for function in [
        "filterByCurrentUser",
        "filterByCurrentUser()",
        "filterByCurrentUser(on='creator')",
        "filterByCurrentUser(on=reviewer)",
    ] {
        let answer = t.as_user("mia").get(&format!("{list}/{function}")).await.refused(400, "BadRequest");
        assert!(answer.message().contains("filterByCurrentUser(on='reviewer')"), "{}", answer.message());
    }
}

/// Section 3.1 of the API
#[tokio::test]
async fn every_spelling_of_an_action_means_the_same() {
    let t = Tenant::with_finance().await;
    for action in ["stop", "microsoft.graph.stop", "Stop", "stop/", "Microsoft.Graph.STOP"] {
        let review = t.review().running().await;
        t.as_admin().act(&format!("{}/{action}", review.instance_path())).await.is(204);
    }
}

/// Section 8 of the OData digest, CL-09
#[tokio::test]
async fn every_answer_carries_the_headers_clients_log() {
    let t = Tenant::with_finance().await;
    let id = "5bd16aaa-0a1f-4d30-8a4a-6d2f2b0a63f2";
    let request = t.as_admin().request(Method::GET, "/definitions").header("client-request-id", id);

    let answer = Answer::of(request.send().await.unwrap()).await.is(200);

    assert_eq!(answer.headers["client-request-id"], id);
    assert_eq!(answer.headers["request-id"].len(), 36);
    assert_eq!(answer.headers["odata-version"], "4.0");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(
        answer.headers["content-type"],
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    );

    let request = t.as_admin().request(Method::GET, "/definitions/x").header("client-request-id", id);
    let refused = Answer::of(request.send().await.unwrap()).await.refused(404, "ResourceNotFound");
    assert_eq!(refused.headers["client-request-id"], id);
    assert_eq!(refused.body["error"]["innerError"]["client-request-id"], id);
    assert_eq!(refused.body["error"]["innerError"]["request-id"], refused.headers["request-id"].to_str().unwrap());
}

/// Section 2 of the OData digest, CL-03
#[tokio::test]
async fn options_are_read_in_every_spelling() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let list = format!("{}/decisions", review.instance_path());
    for query in ["$top=2", "%24top=2", "$TOP=2", "$Top=%32", "top=2", "$top=2&unknown=1"] {
        let answer = t.as_admin().get(&format!("{list}?{query}")).await.is(200);
        assert_eq!(answer.rows().len(), 2, "{query}");
    }
    let filtered = format!("{list}?%24filter=decision%20eq+%27NotReviewed%27&$orderBy=decision");
    assert_eq!(t.as_admin().get(&filtered).await.is(200).rows().len(), 7);
}

/// Section 2 of the OData digest, A-06
#[tokio::test]
async fn an_option_that_is_wrong_or_not_offered_is_refused_and_named() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    let lists = [
        "/definitions".to_owned(),
        format!("{}/instances", review.path()),
        format!("{}/stages", review.instance_path()),
        format!("{}/decisions", review.instance_path()),
        format!("{stage}/decisions"),
    ];
    for list in &lists {
        for (query, code, option) in [
            ("$top=0", "BadRequest", "$top"),
            ("$top=-1", "BadRequest", "$top"),
            ("$top=1000", "BadRequest", "$top"),
            ("$top=abc", "BadRequest", "$top"),
            ("$top=", "BadRequest", "$top"),
            ("$skip=-1", "BadRequest", "$skip"),
            ("$skip=10001", "BadRequest", "$skip"),
            ("$count=yes", "BadRequest", "$count"),
            ("$top=1&$top=1", "BadRequest", "$top"),
            ("$top=1&%24TOP=2", "BadRequest", "$top"),
            ("$filter=", "BadRequest", "$filter"),
            ("$filter=status", "BadRequest", "$filter"),
            ("$filter=color eq 'red'", "UnsupportedQuery", "$filter"),
            ("$orderby=color", "UnsupportedQuery", "$orderby"),
            ("$expand=color", "UnsupportedQuery", "$expand"),
            ("$search=x", "UnsupportedQuery", "$search"),
            ("$format=xml", "UnsupportedQuery", "$format"),
            ("$apply=x", "UnsupportedQuery", "$apply"),
            ("$skiptoken=abc", "InvalidSkipToken", "continuation"),
        ] {
            let answer = t.as_admin().get(&format!("{list}?{query}")).await.refused(400, code);
            let target = answer.body["error"]["target"].as_str().unwrap_or_default();
            assert!(target == option || answer.message().contains(option), "{query}: {:#}", answer.body);
        }
        t.as_admin().get(&format!("{list}?$top=999&$skip=10000&$format=json&$count=false")).await.is(200);
    }
    let offered =
        t.as_admin().get(&format!("{}?$filter=color eq 'red'", lists[3])).await.refused(400, "UnsupportedQuery");
    for property in ["`color`", "decision", "applyResult", "recommendation"] {
        assert!(offered.message().contains(property), "{}", offered.message());
    }
    for entity in [review.path(), review.instance_path(), stage] {
        for query in
            ["$top=1", "$filter=status eq 'InProgress'", "$orderby=status", "$count=true", "$skip=1", "$search=x"]
        {
            t.as_admin().get(&format!("{entity}?{query}")).await.refused(400, "UnsupportedQuery");
        }
    }
}

///
#[tokio::test]
async fn select_leaves_what_it_names_and_annotations() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    let item = review.item_id("ana").await;
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (path, select, expected) in [
        (review.path(), "id,status", ["id", "status"]),
        (review.instance_path(), "status,scope", ["status", "scope"]),
        (stage.clone(), "id, endDateTime", ["id", "endDateTime"]),
        (format!("{}/decisions/{item}", review.instance_path()), "id,decision,color", ["id", "decision"]),
    ] {
        let answer = t.as_admin().get(&format!("{path}?$select={select}")).await.is(200);
        let (parent, _) = path.rsplit_once('/').unwrap();
        let listed = t.as_admin().get(&format!("{parent}?$select={select}&$top=1")).await.is(200);

        assert_eq!(keys(&answer.body)[..2], ["@odata.context", "@odata.etag"]);
        let mut found = keys(&answer.body).split_off(1);
        assert_eq!(keys(&listed.rows()[0]), found);
        found.retain(|name| !name.starts_with('@'));
        found.sort();
        let mut expected = expected.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(found, expected, "{path}");
        assert!(answer.text("@odata.context").ends_with(")/$entity"), "{}", answer.text("@odata.context"));
    }
    for path in [review.path(), "/definitions".to_owned(), review.instance_path(), stage] {
        let answer = t.as_admin().get(&format!("{path}?$select=id,color")).await.refused(400, "UnsupportedQuery");
        assert!(answer.message().contains("`color`"), "{}", answer.message());
    }
    let scope = t.as_admin().get(&format!("{}?$select=scope", review.path())).await.is(200);
    assert_eq!(scope.body["scope"]["@odata.type"], "#microsoft.graph.accessReviewQueryScope");
    let everything = t.as_admin().get(&format!("{}?$select=*", review.path())).await.is(200);
    assert_eq!(everything.body["displayName"], "Finance-ERP");
}
