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
        ("//v1.0/$batch".to_owned(), "POST"),
        ("//v1.0/$metadata".to_owned(), "GET"),
        ("//openapi.json".to_owned(), "GET"),
        ("//docs".to_owned(), "GET"),
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
        "/historyDefinition".to_owned(),
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
            ("$skip=2000000001", "BadRequest", "$skip"),
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
        // The place of an item is its number: any may be asked for, unless a filter or an order hides the places.
        let numbered = list.ends_with("/decisions") && *list != format!("{stage}/decisions");
        let beyond = t.as_admin().get(&format!("{list}?$skip=10001")).await;
        beyond.is(if numbered { 200 } else { 400 });
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

/// A-06
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

/// HEAD is GET without the body, on every path that is read.
#[tokio::test]
async fn head_tells_what_get_would_without_the_body() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    for (path, allow) in paths(&review).await {
        if !allow.contains("GET") {
            continue;
        }
        let get = t.as_admin().request(Method::GET, &path).send().await.unwrap();
        let head = t.as_admin().request(Method::HEAD, &path).send().await.unwrap();

        assert_eq!(head.status(), get.status(), "{path}");
        for name in ["content-type", "content-length", "etag"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{name} of {path}");
        }
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
    let refused = t.with_authorization(None).request(Method::HEAD, "/definitions").send().await.unwrap();
    assert_eq!(refused.status(), 401);
}

/// Section 6 of the OData digest
#[tokio::test]
async fn a_change_answers_as_much_as_the_client_prefers() {
    let t = Tenant::with_finance().await;
    let prefer = async |client: crate::support::Client,
                        method: Method,
                        path: &str,
                        preference: &str,
                        body: &serde_json::Value| {
        Answer::of(client.request(method, path).header("prefer", preference).json(body).send().await.unwrap()).await
    };
    let created = prefer(t.as_admin(), Method::POST, "/definitions", "return=minimal", t.review().body()).await.is(204);
    assert_eq!(created.body, serde_json::Value::Null);
    assert_eq!(created.headers["preference-applied"], "return=minimal");
    assert_eq!(created.headers["odata-entityid"], created.headers["location"]);
    t.as_admin().get(created.headers["location"].to_str().unwrap()).await.is(200);

    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    let body = json!({ "reviewers": [user("mia")] });
    let minimal = prefer(t.as_admin(), Method::PATCH, &stage, "return=minimal", &body).await.is(204);
    assert!(!minimal.headers.contains_key("content-type"));
    let whole = prefer(t.as_admin(), Method::PATCH, &stage, "return=representation", &body).await.is(200);
    assert_eq!(whole.headers["preference-applied"], "return=representation");

    let item = format!("{stage}/decisions/{}", review.item_id("ana").await);
    let answer = json!({ "decision": "Approve", "justification": "needed" });
    let plain = t.as_user("mia").patch(&item, &answer).await.is(204);
    assert!(!plain.headers.contains_key("preference-applied"));
    let shown = prefer(t.as_user("mia"), Method::PATCH, &item, "return=representation", &answer).await.is(200);
    assert_eq!(shown.headers["preference-applied"], "return=representation");
    assert_eq!(shown.body, t.as_user("mia").get(&item).await.body);
    assert_eq!(shown.headers["etag"], shown.text("@odata.etag").as_str());

    let refused = prefer(t.as_reader(), Method::PATCH, &stage, "return=representation", &body).await;
    assert!(!refused.refused(403, "Forbidden").headers.contains_key("preference-applied"));
}

fn packed(text: &str, format: &str) -> Vec<u8> {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    let (bytes, level) = (text.as_bytes(), Compression::fast());
    match format {
        "gzip" => {
            let mut to = GzEncoder::new(Vec::new(), level);
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
        "deflate" => {
            let mut to = ZlibEncoder::new(Vec::new(), level);
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
        _ => {
            let mut to = DeflateEncoder::new(Vec::new(), level);
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
    }
}

/// CL-08
#[tokio::test]
async fn packed_bodies_are_read_up_to_their_unpacked_limit() {
    let t = Tenant::with_finance().await;
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = t.as_admin().request(Method::POST, "/definitions").header("content-type", "application/json");
        Answer::of(request.header("content-encoding", encoding).body(body).send().await.unwrap()).await
    };
    let body = t.review().body().to_string();
    for (encoding, format) in
        [("gzip", "gzip"), ("GZIP", "gzip"), ("x-gzip", "gzip"), ("deflate", "deflate"), ("deflate", "raw")]
    {
        send(encoding, packed(&body, format)).await.is(201);
    }
    send("identity", body.clone().into()).await.is(201);
    let refused = send("br", body.clone().into()).await.refused(415, "UnsupportedMediaType");
    assert_eq!(refused.headers["accept-encoding"], "gzip, deflate");
    send("gzip", body.into()).await.refused(400, "BadRequest");
    send("gzip", packed("{", "gzip")[..8].to_vec()).await.refused(400, "BadRequest");

    let bomb = packed(&" ".repeat(64 * 1024 * 1024), "gzip");
    assert!(bomb.len() < 1024 * 1024);
    send("gzip", bomb).await.refused(413, "RequestEntityTooLarge");
    send("identity", vec![b' '; 4 * 1024 * 1024 + 1]).await.refused(413, "RequestEntityTooLarge");
}

#[tokio::test]
async fn answers_are_packed_for_who_reads_gzip() {
    let t = Tenant::with_finance().await;
    two_stages(&t).await;
    let answer =
        t.as_admin().request(Method::GET, "/definitions").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = answer.bytes().await.unwrap();
    let unpacked: serde_json::Value = serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).unwrap();
    assert_eq!(unpacked["value"].as_array().unwrap().len(), 1);
}

/// CL-07, CL-10, CL-11, CL-32
#[tokio::test]
async fn whatever_a_client_sends_is_answered_in_one_form() {
    let t = Tenant::with_finance().await;
    for accept in
        ["*/*", "application/json;odata.metadata=none", "application/xml", "text/html, application/json;q=0.5"]
    {
        let answer = t.as_admin().request(Method::GET, "/definitions").header("accept", accept).send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/json"), "{accept}");
    }
    for (path, status, code) in [
        ("/definitions/%", 404, "ResourceNotFound"),
        ("/definitions/%zz", 404, "ResourceNotFound"),
        ("/definitions/%ff%fe", 404, "ResourceNotFound"),
        ("/definitions/%00", 404, "ResourceNotFound"),
        ("/%ff", 404, "ResourceNotFound"),
    ] {
        t.as_admin().get(path).await.refused(status, code);
    }
    for query in ["$filter=%ff", "%ff=1&$top=%ff", "$top=%"] {
        let answer = t.as_admin().get(&format!("/definitions?{query}")).await;
        assert!(answer.status < 500, "{query}");
        if answer.status != 200 {
            let status = answer.status;
            answer.refused(status, "BadRequest");
        }
    }
    let long = t.as_admin().get(&format!("/definitions?x={}", "y".repeat(60_000))).await;
    assert!(matches!(long.status, 200 | 400 | 414), "{}", long.status);
    let anonymous = t.with_authorization(None).get("/definitions").await.refused(401, "InvalidAuthenticationToken");
    let challenge = anonymous.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer") && !challenge.contains("claims="), "{challenge}");
    assert!(anonymous.message().to_lowercase().contains("https"), "{}", anonymous.message());
}
