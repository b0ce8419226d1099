//! Real organisation data, from the import to the last decision.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use attestry::app::import_directory::ImportReport;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Client, Review, Tenant,
    kubernetes_org::{self, TeamCount},
    scratch, stage,
};

/// Every team of the directory with its direct and its transitive people, and its owners.
async fn stored_counts(t: &Tenant) -> Vec<Value> {
    let tenant = t.id;
    t.database
        .rows(&format!(
            "with recursive inside (group_id, member_id, member_type, direct) as (
                 select group_id, member_id, member_type, true from group_members where tenant_id = '{tenant}'
                 union
                 select i.group_id, m.member_id, m.member_type, false
                   from inside i
                   join group_members m on m.tenant_id = '{tenant}' and m.group_id = i.member_id
                  where i.member_type = 'group'
             )
             select jsonb_build_array(
                        g.display_name,
                        g.group_id,
                        count(distinct i.member_id) filter (where i.member_type = 'user' and i.direct),
                        count(distinct i.member_id) filter (where i.member_type = 'user'),
                        (select count(*) from group_owners o where o.tenant_id = '{tenant}' and o.group_id = g.group_id)
                    ) as row
               from groups g
               left join inside i on i.group_id = g.group_id
              where g.tenant_id = '{tenant}'
              group by g.group_id, g.display_name
              order by g.display_name collate \"C\""
        ))
        .await
}

/// A tenant with the organisations of a folder, held against what their files say.
async fn import(folder: &Path) -> (Tenant, ImportReport, Vec<TeamCount>) {
    let t = Tenant::new().await;
    let lines = kubernetes_org::directory_lines(folder).join("\n");

    let report = t.import(&lines).await;

    let told = kubernetes_org::counts(folder);
    let expected: Vec<Value> = told
        .iter()
        .map(|count| json!([count.team, count.id, count.direct, count.transitive.len(), count.maintainers.len()]))
        .collect();
    assert_eq!(stored_counts(&t).await, expected);
    (t, report, told)
}

#[tokio::test]
async fn teams_become_groups_maintainers_owners_and_child_teams_nested_groups() {
    let folder = scratch().join(format!("organisations-{}", attestry::app::ids::object()));
    fs::create_dir_all(folder.join("config/acme/sig-one")).unwrap();
    fs::create_dir_all(folder.join("config/beta")).unwrap();
    fs::write(folder.join("config/acme/org.yaml"), "admins: [Ada]\nmembers: [bob]\nname: Acme\n").unwrap();
    let teams = "
teams:
  parent:
    description: x
    maintainers: [ada]
    members: [bob]
    privacy: closed
    previously: [old]
    teams:
      child:
        members: [BOB, cyd]
  empty: {members: []}
";
    fs::write(folder.join("config/acme/sig-one/teams.yaml"), teams).unwrap();
    fs::write(folder.join("config/beta/org.yaml"), "members: [ADA]\nteams: {parent: {members: [ADA]}}\n").unwrap();

    let (_, report, counts) = import(&folder).await;
    fs::remove_dir_all(&folder).unwrap();

    assert_eq!((report.users.inserted, report.groups.inserted), (3, 4));
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (count.team.as_str(), count.direct, count.transitive.len(), count.maintainers.len()))
        .collect();
    assert_eq!(
        counts,
        [("acme/child", 2, 2, 0), ("acme/empty", 0, 0, 0), ("acme/parent", 1, 2, 1), ("beta/parent", 1, 1, 0)]
    );
}

/// The folder with the organisation data, if this checkout has one.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ATTESTRY_KUBERNETES_ORG")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/kubernetes-org"), PathBuf::from);
    folder.join("config").is_dir().then_some(folder)
}

/// How a team's review goes, by its place among the teams, so that all ways are gone.
struct Course {
    /// What moves on from the first stage; empty is everything.
    moves: &'static [&'static str],
    /// Whether an admin stops the first stage instead of the clock ending it.
    first_stopped: bool,
    /// Whether an admin stops the review in its second stage.
    second_stopped: bool,
}

impl Course {
    fn of(position: usize) -> Self {
        Self {
            moves: [&["Approve", "NotReviewed"] as &[_], &["Approve"], &[]][position % 3],
            first_stopped: position % 2 == 1,
            second_stopped: position % 5 == 2,
        }
    }

    fn moves_on(&self, verdict: Option<&str>) -> bool {
        self.moves.is_empty() || self.moves.contains(&verdict.unwrap_or("NotReviewed"))
    }
}

/// What is answered for a person in a stage; `None` is silence. The same in every run.
fn verdict(team: &TeamCount, login: &str, stage: u8) -> Option<&'static str> {
    let digest = Sha256::digest(format!("{}/{login}/{stage}", team.team));
    [Some("Approve"), Some("Deny"), Some("DontKnow"), Some("Approve"), None][usize::from(digest[0]) % 5]
}

/// Somebody out of a set, another for another person.
fn one_of<'a>(people: &'a BTreeSet<String>, login: &str) -> &'a str {
    people.iter().nth(login.len() % people.len()).unwrap()
}

/// A team's review, its items by person, and what the files and the rules above say of it.
struct Reviewed {
    team: TeamCount,
    course: Course,
    review: Review,
    admins: BTreeSet<String>,
    items: BTreeMap<String, String>,
}

impl Reviewed {
    /// Who moved on to the second stage.
    fn moved(&self) -> BTreeSet<String> {
        let moves = |login: &&String| self.course.moves_on(verdict(&self.team, login, 1));
        self.team.transitive.iter().filter(moves).cloned().collect()
    }

    fn first_verdict(&self, login: &str) -> Option<&'static str> {
        verdict(&self.team, login, 1)
    }

    fn second_verdict(&self, login: &str) -> Option<&'static str> {
        verdict(&self.team, login, 2).filter(|_| self.moved().contains(login))
    }

    /// The default decision is Deny.
    fn effective(&self, login: &str) -> &'static str {
        self.second_verdict(login).or(self.first_verdict(login)).unwrap_or("Deny")
    }

    /// Every reviewer finds the items he may decide, and answers for his part of them.
    async fn decide(&self, clients: &BTreeMap<String, Client>, number: u8) -> usize {
        let (reviewers, people) = match number {
            1 => (&self.team.maintainers, self.team.transitive.clone()),
            _ => (&self.admins, self.moved()),
        };
        let mine =
            format!("{}/decisions/filterByCurrentUser(on='reviewer')", self.review.stage_path(number.into()).await);
        for login in reviewers {
            let seen = clients[login].get(&format!("{mine}?$top=999")).await.is(200);
            assert_eq!(by_login(seen.rows(), &self.team), people, "{login} in stage {number} of {}", self.team.team);
        }
        let mut decided = 0;
        for login in &people {
            let Some(decision) = verdict(&self.team, login, number) else { continue };
            let reviewer = &clients[one_of(reviewers, login)];
            let path = format!("{}/decisions/{}", self.review.instance_path(), self.items[login]);
            reviewer.patch(&path, &json!({ "decision": decision, "justification": "by the rule" })).await.is(204);
            decided += 1;
        }
        decided
    }
}

fn by_login(items: &[Value], team: &TeamCount) -> BTreeSet<String> {
    items.iter().map(|item| login_of(item, team)).collect()
}

fn login_of(item: &Value, team: &TeamCount) -> String {
    let id = item["principal"]["id"].as_str().unwrap();
    let named = team.transitive.iter().find(|login| kubernetes_org::person_id(login).to_string() == id);
    named.unwrap_or_else(|| panic!("{id} is no member of {}", team.team)).clone()
}

/// The whole path on real data: every team with maintainers is reviewed in two stages to its end, over HTTP, by its
/// maintainers first and by the admins of its organisation then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_maintained_team_of_the_kubernetes_organisations_is_reviewed_to_the_end() {
    let Some(folder) = folder() else {
        eprintln!(
            "skipped: the organisation data of Kubernetes is neither in ATTESTRY_KUBERNETES_ORG nor in ../shared/data/kubernetes-org"
        );
        return;
    };
    let (t, report, teams) = import(&folder).await;
    assert!(report.users.inserted > 1_000, "{report:?}");
    assert_eq!(report.groups.inserted, teams.len() as u64);
    let admins = kubernetes_org::admins(&folder);
    for (org, logins) in &admins {
        let members: Vec<_> = logins.iter().map(|login| kubernetes_org::person_id(login)).collect();
        let group = json!({ "type": "group", "id": kubernetes_org::team_id(org, "@admins"),
            "displayName": format!("{org}/@admins"), "members": members });
        t.import(&format!("{group}\n")).await;
    }
    let maintained: Vec<_> = teams.into_iter().filter(|team| !team.maintainers.is_empty()).collect();

    // One token each, as people have.
    let logins = maintained.iter().flat_map(|team| &team.maintainers).chain(admins.values().flatten());
    let clients: BTreeMap<_, _> = logins.map(|login| (login.clone(), t.as_user(&format!("person:{login}")))).collect();

    // Create them all, then let them open.
    let reviewed: Vec<_> = stream::iter(maintained.into_iter().enumerate())
        .map(|(position, team)| create(&t, position, team, &admins))
        .buffered(4)
        .collect()
        .await;
    t.run_jobs().await;
    let (empty, mut reviewed): (Vec<_>, Vec<_>) =
        reviewed.into_iter().partition(|reviewed| reviewed.team.transitive.is_empty());
    for nobody in &empty {
        assert_eq!(nobody.review.items().await, [Value::Null; 0], "{}", nobody.team.team);
        assert_eq!(nobody.review.status().await, "AutoReviewed", "nobody was in scope of {}", nobody.team.team);
    }
    for reviewed in &mut reviewed {
        let items = reviewed.review.items().await;
        assert_eq!(by_login(&items, &reviewed.team), reviewed.team.transitive, "{}", reviewed.team.team);
        assert_eq!(items.len(), reviewed.team.transitive.len(), "{} counts somebody twice", reviewed.team.team);
        let ids = items.iter().map(|item| (login_of(item, &reviewed.team), item["id"].as_str().unwrap().to_owned()));
        reviewed.items = ids.collect();
        let stranger = reviewed.admins.iter().find(|login| !reviewed.team.maintainers.contains(*login));
        if let Some(stranger) = stranger {
            clients[stranger].get(&reviewed.review.instance_path()).await.is(404);
        }
    }

    // First stage: the maintainers.
    let decided_first = decide_all(&clients, reviewed.iter(), 1).await;
    for reviewed in reviewed.iter().filter(|reviewed| reviewed.course.first_stopped) {
        let path = reviewed.review.stage_path(1).await;
        t.as_admin().act(&format!("{path}/stop")).await.is(204);
    }
    t.advance("P3D").await;

    // Second stage: the admins. Where nobody moved on it is over already.
    let (over, open): (Vec<_>, Vec<_>) = reviewed.iter().partition(|reviewed| reviewed.moved().is_empty());
    for reviewed in &over {
        assert_eq!(reviewed.review.stage_statuses().await, ["Completed", "AutoReviewed"], "{}", reviewed.team.team);
    }
    for reviewed in &open {
        assert_eq!(reviewed.review.stage_statuses().await, ["Completed", "InProgress"], "{}", reviewed.team.team);
        let path = reviewed.review.stage_path(2).await;
        let (rows, _) = t.as_admin().all(&format!("{path}/decisions?$top=7")).await;
        assert_eq!(by_login(&rows, &reviewed.team), reviewed.moved(), "{}", reviewed.team.team);
    }
    let decided_second = decide_all(&clients, open.iter().copied(), 2).await;
    for reviewed in open.iter().filter(|reviewed| reviewed.course.second_stopped) {
        t.as_admin().act(&format!("{}/stop", reviewed.review.instance_path())).await.is(204);
    }
    t.advance("P30D").await;

    // The end, held against the files and the rule.
    let mut verdicts = BTreeMap::<String, usize>::new();
    let mut by_default = 0;
    for reviewed in &reviewed {
        assert_eq!(reviewed.review.status().await, "AutoReviewed", "{}", reviewed.team.team);
        for item in reviewed.review.items().await {
            let login = login_of(&item, &reviewed.team);
            let decision = item["decision"].as_str().unwrap();
            assert_eq!(decision, reviewed.effective(&login), "{login} in {}", reviewed.team.team);
            *verdicts.entry(decision.to_owned()).or_default() += 1;
            by_default += usize::from(item["reviewedBy"]["displayName"] == "Access Reviews");
        }
    }
    let people = |count: &dyn Fn(&Reviewed, &String) -> bool| -> usize {
        reviewed.iter().map(|of| of.team.transitive.iter().filter(|login| count(of, login)).count()).sum()
    };
    assert_eq!(decided_first, people(&|of, login| of.first_verdict(login).is_some()));
    assert_eq!(decided_second, people(&|of, login| of.second_verdict(login).is_some()));
    let silent = people(&|of, login| of.first_verdict(login).or(of.second_verdict(login)).is_none());
    assert_eq!(by_default, silent);
    eprintln!(
        "{} users, {} teams, {} reviews ({} of empty teams): {} items, {decided_first} decided in stage 1, {} moved on, \
         {decided_second} decided in stage 2, {by_default} by default; {verdicts:?}",
        report.users.inserted,
        report.groups.inserted,
        reviewed.len() + empty.len(),
        empty.len(),
        people(&|_, _| true),
        people(&|of, login| of.moved().contains(login)),
    );
}

async fn create(t: &Tenant, position: usize, team: TeamCount, admins: &BTreeMap<String, BTreeSet<String>>) -> Reviewed {
    let course = Course::of(position);
    let owners = json!({ "query": format!("/groups/{}/owners", team.id), "queryType": "MicrosoftGraph" });
    let admin_group = kubernetes_org::team_id(&team.org, "@admins");
    let all_admins =
        json!({ "query": format!("/groups/{admin_group}/transitiveMembers"), "queryType": "MicrosoftGraph" });
    let review = t
        .review()
        .with("displayName", json!(team.team))
        .scope(&format!("/groups/{}/transitiveMembers", team.id))
        .reviewers(std::slice::from_ref(&owners))
        .stages(&[
            stage(1, 3, std::slice::from_ref(&owners), std::slice::from_ref(&all_admins), course.moves),
            stage(2, 4, &[all_admins], &[owners], &[]),
        ])
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .create()
        .await;
    let admins = admins[&team.org].clone();
    Reviewed { team, course, review, admins, items: BTreeMap::new() }
}

async fn decide_all<'a>(
    clients: &BTreeMap<String, Client>,
    reviewed: impl Iterator<Item = &'a Reviewed>,
    number: u8,
) -> usize {
    stream::iter(reviewed)
        .map(|reviewed| reviewed.decide(clients, number))
        .buffer_unordered(4)
        .fold(0, async |sum, decided| sum + decided)
        .await
}
