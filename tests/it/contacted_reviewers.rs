//! INST-CONTACTED, CONTACTED-GET: the people behind owners, managers and groups. M-17, LC-REV-12, LC-SUPD-23

use serde_json::{Value, json};

use crate::support::{Client, Company, Review, Tenant, group_members, id_of, manager, object_id, stage, user};

fn path(review: &Review) -> String {
    format!("{}/contactedReviewers", review.instance_path())
}

/// Display names in the order of the list.
async fn names(client: &Client, path: &str) -> Vec<String> {
    client.all(path).await.0.iter().map(|row| row["displayName"].as_str().unwrap().to_owned()).collect()
}

async fn sorted(client: &Client, path: &str) -> Vec<String> {
    let mut names = names(client, path).await;
    names.sort();
    names
}

/// M-17, LC-REV-12
#[tokio::test]
async fn everybody_who_was_resolved_is_listed_once_over_all_stages_whether_or_not_mail_went_out() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[
            stage(1, 3, &[manager()], &[group_members("auditors")], &[]),
            stage(2, 3, &[user("mia"), user("olga")], &[user("pete")], &[]),
        ])
        .running()
        .await;
    let admin = t.as_admin();
    assert_eq!(sorted(&admin, &path(&review)).await, ["mia", "noor", "sam", "tom"]);
    let first = admin.get(&format!("{}/{}", path(&review), id_of("mia"))).await.ok().body;

    t.advance("P3D").await;

    // Pete is nobody's reviewer while Mia and Olga are.
    assert_eq!(sorted(&admin, &path(&review)).await, ["mia", "noor", "olga", "sam", "tom"]);
    let mia = admin.get(&format!("{}/{}", path(&review), id_of("mia"))).await.ok().body;
    assert_eq!(mia, first, "she became a reviewer when the first stage began");
    assert_eq!(
        mia,
        json!({
            "@odata.context": mia["@odata.context"],
            "id": object_id("mia"),
            "displayName": "mia",
            "userPrincipalName": "mia@acme.example",
            "createdDateTime": mia["createdDateTime"],
        })
    );
    assert!(mia["@odata.context"].as_str().unwrap().ends_with("/contactedReviewers/$entity"));
    let rows = admin.get(&path(&review)).await.ok();
    let row = rows.rows().iter().find(|row| row["displayName"] == "mia").unwrap();
    assert_eq!(row["createdDateTime"], mia["createdDateTime"]);
}

/// LC-SUPD-23
#[tokio::test]
async fn a_removed_reviewer_stays_on_record_and_a_new_one_joins() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    t.as_admin().patch(&review.instance_path(), &json!({ "reviewers": [user("noor")] })).await.is(200);
    assert_eq!(sorted(&t.as_admin(), &path(&review)).await, ["mia", "noor"]);
}

#[tokio::test]
async fn the_list_is_paged_filtered_ordered_and_selected() {
    let t = Tenant::new().await;
    let mut company = Company::finance();
    let reviewers: Vec<String> = (0..25).map(|number| format!("reviewer{number:02}")).collect();
    for name in &reviewers {
        company = company.user(name, None);
    }
    company.import(&t).await;
    let scopes: Vec<Value> = reviewers.iter().map(|name| user(name)).collect();
    let review = t.review().reviewers(&scopes).running().await;
    let (admin, path) = (t.as_admin(), path(&review));

    let (rows, pages) = admin.all(&format!("{path}?$top=10&$count=true")).await;
    assert_eq!((rows.len(), pages), (25, 3));
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    assert_eq!(admin.get(&format!("{path}?$count=true&$top=1")).await.ok().body["@odata.count"], 25);

    assert_eq!(names(&admin, &format!("{path}?$orderby=displayName&$top=7")).await, reviewers);
    let mut backwards = reviewers.clone();
    backwards.reverse();
    assert_eq!(names(&admin, &format!("{path}?$orderby=userPrincipalName desc&$top=7")).await, backwards);
    assert_eq!(names(&admin, &format!("{path}?$orderby=createdDateTime&$top=24&$skip=3")).await.len(), 22);
    for filter in [
        "displayName eq 'REVIEWER03'".to_owned(),
        "userPrincipalName eq 'reviewer03@acme.example'".to_owned(),
        format!("id eq '{}'", id_of("reviewer03")),
    ] {
        assert_eq!(names(&admin, &format!("{path}?$filter={filter}")).await, ["reviewer03"], "{filter}");
    }
    let selected = admin.get(&format!("{path}?$select=displayName&$top=1&$orderby=displayName")).await.ok();
    assert_eq!(selected.rows(), &[json!({ "displayName": "reviewer00" })]);
    admin.get(&format!("{path}?$filter=createdDateTime eq null")).await.refused(400, "UnsupportedQuery");
}

/// A-03, LC-AUTH-04
#[tokio::test]
async fn the_list_is_for_those_who_read_everything() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let one = format!("{}/{}", path(&review), id_of("mia"));
    for (caller, status) in
        [(t.as_admin(), 200), (t.as_reader(), 200), (t.as_application(), 200), (t.as_user("carla"), 200)]
    {
        caller.get(&path(&review)).await.is(status);
        caller.get(&one).await.is(status);
    }
    for (caller, status, code) in [(t.as_user("mia"), 403, "Forbidden"), (t.as_user("zoe"), 404, "ResourceNotFound")] {
        caller.get(&path(&review)).await.refused(status, code);
        caller.get(&one).await.refused(status, code);
    }
    for nobody in [object_id("zoe"), "nobody".to_owned()] {
        t.as_admin().get(&format!("{}/{nobody}", path(&review))).await.refused(404, "ResourceNotFound");
    }
    let waiting = t.review().starting_in(t.now().await, 3).create().await;
    assert_eq!(t.as_admin().get(&path(&waiting)).await.ok().rows().len(), 0);
}
