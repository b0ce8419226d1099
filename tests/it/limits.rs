//! How large a review may become, and what happens to one that would be larger. LC-REV-13

use attestry::domain::limits::ReviewLimits;
use serde_json::{Value, json};

use crate::support::{
    Company, GUEST, Review, Tenant, group_members, group_owners, id_of, mailed, manager, resource_owners, stage, user,
};

const NOTHING: [Value; 0] = [];

/// Four reviewers of an item and seven items: as many as there are in `finance`.
fn small() -> ReviewLimits {
    ReviewLimits { items_per_instance: 7, reviewers_per_item: 4, instances_per_occurrence: 2 }
}

async fn errors(t: &Tenant, review: &Review) -> Value {
    t.as_admin().get(&review.instance_path()).await.ok().body["errors"].clone()
}

/// Nothing of a review that failed while it opened may stay behind.
async fn assert_nothing_stored(t: &Tenant) {
    for table in [
        "decision_items",
        "item_cohorts",
        "item_principals",
        "stage_reviewers",
        "stage_fallbacks",
        "stage_unassigned_cohorts",
        "item_overrides",
    ] {
        assert_eq!(t.table(table).await, NOTHING, "{table}");
    }
    assert_eq!(t.table("contacted_reviewers").await, NOTHING);
}

/// LC-REV-13, IN-15
#[tokio::test]
async fn a_review_of_more_items_than_are_allowed_fails_and_stores_none() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let t = t.limited_to(small());
    let full = t.review().setting("mailNotificationsEnabled", json!(true)).running().await;
    assert_eq!(full.status().await, "InProgress");
    assert_eq!(full.items().await.len(), 7);
    t.as_admin().delete(&full.path()).await.is(204);
    t.run_jobs().await;
    sink.clear();

    let members = ["ana", "ben", "cleo", "eve", "fay", "contractors", "zoe"];
    Company::new().group("finance", &members, &["olga", "pete"]).import(&t).await;
    let builder = t.review().stages(&[stage(1, 3, &[manager()], &[user("sam")], &[])]);
    let review = builder.setting("mailNotificationsEnabled", json!(true)).running().await;

    assert_eq!(review.status().await, "Failed");
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Failed");
    let errors = errors(&t, &review).await;
    assert_eq!(errors.as_array().unwrap().len(), 1);
    assert_eq!(errors[0]["code"], "TooManyItems");
    assert!(errors[0]["message"].as_str().unwrap().contains("more than 7 items"), "{errors}");
    assert_eq!(review.items().await.len(), 0);
    assert_nothing_stored(&t).await;
    t.advance("P30D").await;
    assert_eq!(review.status().await, "Failed");
    assert_eq!(mailed(&sink), [""; 0]);
}

/// LC-REV-13: a series goes on, and is fine again when the group is.
#[tokio::test]
async fn the_next_occurrence_of_a_series_is_not_held_back_by_one_that_was_too_large() {
    let t = Tenant::with_finance().await.limited_to(ReviewLimits { items_per_instance: 6, ..small() });
    let range = json!({ "type": "numbered", "numberOfOccurrences": 2, "startDate": t.now().await.date_naive() });
    let weekly = json!({ "pattern": { "type": "weekly", "interval": 1 }, "range": range });
    let builder = t.review().setting("recurrence", weekly).setting("instanceDurationInDays", json!(2));
    let review = builder.running().await;
    let statuses = async || {
        let instances = t.as_admin().all(&format!("{}/instances", review.path())).await.0;
        instances.iter().map(|row| row["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, ["Failed", "NotStarted"]);

    Company::new().group("finance", &["ana", "ben"], &["olga"]).import(&t).await;
    t.advance("P7D").await;

    assert_eq!(statuses().await, ["Failed", "InProgress"]);
}

/// LC-REV-13
#[tokio::test]
async fn a_list_that_names_more_people_than_an_item_may_have_reviewers_is_refused_when_it_is_stored() {
    let t = Tenant::with_finance().await.limited_to(small());
    Company::new().group("four", &["sam", "tom", "zoe", "rita"], &[]).import(&t).await;
    Company::new().group("five", &["four", "carla"], &["ana", "ben", "cleo", "dan", "eve"]).import(&t).await;
    let (four, five) = (group_members("four"), group_members("five"));

    t.review().reviewers(&[four.clone(), user("sam")]).send().await.is(201);
    for five in [five.clone(), group_owners("five")] {
        let refused = t.review().reviewers(std::slice::from_ref(&five)).send().await.faults("reviewers");
        assert!(refused.message().contains('5'), "{}", refused.message());
    }
    t.review().fallbacks(std::slice::from_ref(&five)).send().await.faults("fallbackReviewers");
    let people = ["sam", "tom", "zoe", "rita", "carla"].map(user);
    t.review().reviewers(&people).send().await.faults("reviewers");
    // As the client ordered them, not as they follow each other.
    let mut second = stage(2, 3, std::slice::from_ref(&five), &[], &[]);
    second["stageId"] = json!("later");
    t.review()
        .stages(&[second, stage(1, 3, &[user("mia")], &[], &[])])
        .send()
        .await
        .faults("stageSettings[0].reviewers");
    assert_eq!(t.as_admin().get("/definitions").await.rows().len(), 1);

    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;
    let before = t.stored().await;
    let stage = review.stage_path(1).await;
    t.as_admin().patch(&stage, &json!({ "reviewers": [five] })).await.faults("reviewers");
    t.as_admin().patch(&stage, &json!({ "fallbackReviewers": [five] })).await.faults("fallbackReviewers");
    let settings = json!({ "stageSettings": [self::stage_of(&five)] });
    t.as_admin().patch(&review.path(), &settings).await.faults("stageSettings[0].reviewers");
    assert_eq!(t.stored().await, before);
    t.as_admin().patch(&stage, &json!({ "reviewers": [four] })).await.is(200);
}

fn stage_of(reviewers: &Value) -> Value {
    stage(1, 3, std::slice::from_ref(reviewers), &[], &[])
}

/// LC-REV-13
#[tokio::test]
async fn an_instance_whose_reviewers_became_too_many_by_its_start_fails_and_stores_none() {
    let t = Tenant::with_finance().await.limited_to(small());
    let builder = t.review().reviewers(&[group_members("auditors")]).starting_in(t.now().await, 5);
    let review = builder.create().await;
    Company::new().group("auditors", &["sam", "tom", "zoe", "rita", "carla"], &[]).import(&t).await;

    t.advance("P5D").await;

    assert_eq!(review.status().await, "Failed");
    assert_eq!(errors(&t, &review).await[0]["code"], "TooManyReviewers");
    assert_nothing_stored(&t).await;
}

/// LC-REV-13: everybody else's reviewers come on top of an item's own.
#[tokio::test]
async fn owners_and_sponsors_that_an_item_has_for_itself_count_too() {
    let t = Tenant::with_finance().await.limited_to(small());
    let sponsors: Vec<_> = ["sam", "tom", "zoe", "rita"].map(id_of).to_vec();
    t.import(&format!("{}\n", json!({ "type": "user", "id": id_of(GUEST), "sponsors": sponsors }))).await;
    let sponsor = json!({ "@odata.type": "#microsoft.graph.accessReviewReviewerScope", "scopeType": "sponsor" });

    let four = t.review().reviewers(std::slice::from_ref(&sponsor)).fallbacks(&[user("sam")]).running().await;
    assert_eq!(four.status().await, "InProgress");
    let five = t.review().reviewers(&[sponsor, user("carla")]).running().await;
    assert_eq!(five.status().await, "Failed");
    assert_eq!(errors(&t, &five).await[0]["code"], "TooManyReviewers");
    t.as_admin().delete(&four.path()).await.is(204);
    assert_nothing_stored(&t).await;
}

/// LC-REV-13
#[tokio::test]
async fn somebody_who_reviews_an_item_for_two_reasons_counts_once() {
    let t = Tenant::with_finance().await.limited_to(small());
    Company::new().group("finance", &["ana", "ben"], &[]).import(&t).await;
    let four = ["mia", "sam", "tom", "zoe"].map(user);
    let with = |more: Value| [&four[..], &[more]].concat();
    let sponsors: Vec<_> = ["mia", "sam"].map(id_of).to_vec();
    t.import(&format!("{}\n", json!({ "type": "user", "id": id_of("ana"), "sponsors": sponsors }))).await;
    let sponsor = json!({ "@odata.type": "#microsoft.graph.accessReviewReviewerScope", "scopeType": "sponsor" });

    for list in [with(manager()), with(sponsor.clone())] {
        let review = t.review().reviewers(&list).running().await;
        assert_eq!(review.status().await, "InProgress");
        let review = t.review().reviewers(&[user("noor")]).fallbacks(&list).running().await;
        assert_eq!(review.status().await, "InProgress");
    }

    // Who moved to another manager since the review began has him for himself.
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &with(manager()), &[], &[])];
    let [moves, stays] = [t.review().stages(&stages).running().await, t.review().stages(&stages).running().await];
    t.as_admin().act(&format!("{}/stop", stays.stage_path(1).await)).await.is(204);
    assert_eq!(stays.status().await, "InProgress");
    Company::new().user("ben", Some("noor")).import(&t).await;
    t.as_admin().act(&format!("{}/stop", moves.stage_path(1).await)).await.is(204);
    assert_eq!(moves.status().await, "Failed");
    assert!(errors(&t, &moves).await[0]["message"].as_str().unwrap().contains("5 reviewers"));
}

/// LC-REV-13, LC-STAGE-10, LC-SUPD-02: who reviews a later stage is known when it begins; that it would have begun helps nobody.
#[tokio::test]
async fn a_later_stage_with_too_many_reviewers_fails_the_instance_and_leaves_what_was_decided() {
    let t = Tenant::with_finance().await.limited_to(small());
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[resource_owners()], &[user("sam")], &[])];
    let builder = t.review().stages(&stages).setting("defaultDecisionEnabled", json!(true));
    let review = builder.setting("defaultDecision", json!("Deny")).running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    let owners: Vec<_> = ["olga", "pete", "sam", "tom", "zoe"].map(id_of).to_vec();
    t.import(&format!("{}\n", json!({ "type": "group", "id": id_of("finance"), "owners": owners }))).await;

    t.advance("P3D").await;

    assert_eq!(review.status().await, "Failed");
    assert_eq!(errors(&t, &review).await[0]["code"], "TooManyReviewers");
    assert_eq!(review.item("ana").await["decision"], "Approve");
    assert_eq!(review.item("ben").await["decision"], "NotReviewed");
    assert_eq!(t.table("stage_fallbacks").await, NOTHING);
    assert!(t.table("stage_reviewers").await.iter().all(|row| row["ordinal"] == 1));
    let (stored, second) = (t.stored().await, review.stage_path(2).await);
    let refused = t.as_admin().patch(&second, &json!({ "reviewers": [user("noor")] })).await;
    let refused = refused.refused(400, "InvalidReviewState");
    assert!(refused.message().contains("Failed"), "{}", refused.message());
    assert_eq!(t.stored().await, stored);
    t.advance("P10D").await;
    assert_eq!(review.status().await, "Failed");
}

/// LC-REV-13, LC-INST-02
#[tokio::test]
async fn an_occurrence_over_more_groups_than_are_allowed_reviews_none() {
    let t = Tenant::with_finance().await.limited_to(small());
    let unified = |name: &str| {
        json!({ "type": "group", "id": id_of(name), "displayName": name, "groupTypes": ["Unified"],
            "members": [id_of("ana")], "owners": [] })
    };
    Company::new().with(unified("a")).with(unified("b")).import(&t).await;
    let query = |query: &str| json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" });
    let all = || {
        t.review()
            .with("scope", query("./members/microsoft.graph.user"))
            .with("instanceEnumerationScope", query("/groups?$filter=(groupTypes/any(c:c eq 'Unified'))&$count=true"))
    };
    let instances = async |review: &Review| t.as_admin().all(&format!("{}/instances", review.path())).await.0.len();

    let two = all().running().await;
    assert_eq!(instances(&two).await, 2);
    Company::new().with(unified("c")).import(&t).await;
    let three = all().running().await;
    assert_eq!(instances(&three).await, 0);
    assert_eq!(t.as_admin().get(&three.path()).await.ok().text("status"), "Failed");
}

/// LC-REV-13
#[tokio::test]
async fn a_list_holds_a_hundred_scopes() {
    let t = Tenant::with_finance().await;
    let groups = |number: usize| (0..number).map(|_| user("mia")).collect::<Vec<_>>();
    t.review().reviewers(&groups(100)).send().await.is(201);
    t.review().reviewers(&groups(101)).send().await.faults("reviewers");
    t.review().fallbacks(&groups(101)).send().await.faults("fallbackReviewers");
}
