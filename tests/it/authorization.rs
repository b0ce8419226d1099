//! Who may do what, over HTTP: the table of `docs/permissions.md` from the outside. LC-AUTH

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Company, Review, Tenant, group_members, object_id, stage, user};

const READ: &[&str] = &["AccessReview.Read.All"];
const READ_WRITE: &[&str] = &["AccessReview.ReadWrite.All"];

/// What becomes of a call: the status, and for a success of a list how many rows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// Any success.
    Yes,
    /// A list of so many rows.
    Rows(usize),
    Forbidden,
    Hidden,
}
use Outcome::{Forbidden, Hidden, Rows, Yes};

/// A review in its second of two stages. `mia` reviews in both, `sam` only in the first, `tom` only in the second; `olga` owns
/// the group and reviews nothing; `carla` made it.
async fn running() -> (Tenant, Review) {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[
            stage(1, 3, &[user("mia"), user("sam")], &[], &["Approve", "Deny"]),
            stage(2, 7, &[user("mia"), user("tom")], &[], &[]),
        ])
        .running()
        .await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Deny").await.is(204);
    t.advance("P3D").await;
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    (t, review)
}

async fn outcome(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Outcome {
    let answer = client.send(method, path, body).await;
    match answer.status {
        403 => {
            answer.refused(403, "Forbidden");
            Forbidden
        }
        404 => {
            answer.refused(404, "ResourceNotFound");
            Hidden
        }
        _ => {
            let answer = answer.ok();
            answer.body["value"].as_array().map_or(Yes, |rows| Rows(rows.len()))
        }
    }
}

/// LC-AUTH-01, LC-AUTH-03, LC-AUTH-04, A-03, A-04, A-05
#[tokio::test]
async fn reading_follows_the_table() {
    let (t, review) = running().await;
    let (definition, instance) = (review.path(), review.instance_path());
    let (first, second) = (review.stage_path(1).await, review.stage_path(2).await);
    let item = review.item_id("ana").await;
    let left_behind = review.item_id("cleo").await;
    let mine = "filterByCurrentUser(on='reviewer')";
    // whoever made it, without his role
    let creator = t.as_user("carla");
    let callers = [
        t.as_admin(),
        t.as_reader(),
        t.as_application(),
        creator,
        t.as_user("mia"),
        t.as_user("sam"),
        t.as_user("tom"),
        t.as_user("olga"),
    ];
    #[rustfmt::skip]
    let table: [(String, [Outcome; 8]); 15] = [
        //                                                      admin    reader   app      creator  both       first      second     nobody
        ("/definitions".to_owned(),                            [Rows(1), Rows(1), Rows(1), Rows(1), Forbidden, Forbidden, Forbidden, Forbidden]),
        (format!("/definitions/{mine}"),                       [Rows(0), Rows(0), Rows(0), Rows(0), Rows(1),   Rows(1),   Rows(1),   Rows(0)]),
        (definition.clone(),                                   [Yes,     Yes,     Yes,     Yes,     Yes,       Yes,       Yes,       Hidden]),
        (format!("{definition}/instances"),                    [Rows(1), Rows(1), Rows(1), Rows(1), Forbidden, Forbidden, Forbidden, Hidden]),
        (format!("{definition}/instances/{mine}"),             [Rows(0), Rows(0), Rows(0), Rows(0), Rows(1),   Rows(1),   Rows(1),   Hidden]),
        (instance.clone(),                                     [Yes,     Yes,     Yes,     Yes,     Yes,       Yes,       Yes,       Hidden]),
        (format!("{instance}/stages"),                         [Rows(2), Rows(2), Rows(2), Rows(2), Rows(2),   Rows(1),   Rows(1),   Hidden]),
        (first.clone(),                                        [Yes,     Yes,     Yes,     Yes,     Yes,       Yes,       Hidden,    Hidden]),
        (second.clone(),                                       [Yes,     Yes,     Yes,     Yes,     Yes,       Hidden,    Yes,       Hidden]),
        (format!("{instance}/decisions"),                      [Rows(7), Rows(7), Rows(7), Rows(7), Forbidden, Forbidden, Forbidden, Hidden]),
        (format!("{instance}/decisions/{mine}"),               [Rows(0), Rows(0), Rows(0), Rows(0), Rows(7),   Rows(7),   Rows(2),   Hidden]),
        (format!("{second}/decisions"),                        [Rows(2), Rows(2), Rows(2), Rows(2), Forbidden, Hidden,    Forbidden, Hidden]),
        (format!("{second}/decisions/{mine}"),                 [Rows(0), Rows(0), Rows(0), Rows(0), Rows(2),   Hidden,    Rows(2),   Hidden]),
        (format!("{instance}/decisions/{item}"),               [Yes,     Yes,     Yes,     Yes,     Yes,       Yes,       Yes,       Hidden]),
        (format!("{instance}/decisions/{left_behind}"),        [Yes,     Yes,     Yes,     Yes,     Yes,       Yes,       Hidden,    Hidden]),
    ];

    for (path, expected) in table {
        let mut found = Vec::new();
        for caller in &callers {
            found.push(outcome(caller, Method::GET, &path, None).await);
        }
        assert_eq!(found, expected, "{path}");
    }
}

/// LC-AUTH-01, LC-AUTH-03, LC-AUTH-09
#[tokio::test]
async fn changing_follows_the_table() {
    let (t, review) = running().await;
    let instance = review.instance_path();
    let second = review.stage_path(2).await;
    let item = review.item_id("ana").await;
    let decision = json!({ "decision": "Approve", "justification": "because" });
    let same = json!({ "reviewers": [user("mia"), user("tom")] });
    let created = t.review().body;
    let callers = [
        t.as_admin(),
        t.as_user_with_roles("uma", &["User Administrator"]),
        t.as_application(),
        t.as_reader(),
        t.as_user("carla"),
        t.as_user("tom"),
        t.as_user("sam"),
        t.as_user("olga"),
    ];
    // A refusal changes nothing, so the deeds of those who may come last: stage, instance, definition.
    let calls = [
        (Method::POST, "/definitions".to_owned(), Some(&created)),
        (Method::PATCH, second.clone(), Some(&same)),
        (Method::PATCH, format!("{instance}/decisions/{item}"), Some(&decision)),
        (Method::PATCH, format!("{second}/decisions/{item}"), Some(&decision)),
    ];
    #[rustfmt::skip]
    let expected = [
        // admin    user admin app        reader     creator    reviewer   earlier    nobody
        [Yes,       Yes,       Yes,       Forbidden, Forbidden, Forbidden, Forbidden, Forbidden],
        [Yes,       Yes,       Yes,       Forbidden, Forbidden, Forbidden, Hidden,    Hidden],
        [Forbidden, Forbidden, Forbidden, Forbidden, Forbidden, Yes,       Forbidden, Hidden],
        [Forbidden, Forbidden, Forbidden, Forbidden, Forbidden, Yes,       Hidden,    Hidden],
    ];
    for ((method, path, body), expected) in calls.into_iter().zip(expected) {
        let mut found = Vec::new();
        for caller in &callers {
            found.push(outcome(caller, method.clone(), &path, body).await);
        }
        assert_eq!(found, expected, "{method} {path}");
    }

    for (method, path) in [
        (Method::POST, format!("{second}/stop")),
        (Method::POST, format!("{instance}/stop")),
        (Method::DELETE, review.path()),
    ] {
        for (caller, expected) in callers[3..].iter().zip([Forbidden, Forbidden, Forbidden, Forbidden, Hidden]) {
            let expected = if path == format!("{second}/stop") && expected == Forbidden {
                continue;
            } else {
                expected
            };
            assert_eq!(outcome(caller, method.clone(), &path, None).await, expected, "{method} {path}");
        }
    }
    assert_eq!(review.status().await, "InProgress");
    let user_administrator = &callers[1];
    user_administrator.act(&format!("{second}/stop")).await.is(204);
    user_administrator.delete(&review.path()).await.is(204);
}

/// LC-AUTH-01
#[tokio::test]
async fn the_read_permission_reads_and_changes_nothing() {
    let (t, review) = running().await;
    let instance = review.instance_path();
    let second = review.stage_path(2).await;
    let item = review.item_id("ana").await;
    let decision = json!({ "decision": "Approve", "justification": "because" });
    let administrator = t.as_user_with_scopes("carla", &["Global Administrator"], READ);
    let reviewer = t.as_user_with_scopes("tom", &[], READ);

    administrator.get("/definitions").await.is(200);
    administrator.get(&format!("{instance}/decisions")).await.is(200);
    administrator.post("/definitions", &t.review().body).await.refused(403, "Forbidden");
    administrator.patch(&second, &json!({ "reviewers": [user("mia")] })).await.refused(403, "Forbidden");
    administrator.act(&format!("{second}/stop")).await.refused(403, "Forbidden");
    administrator.act(&format!("{instance}/stop")).await.refused(403, "Forbidden");
    administrator.delete(&review.path()).await.refused(403, "Forbidden");
    reviewer.get(&format!("{second}/decisions/filterByCurrentUser(on='reviewer')")).await.is(200);
    reviewer.patch(&format!("{instance}/decisions/{item}"), &decision).await.refused(403, "Forbidden");

    t.as_user_with_scopes("tom", &[], READ_WRITE)
        .patch(&format!("{instance}/decisions/{item}"), &decision)
        .await
        .is(204);
    assert_eq!(review.status().await, "InProgress");
}

/// Section 2 of the API
#[tokio::test]
async fn without_a_permission_present_and_absent_objects_are_refused_alike() {
    let (t, review) = running().await;
    let caller =
        t.as_user_with_scopes("carla", &["Global Administrator"], &["User.Read", "AccessReview.ReadWrite.Membership"]);

    for path in
        ["/definitions", &review.path(), &format!("/definitions/{}", object_id("nothing")), &review.instance_path()]
    {
        caller.get(path).await.refused(403, "Forbidden");
    }
    caller.delete(&review.path()).await.refused(403, "Forbidden");
}

/// A user's token has its permissions in `scp` and its directory roles in `wids`; `roles` are an application's.
#[tokio::test]
async fn the_roles_claim_of_a_user_does_not_count() {
    use attestry::app::development_tokens::{Subject, TokenRequest};

    let (t, review) = running().await;
    let mut request = TokenRequest::new(
        Subject::User {
            id: crate::support::id_of("zoe"),
            display_name: "zoe".to_owned(),
            user_principal_name: "zoe@acme.example".to_owned(),
        },
        &[],
        &["User.Read".to_owned()],
        "PT1H".parse().unwrap(),
    )
    .unwrap();
    request.roles = vec!["AccessReview.ReadWrite.All".to_owned(), "Global Administrator".to_owned()];
    let caller = t.with_authorization(Some(&format!("Bearer {}", t.token(&request))));

    caller.get("/definitions").await.refused(403, "Forbidden");
    caller.delete(&review.path()).await.refused(403, "Forbidden");
}

const GLOBAL_READER: &str = "f2ef992c-3afb-46b9-b7cf-a126ee74c451";
const GOVERNANCE_ADMINISTRATOR: &str = "45d8d3c5-c802-45c6-b32a-1d70b5e1e86e";

fn role(name: &str, template: &str, members: &[&str]) -> Value {
    json!({ "type": "directoryRole", "id": object_id(name), "displayName": name, "roleTemplateId": template,
        "members": members.iter().map(|member| object_id(member)).collect::<Vec<_>>() })
}

fn group(name: &str, assignable: bool, members: &[&str]) -> Value {
    json!({ "type": "group", "id": object_id(name), "displayName": name, "isAssignableToRole": assignable,
        "members": members.iter().map(|member| object_id(member)).collect::<Vec<_>>() })
}

/// LC-AUTH-01
#[tokio::test]
async fn roles_assigned_in_the_directory_count_also_through_a_role_assignable_group() {
    let t = Tenant::new().await;
    Company::finance()
        .with(group("governors", true, &["noor"]))
        .with(group("pretenders", false, &["zoe"]))
        .with(role("readers", GLOBAL_READER, &["rita"]))
        .with(role("administrators", GOVERNANCE_ADMINISTRATOR, &["olga", "governors", "pretenders"]))
        .import(&t)
        .await;
    let review = t.review().create().await;
    let list = async |name: &str| outcome(&t.as_user(name), Method::GET, "/definitions", None).await;

    assert_eq!(list("rita").await, Rows(1), "assigned");
    assert_eq!(list("olga").await, Rows(1), "assigned");
    assert_eq!(list("noor").await, Rows(1), "through a group that can hold roles");
    assert_eq!(list("zoe").await, Forbidden, "a group that cannot hold roles gives none");
    assert_eq!(list("pete").await, Forbidden);

    assert_eq!(outcome(&t.as_user("rita"), Method::DELETE, &review.path(), None).await, Forbidden);
    assert_eq!(outcome(&t.as_user("zoe"), Method::DELETE, &review.path(), None).await, Hidden);
    assert_eq!(outcome(&t.as_user("noor"), Method::DELETE, &review.path(), None).await, Yes);
}

/// LC-AUTH-01
#[tokio::test]
async fn a_privileged_role_administrator_sees_reviews_of_role_assignable_groups_and_his_own() {
    let t = Tenant::new().await;
    Company::finance().with(group("privileged", true, &["ana", "ben"])).import(&t).await;
    let ordinary = t.review().create().await;
    let other = t.review().create().await;
    let privileged = t.review().scope(&format!("/groups/{}/transitiveMembers", object_id("privileged"))).create().await;
    // made while he had another role
    let own = t
        .as_user_with_roles("pete", &["User Administrator"])
        .post("/definitions", &t.review().reviewers(&[group_members("auditors")]).body)
        .await
        .is(201)
        .text("id");
    let caller = t.as_user_with_roles("pete", &["Privileged Role Administrator"]);

    let (rows, _) = caller.all("/definitions?$top=1").await;
    let mut seen: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    seen.sort();
    let mut expected = vec![privileged.definition.clone(), own.clone()];
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(caller.get("/definitions?$count=true").await.is(200).body["@odata.count"], 2);

    caller.get(&privileged.path()).await.is(200);
    caller.get(&ordinary.path()).await.refused(404, "ResourceNotFound");
    caller.delete(&format!("/definitions/{own}")).await.refused(403, "Forbidden");
    caller.delete(&other.path()).await.refused(404, "ResourceNotFound");
    caller.delete(&privileged.path()).await.is(204);
    caller.post("/definitions", &t.review().body).await.refused(403, "Forbidden");
    let scope = format!("/groups/{}/members", object_id("privileged"));
    caller.post("/definitions", &t.review().scope(&scope).body).await.is(201);
}
