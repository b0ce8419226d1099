//! What the database holds after a step, read in one statement as the owner of the tables, whom no wall binds. Most steps change little:
//! what is as it was is not read again.

pub mod facts;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    rc::Rc,
};

use attestry::{
    domain::{
        decision::Verdict,
        ids::{InstanceId, StageId, TenantId},
        mail::MailKind,
        status::Status,
    },
    store::Job,
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use self::facts::Facts;
use super::{
    command::{At, MailKey, Work},
    company::{CARLA, CONTRACTORS, Directory, FINANCE, Name, SignIn, User},
    model::{Applied, Decision, Justified},
    review::{Lists, Reviewer},
};

type Reviewers = BTreeMap<i64, BTreeSet<Name>>;

/// Whose ids are whose, also of what is gone.
#[derive(Default)]
pub struct Known {
    pub reviews: BTreeMap<Uuid, usize>,
    pub instances: BTreeMap<Uuid, At>,
    pub stages: BTreeMap<Uuid, (At, usize)>,
    /// The latest ids: a series that was shortened and prolonged has had several instances in one place.
    latest_instances: BTreeMap<At, Uuid>,
    latest_stages: BTreeMap<(At, usize), Uuid>,
    /// Who reviews what in a stage, and what the tables said of it then: asking the service's function is dear.
    reviewers: BTreeMap<Uuid, (String, Reviewers)>,
    /// Of an instance's items: whose, and under which number.
    pub items: BTreeMap<(At, Name), i32>,
    pub prefixes: BTreeMap<At, Uuid>,
    last: Last,
}

impl Known {
    pub fn review_id(&self, review: usize) -> Option<Uuid> {
        self.reviews.iter().find(|(_, number)| **number == review).map(|(id, _)| *id)
    }

    pub fn instance_id(&self, at: At) -> Option<Uuid> {
        self.latest_instances.get(&at).copied()
    }

    pub fn stage_id(&self, at: At, stage: usize) -> Option<Uuid> {
        self.latest_stages.get(&(at, stage)).copied()
    }

    /// What a job is about.
    pub fn work(&self, job: &Job) -> Work {
        let instance = |id: &InstanceId| {
            let at = self.instances.get(&id.as_uuid()).copied();
            at.filter(|at| self.latest_instances[at] == id.as_uuid())
        };
        let stage = |id: &StageId| {
            let of = self.stages.get(&id.as_uuid()).copied();
            of.filter(|of| self.latest_stages[of] == id.as_uuid())
        };
        let known = match job {
            Job::OpenInstance { instance: id } => instance(id).map(Work::Open),
            Job::CloseStage { stage: id, .. } => stage(id).map(|(at, stage)| Work::Close(at, stage)),
            Job::RemindStage { stage: id, .. } => stage(id).map(|(at, stage)| Work::Remind(at, stage)),
            Job::ApplyDecisions { instance: id } => instance(id).map(Work::Apply),
            Job::DeleteBlockedUsers { instance: id } => instance(id).map(Work::DeleteBlocked),
            Job::SendMail { mail, instance: id, ordinal, recipient, sequence } => instance(id).map(|at| {
                Work::Mail(MailKey {
                    kind: MailKind::key(*mail),
                    at,
                    stage: usize::try_from(*ordinal).unwrap(),
                    to: Name::of(recipient.as_uuid()),
                    sequence: *sequence,
                })
            }),
            other => panic!("no history has a job {other:?}"),
        };
        known.unwrap_or(Work::Gone)
    }
}

/// An instance as its row says.
pub struct SeenInstance {
    pub at: At,
    pub status: Status,
    pub start_at: DateTime<Utc>,
    pub end_at: DateTime<Utc>,
    pub stages: Vec<SeenStage>,
    pub applied: BTreeMap<Name, Applied>,
    pub system: BTreeMap<Name, Decision>,
}

/// A stage as its rows say.
#[derive(Default)]
pub struct SeenStage {
    pub status: Option<Status>,
    pub lists: Lists,
    pub items: BTreeSet<Name>,
    pub reviewers: BTreeMap<Name, BTreeSet<Name>>,
    pub decisions: BTreeMap<Name, Decision>,
}

/// A record of a change.
pub struct SeenEvent {
    pub id: i64,
    pub activity: String,
    pub instance: Option<Uuid>,
    pub stage: Option<Uuid>,
    /// Status before and after, where the record tells of one.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What is stored, and which mails left.
pub struct State {
    pub facts: Facts,
    pub instances: Vec<SeenInstance>,
    pub directory: Directory,
    /// Work that is not finished, and when it is due.
    pub work: BTreeMap<Work, DateTime<Utc>>,
    /// In the order in which they left.
    pub delivered: Vec<MailKey>,
    /// Items whose effective decision is not what LC-INV-05 says, in words.
    pub not_newest: Vec<String>,
}

/// A look at the database. The same state is shared by looks between which nothing changed.
pub struct Observed {
    state: Rc<State>,
    /// Since the observation before.
    pub events: Vec<SeenEvent>,
}

impl Deref for Observed {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

/// What the database said last, as it said it and as it was read.
#[derive(Default)]
struct Last {
    texts: Vec<String>,
    parts: Parts,
    state: Option<Rc<State>>,
}

/// What [`SELECT`] answers, part by part.
const PARTS: [&str; 17] = [
    "definitions",
    "instances",
    "stages",
    "scopes",
    "items",
    "held",
    "reviewing",
    "decisions",
    "results",
    "deletions",
    "contacted",
    "jobs",
    "users",
    "members",
    "owners",
    "events",
    "not newest",
];

/// Each part as a text, so that what is as it was before need not be read again. The last part are the items that break LC-INV-05: their
/// effective decision, which is that of the highest stage with one, is not the newest of all stages, or the system's if there is none.
const SELECT: &str = r#"
select array[
  -- definitions
  array_to_json(array(select to_json(x) from (
      select definition_id, display_name, status,
             (select count(*) from events e
               where e.tenant_id = $1 and e.definition_id = d.definition_id and e.activity = 'Update access review') as updates
        from definitions d where tenant_id = $1) x))::text,
  -- instances
  array_to_json(array(select to_json(x) from (
      select instance_id, definition_id, occurrence, status, start_at, end_at, item_prefix, reminded_at, reminders
        from instances where tenant_id = $1 order by definition_id, occurrence) x))::text,
  -- stages
  array_to_json(array(select to_json(x) from (
      select instance_id, stage_id, ordinal, status, start_at, end_at, reviewer_list_id
        from stages where tenant_id = $1 order by instance_id, ordinal) x))::text,
  -- scopes
  array_to_json(array(select to_json(x) from (
      select s.stage_id, r.role, r.form, r.object_id
        from stages s
        join reviewer_scopes r on r.tenant_id = $1 and r.reviewer_list_id = s.reviewer_list_id
       where s.tenant_id = $1) x))::text,
  -- items
  array_to_json(array(select to_json(x) from (
      select instance_id, seq, principal_id,
             array[recommendation_in(recommendations, 1), recommendation_in(recommendations, 2),
                   recommendation_in(recommendations, 3)] as recommendations
        from decision_items where tenant_id = $1) x))::text,
  -- held
  array_to_json(array(select to_json(x) from (
      select s.stage_id, array_agg(i.seq) as seqs
        from stages s
        join decision_items i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
       where s.tenant_id = $1 and stage_holds_item(s.tenant_id, s.instance_id, s.ordinal, s.entry, i.seq)
       group by s.stage_id) x))::text,
  -- reviewing
  array_to_json(array(select to_json(x) from (
      select s.stage_id, concat(
                 i.item_count,
                 '/', (select string_agg(concat_ws(':', cohort, reviewer_id), ',' order by cohort, reviewer_id) from stage_reviewers r
                   where r.tenant_id = s.tenant_id and r.instance_id = s.instance_id and r.ordinal = s.ordinal),
                 '/', (select string_agg(concat_ws(':', cohort, reviewer_id), ',' order by cohort, reviewer_id) from stage_fallbacks f
                   where f.tenant_id = s.tenant_id and f.instance_id = s.instance_id and f.ordinal = s.ordinal),
                 '/', (select string_agg(concat_ws(':', cohort), ',' order by cohort) from stage_unassigned_cohorts u
                   where u.tenant_id = s.tenant_id and u.instance_id = s.instance_id and u.ordinal = s.ordinal),
                 '/', (select string_agg(concat_ws(':', seq, role, reviewer_id), ',' order by seq, role, reviewer_id) from item_overrides o
                   where o.tenant_id = s.tenant_id and o.instance_id = s.instance_id and o.ordinal = s.ordinal)) as told
        from stages s
        join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
       where s.tenant_id = $1) x))::text,
  -- decisions
  array_to_json(array(select to_json(x) from (
      select instance_id, ordinal, seq, decision, justification, decided_by_id, decided_at
        from decisions where tenant_id = $1) x))::text,
  -- results
  array_to_json(array(select to_json(x) from (
      select instance_id, seq, result, applied_by_id from apply_results where tenant_id = $1) x))::text,
  -- deletions
  array_to_json(array(select to_json(x) from (
      select instance_id, seq, due_at from pending_deletions where tenant_id = $1) x))::text,
  -- contacted
  array_to_json(array(select to_json(x) from (
      select instance_id, ordinal, reviewer_id, contacted_at
        from contacted_reviewers where tenant_id = $1) x))::text,
  -- jobs
  array_to_json(array(select to_json(x) from (
      select job_id, payload, due_at, finished_at is null as waiting, handed_over_at is not null as handed_over
        from jobs where tenant_id = $1 and (finished_at is null or kind = 'send_mail')) x))::text,
  -- users
  array_to_json(array(select to_json(x) from (
      select user_id, account_enabled, manager_id from users where tenant_id = $1) x))::text,
  -- members
  array_to_json(array(select to_json(x) from (
      select group_id, member_id from group_members where tenant_id = $1) x))::text,
  -- owners
  array_to_json(array(select to_json(x) from (
      select owner_id from group_owners where tenant_id = $1) x))::text,
  -- events
  array_to_json(array(select to_json(x) from (
      select event_id, activity, instance_id, stage_id, before ->> 'status' as before, after ->> 'status' as after
        from events where tenant_id = $1 and event_id > $2 order by event_id) x))::text,
  -- not newest
  array_to_json(array(select to_json(x) from (
      select i.instance_id, i.seq, shown.decision as shown, coalesce(newest.decision, system.decision) as newest
        from decision_items i
        left join lateral (
             select d.decision
               from decisions d
              where d.tenant_id = $1 and d.instance_id = i.instance_id and d.seq = i.seq
              order by d.ordinal desc
              limit 1) as shown on true
        left join lateral (
             select d.decision
               from decisions d
              where d.tenant_id = $1 and d.instance_id = i.instance_id and d.seq = i.seq and d.ordinal > 0
              order by d.decided_at desc, d.ordinal desc
              limit 1) as newest on true
        left join decisions as system
          on system.tenant_id = $1 and system.instance_id = i.instance_id and system.seq = i.seq and system.ordinal = 0
       where i.tenant_id = $1
         and (shown.decision is distinct from coalesce(newest.decision, system.decision)
              or newest.decision is not null and system.decision is not null)) x))::text]
"#;

/// Who reviews which item of these stages, as the service itself asks it.
const REVIEWERS: &str = r#"
select array(select to_json(x) from (
    select s.stage_id, i.seq,
           array(select u.user_id from users u
                  where u.tenant_id = $1
                    and reviews_item($1, s.instance_id, s.ordinal, i.seq, i.cohort, u.user_id)) as reviewers
      from stages s
      join decision_items i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
     where s.tenant_id = $1
       and s.stage_id = any($2)) x)
"#;

/// The parts of the answer, read.
type Parts = BTreeMap<&'static str, Value>;

fn rows<'a>(all: &'a Parts, name: &str) -> impl Iterator<Item = &'a Value> {
    all[name].as_array().unwrap().iter()
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_else(|| panic!("no {column} in {row}"))
}

fn optional_id(row: &Value, column: &str) -> Option<Uuid> {
    row[column].as_str().map(|id| id.parse().unwrap())
}

fn id(row: &Value, column: &str) -> Uuid {
    text(row, column).parse().unwrap()
}

fn name(row: &Value, column: &str) -> Name {
    Name::of(id(row, column))
}

fn instant(row: &Value, column: &str) -> DateTime<Utc> {
    text(row, column).parse().unwrap()
}

fn number(row: &Value, column: &str) -> i64 {
    row[column].as_i64().unwrap()
}

fn status(row: &Value) -> Status {
    text(row, "status").parse().unwrap()
}

/// The place of a stage in its instance, from 1; 0 is what the system decided.
fn ordinal(row: &Value) -> usize {
    usize::try_from(number(row, "ordinal")).unwrap()
}

impl Observed {
    /// Reads everything of a tenant; `mails` are the message ids of the mails that left, in their order.
    pub async fn read(
        connection: &mut PgConnection,
        tenant: TenantId,
        known: &mut Known,
        mails: &[String],
        last_event: i64,
    ) -> Self {
        let texts = sqlx::query_scalar(SELECT).bind(tenant.as_uuid()).bind(last_event);
        let texts: Vec<String> = texts.fetch_one(&mut *connection).await.unwrap();
        let mut all = std::mem::take(&mut known.last.parts);
        let mut changed = false;
        for (position, name) in PARTS.into_iter().enumerate() {
            let (before, text) = (known.last.texts.get(position), &texts[position]);
            if before != Some(text) {
                all.insert(name, serde_json::from_str(text).unwrap());
                changed |= name != "events";
            }
        }
        known.last.texts = texts;
        let events = Self::events(&all);
        let same = known.last.state.take().filter(|state| !changed && state.delivered.len() == mails.len());
        let state = match same {
            Some(state) => state,
            None => {
                Self::resolve(connection, tenant, known, &all).await;
                Rc::new(State::of(&all, known, mails))
            }
        };
        known.last.parts = all;
        known.last.state = Some(Rc::clone(&state));
        Self { state, events }
    }

    fn events(all: &Parts) -> Vec<SeenEvent> {
        rows(all, "events")
            .map(|row| SeenEvent {
                id: number(row, "event_id"),
                activity: text(row, "activity").to_owned(),
                instance: optional_id(row, "instance_id"),
                stage: optional_id(row, "stage_id"),
                before: row["before"].as_str().map(str::to_owned),
                after: row["after"].as_str().map(str::to_owned),
            })
            .collect()
    }

    /// Asks anew who reviews what in stages of which the tables say something else than before.
    async fn resolve(connection: &mut PgConnection, tenant: TenantId, known: &mut Known, all: &Parts) {
        let told: BTreeMap<_, _> =
            rows(all, "reviewing").map(|row| (id(row, "stage_id"), text(row, "told").to_owned())).collect();
        let changed: Vec<_> = told
            .iter()
            .filter(|(stage, told)| known.reviewers.get(stage).is_none_or(|(before, _)| before != *told))
            .map(|(stage, _)| *stage)
            .collect();
        if changed.is_empty() {
            return;
        }
        let answers: Vec<Value> =
            sqlx::query_scalar(REVIEWERS).bind(tenant.as_uuid()).bind(&changed).fetch_one(connection).await.unwrap();
        for stage in changed {
            known.reviewers.insert(stage, (told[&stage].clone(), Reviewers::new()));
        }
        for row in &answers {
            let people = row["reviewers"].as_array().unwrap().iter();
            let people = people.map(|id| Name::of(id.as_str().unwrap().parse().unwrap())).collect();
            known.reviewers.get_mut(&id(row, "stage_id")).unwrap().1.insert(number(row, "seq"), people);
        }
    }
}

impl State {
    fn of(all: &Parts, known: &mut Known, mails: &[String]) -> Self {
        let mut facts = Facts::default();
        for row in rows(all, "definitions") {
            let number: usize = text(row, "display_name").trim_start_matches('r').parse().unwrap();
            known.reviews.insert(id(row, "definition_id"), number);
            facts::review(&mut facts, number, status(row), self::number(row, "updates"));
        }
        let mut instances = Self::instances(all, known, &mut facts);
        Self::decisions(all, known, &mut facts, &mut instances);
        let directory = Self::directory(all);
        facts::directory(&mut facts, &directory);

        let mut work = BTreeMap::new();
        let mut mail_of = BTreeMap::new();
        for row in rows(all, "jobs") {
            let job: Job = serde_json::from_value(row["payload"].clone()).unwrap();
            let about = known.work(&job);
            let waits = row["waiting"] == true;
            if let Work::Mail(key) = about {
                mail_of.insert(text(row, "job_id").to_owned(), key);
                if waits {
                    facts::waiting(&mut facts, &key, row["handed_over"] == true);
                }
            }
            if waits {
                work.insert(about, instant(row, "due_at"));
            }
        }
        let delivered: Vec<_> = mails
            .iter()
            .map(|message| {
                let job = message.trim_start_matches('<').split('@').next().unwrap();
                mail_of[job]
            })
            .collect();
        for key in &delivered {
            facts::delivered(&mut facts, key);
        }
        let not_newest = rows(all, "not newest").map(|row| {
            let at = known.instances[&id(row, "instance_id")];
            format!(
                "item {} of {at} is shown as {}, and the newest decision is {}",
                row["seq"], row["shown"], row["newest"]
            )
        });
        let not_newest = not_newest.collect();
        Self { facts, instances, directory, work, delivered, not_newest }
    }

    fn instances(all: &Parts, known: &mut Known, facts: &mut Facts) -> Vec<SeenInstance> {
        let mut instances = Vec::new();
        for row in rows(all, "instances") {
            let review = known.reviews[&id(row, "definition_id")];
            let at = At { review, occurrence: number(row, "occurrence") };
            known.instances.insert(id(row, "instance_id"), at);
            known.latest_instances.insert(at, id(row, "instance_id"));
            known.prefixes.insert(at, id(row, "item_prefix"));
            let (status, start_at, end_at) = (status(row), instant(row, "start_at"), instant(row, "end_at"));
            facts::instance(facts, at, status, start_at, end_at);
            if let Some(last) = row["reminded_at"].as_str() {
                facts::reminded(facts, at, last.parse().unwrap(), number(row, "reminders"));
            }
            instances.push(SeenInstance {
                at,
                status,
                start_at,
                end_at,
                stages: Vec::new(),
                applied: BTreeMap::new(),
                system: BTreeMap::new(),
            });
        }
        instances.sort_by_key(|instance| instance.at);
        let mut lists: BTreeMap<Uuid, Lists> = BTreeMap::new();
        for row in rows(all, "scopes") {
            let reviewer = Reviewer::stored(text(row, "form"), optional_id(row, "object_id").map(Name::of));
            let lists = lists.entry(id(row, "stage_id")).or_default();
            match text(row, "role") {
                "primary" => lists.reviewers.insert(reviewer),
                _ => lists.fallbacks.insert(reviewer),
            };
        }
        for row in rows(all, "stages") {
            let at = known.instances[&id(row, "instance_id")];
            known.stages.insert(id(row, "stage_id"), (at, ordinal(row)));
            known.latest_stages.insert((at, ordinal(row)), id(row, "stage_id"));
            let lists = lists.remove(&id(row, "stage_id")).unwrap_or_default();
            facts::stage(
                facts,
                at,
                ordinal(row),
                status(row),
                instant(row, "start_at"),
                instant(row, "end_at"),
                &lists,
            );
            let stage = SeenStage { status: Some(status(row)), lists, ..SeenStage::default() };
            Self::find(&mut instances, at).stages.push(stage);
        }
        instances
    }

    fn find(instances: &mut [SeenInstance], at: At) -> &mut SeenInstance {
        instances.iter_mut().find(|instance| instance.at == at).unwrap()
    }

    fn decisions(all: &Parts, known: &mut Known, facts: &mut Facts, instances: &mut [SeenInstance]) {
        let mut principals = BTreeMap::new();
        let mut recommendations = BTreeMap::new();
        for row in rows(all, "items") {
            let at = known.instances[&id(row, "instance_id")];
            let seq = i32::try_from(number(row, "seq")).unwrap();
            let principal = name(row, "principal_id");
            known.items.insert((at, principal), seq);
            principals.insert((at, number(row, "seq")), principal);
            recommendations.insert((at, number(row, "seq")), row["recommendations"].clone());
        }
        let item = |known: &Known, row: &Value| {
            let at = known.instances[&id(row, "instance_id")];
            (at, principals[&(at, number(row, "seq"))])
        };
        for row in rows(all, "held") {
            let (at, stage) = known.stages[&id(row, "stage_id")];
            let reviewers = &known.reviewers[&id(row, "stage_id")].1;
            let kept = &mut Self::find(instances, at).stages[stage - 1];
            for seq in row["seqs"].as_array().unwrap().iter().map(|seq| seq.as_i64().unwrap()) {
                let principal = principals[&(at, seq)];
                let reviewers = reviewers.get(&seq).cloned().unwrap_or_default();
                let shown = match recommendations[&(at, seq)][stage - 1].as_i64() {
                    Some(1) => Some(Verdict::Approve),
                    Some(2) => Some(Verdict::Deny),
                    _ => None,
                };
                facts::item_in_stage(facts, at, stage, principal, &reviewers);
                facts::recommendation(facts, at, stage, principal, shown);
                kept.items.insert(principal);
                kept.reviewers.insert(principal, reviewers);
            }
        }
        for row in rows(all, "decisions") {
            let (at, principal) = item(known, row);
            let decision = Decision {
                verdict: Verdict::parse(text(row, "decision")).unwrap(),
                by: name(row, "decided_by_id"),
                at: instant(row, "decided_at"),
                justified: match text(row, "justification") {
                    "" => Justified::No,
                    "because" => Justified::Because,
                    _ => Justified::Accepted,
                },
            };
            facts::decision(facts, at, ordinal(row), principal, &decision);
            let instance = Self::find(instances, at);
            match ordinal(row) {
                0 => instance.system.insert(principal, decision),
                ordinal => instance.stages[ordinal - 1].decisions.insert(principal, decision),
            };
        }
        for row in rows(all, "results") {
            let (at, principal) = item(known, row);
            let applied = match text(row, "result") {
                "AppliedSuccessfully" => Applied::Successfully,
                "AppliedSuccessfullyButObjectNotFound" => Applied::ObjectNotFound,
                "ApplyNotSupported" => Applied::NotSupported,
                other => panic!("no history ends in {other}"),
            };
            facts::applied(facts, at, principal, applied, name(row, "applied_by_id"));
            Self::find(instances, at).applied.insert(principal, applied);
        }
        for row in rows(all, "deletions") {
            let (at, principal) = item(known, row);
            facts::deletion(facts, at, principal, instant(row, "due_at"));
        }
        for row in rows(all, "contacted") {
            let at = known.instances[&id(row, "instance_id")];
            facts::contacted(facts, at, ordinal(row), name(row, "reviewer_id"), instant(row, "contacted_at"));
        }
    }

    fn directory(all: &Parts) -> Directory {
        let users = rows(all, "users").map(|row| {
            let manager = optional_id(row, "manager_id").map(Name::of);
            // Nothing changes what is known of sign-ins, and nobody compares it.
            let user = User { manager, enabled: row["account_enabled"] == true, sign_in: SignIn::NoInformation };
            (name(row, "user_id"), user)
        });
        let of_group = |group: Name| {
            let rows = rows(all, "members").filter(move |row| name(row, "group_id") == group);
            rows.map(|row| name(row, "member_id")).collect()
        };
        Directory {
            users: users.collect(),
            members: of_group(FINANCE),
            nested: of_group(CONTRACTORS),
            owners: rows(all, "owners").map(|row| name(row, "owner_id")).collect(),
        }
    }
}

/// Everybody whose eyes something can be seen with.
pub fn everybody() -> impl Iterator<Item = Name> {
    super::company::PEOPLE.into_iter().chain([CARLA])
}
