//! `attestry demo`: a company nobody works for, a review of it that runs, and calls to try on it.
//!
//! Everything is made through the use cases, as clients would make it. Each step first looks whether it was done, so a demo
//! that was interrupted is completed and one that was there is found as it was left.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use attestry::{
    app::{
        Call, Services, StagePath,
        advance_clock::advance_clock,
        create_definition::create_definition,
        development_tokens::{DevelopmentKey, Subject, TokenRequest, parse_lifetime, sign},
        import_directory::NoProgress,
        list_decisions::{DecisionList, list_stage_decisions},
        list_definitions::{DefinitionList, list_definitions},
        list_instances::{InstanceList, list_instances},
        list_stages::{StageList, list_stages},
        listing::ListRequest,
        resolve_caller::resolve_caller,
    },
    config::Config,
    domain::{
        authorization::{CallerKind, Permission, RoleSet},
        definition::Definition,
        duration::IsoDuration,
        ids::{DefinitionId, InstanceId, ObjectId, StageId, TenantId},
        precondition::Precondition,
        status::Status,
        token_issuer::assertion::{self, AssertedCaller, UserKey},
    },
    http::definitions::{body::parse_create, view::render},
    jobs::run_due_jobs,
    store::{Actor, Lane, Tenant, pg::PgStore},
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::{
    database::Database,
    import::import,
    print,
    serve::{self, Listening},
    service::{self, Wired},
    tenant,
    token::{development_key, find_user, real_time},
};

/// The company: users, groups, an application. `<3 days ago>` in place of a time is counted from the day it is first read.
const COMPANY: &str = include_str!("demo_company.ndjson");
/// The other tenant has one user.
const ELSEWHERE: &str = r#"{"type":"user","id":"e0000000-0000-4000-8000-000000000001","userPrincipalName":"sam.stranger@elsewhere.example","displayName":"Sam Stranger","mail":"sam.stranger@elsewhere.example","userType":"Member","accountEnabled":true,"jobTitle":"Owner","createdDateTime":"<90 days ago>","signInActivity":{"lastSignInDateTime":"<1 days ago>"}}
"#;

const TENANT: &str = "demo";
const OTHER_TENANT: &str = "other";

const ADA: Uuid = uuid!("d0000000-0000-4000-8000-000000000001");
const INES: Uuid = uuid!("d0000000-0000-4000-8000-000000000002");
const BRUNO: Uuid = uuid!("d0000000-0000-4000-8000-000000000003");
const FRIDA: Uuid = uuid!("d0000000-0000-4000-8000-000000000004");
const OMAR: Uuid = uuid!("d0000000-0000-4000-8000-000000000007");
const SAM: Uuid = uuid!("e0000000-0000-4000-8000-000000000001");
const ERP_USERS: Uuid = uuid!("d1000000-0000-4000-8000-000000000001");

/// How long the printed tokens count.
const TOKEN_LIFETIME: &str = "12h";

/// Somebody to be in the demo.
struct Persona {
    /// The shell variable of the token.
    variable: &'static str,
    tenant: &'static str,
    user: Uuid,
    part: &'static str,
}

/// The administrator, the reviewers of the three stages in their order, and somebody else.
static PERSONAS: [Persona; 5] = [
    Persona {
        variable: "ADMIN",
        tenant: TENANT,
        user: ADA,
        part: "Identity Governance Administrator; made the review, sees and changes all of it",
    },
    Persona { variable: "FIRST", tenant: TENANT, user: INES, part: "reviews everybody in stage 1, which is running" },
    Persona {
        variable: "SECOND",
        tenant: TENANT,
        user: BRUNO,
        part: "reviews his reports in stage 2, as their manager",
    },
    Persona {
        variable: "THIRD",
        tenant: TENANT,
        user: OMAR,
        part: "reviews what is left in stage 3, as the group's owner",
    },
    Persona {
        variable: "STRANGER",
        tenant: OTHER_TENANT,
        user: SAM,
        part: "belongs to another tenant; nothing of all this exists for him",
    },
];

pub async fn run(config: &Config, database: &Database) -> anyhow::Result<()> {
    database.prepare(true).await?;
    let wired = service::wire(config, database)?;
    let company = tenant_with(database, &wired, TENANT, "Harbour & Sons (demo)", COMPANY, ADA).await?;
    tenant_with(database, &wired, OTHER_TENANT, "Elsewhere (demo)", ELSEWHERE, SAM).await?;
    let admin = call_of(&wired.services, company.id, ADA).await?;
    review(&wired.services, &admin, &config.expected_public_url()).await?;

    let store = wired.store.clone();
    serve::serve(config, wired, async |listening: Listening| {
        let place = place(&listening.services, &admin).await?;
        let mut tokens = Vec::new();
        for persona in &PERSONAS {
            tokens.push(token(database, &store, persona).await?);
        }
        print(&guide(&listening.public_url, &place, &tokens))
    })
    .await
}

/// The tenant and its directory, made if they are not there. The directory is there when `one_of_them` is.
async fn tenant_with(
    database: &Database,
    wired: &Wired,
    slug: &str,
    name: &str,
    directory: &str,
    one_of_them: Uuid,
) -> anyhow::Result<Tenant> {
    let found = database.administration().await?.find_tenant(slug).await?;
    let tenant = match found {
        Some(tenant) => tenant,
        None => tenant::make(database, slug.to_owned(), name.to_owned(), true).await?,
    };
    let known = wired
        .services
        .store
        .begin(tenant.id, Lane::Interactive)
        .await?
        .directory()
        .identity(ObjectId::new(one_of_them))
        .await?;
    if known.is_none() {
        tracing::info!(tenant = slug, "reading the demo's directory");
        let directory = dated(directory, real_time())?;
        import(database, tenant.id, directory.as_bytes(), &NoProgress).await?;
    }
    Ok(tenant)
}

/// A directory file with `<n days ago>` turned into times.
fn dated(directory: &str, now: DateTime<Utc>) -> anyhow::Result<String> {
    fn visit(value: &mut Value, now: DateTime<Utc>) {
        match value {
            Value::String(text) => {
                let days = text.strip_prefix('<').and_then(|text| text.strip_suffix(" days ago>"));
                if let Some(days) = days.and_then(|days| days.parse().ok()) {
                    let at = now - TimeDelta::days(days) - TimeDelta::minutes(11 + days % 60);
                    *text = at.to_rfc3339_opts(SecondsFormat::Secs, true);
                }
            }
            Value::Object(members) => members.values_mut().for_each(|member| visit(member, now)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        }
    }
    let mut lines = String::new();
    for line in directory.lines() {
        let mut object: Value = serde_json::from_str(line).context("a line of the demo's directory is no JSON")?;
        visit(&mut object, now);
        lines.push_str(&object.to_string());
        lines.push('\n');
    }
    Ok(lines)
}

/// A call of one of the company's people, with the roles the directory gives him.
async fn call_of(services: &Services, tenant: TenantId, user: Uuid) -> anyhow::Result<Call> {
    let asserted = AssertedCaller {
        tenant_id: tenant,
        subject: assertion::Subject::User(UserKey::Id(ObjectId::new(user))),
        kind: CallerKind::User,
        permission: Some(Permission::ReadWrite),
        identity_provider_permission: None,
        roles: RoleSet::EMPTY,
    };
    let caller = resolve_caller(services, &asserted)
        .await
        .map_err(service::told)
        .with_context(|| format!("{user} is gone from the demo's directory"))?;
    Ok(Call { caller: Arc::new(caller), request_id: None, precondition: Precondition::default(), repeat_key: None })
}

/// Makes the review unless there is one, and sees to it that it runs before anybody is told of it.
async fn review(services: &Services, admin: &Call, public_url: &str) -> anyhow::Result<()> {
    if newest_definition(services, admin).await?.is_none() {
        tracing::info!("creating the demo's review");
        let draft = parse_create(&definition())
            .map_err(|violations| anyhow!("the demo's review is malformed: {violations:?}"))?;
        create_definition(services, admin, draft, render).await.map_err(service::told)?;
    }
    run_due_jobs(services, Some(admin.caller.tenant_id), public_url).await?;
    if instance_of(services, admin).await?.is_some_and(|(_, _, status)| status == Status::NotStarted) {
        // It starts with the next moment of the tenant's clock; a step of no length waits for whoever opens it.
        let step = IsoDuration::days(0);
        advance_clock(services, admin.caller.tenant_id, &Actor::system(), step, public_url)
            .await
            .map_err(service::told)?;
    }
    Ok(())
}

/// The review: a specialist first, then each person's manager, then the owners of the group.
fn definition() -> Value {
    let fallback = json!([user_scope(FRIDA)]);
    json!({
        "displayName": "Who may use the finance system?",
        "descriptionForAdmins": "Quarterly review of the finance system in three stages.",
        "descriptionForReviewers": "Please approve those who still need the finance system for their work.",
        "scope": { "query": format!("/groups/{ERP_USERS}/transitiveMembers"), "queryType": "MicrosoftGraph" },
        "instanceEnumerationScope": { "query": format!("/groups/{ERP_USERS}"), "queryType": "MicrosoftGraph" },
        "settings": {
            "mailNotificationsEnabled": true,
            "reminderNotificationsEnabled": false,
            "justificationRequiredOnApproval": true,
            "defaultDecisionEnabled": true,
            "defaultDecision": "Recommendation",
            "instanceDurationInDays": 9,
            "autoApplyDecisionsEnabled": false,
            "recommendationsEnabled": true,
            "decisionHistoriesForReviewersEnabled": true,
        },
        "stageSettings": [
            {
                "stageId": "specialist",
                "dependsOn": [],
                "durationInDays": 3,
                "recommendationsEnabled": true,
                "decisionsThatWillMoveToNextStage": ["Approve", "DontKnow", "NotReviewed"],
                "reviewers": [user_scope(INES)],
                "fallbackReviewers": fallback,
            },
            {
                "stageId": "manager",
                "dependsOn": ["specialist"],
                "durationInDays": 3,
                "recommendationsEnabled": true,
                "decisionsThatWillMoveToNextStage": ["Approve", "DontKnow", "NotReviewed"],
                "reviewers": [{ "query": "./manager", "queryType": "MicrosoftGraph", "queryRoot": "decisions" }],
                "fallbackReviewers": fallback,
            },
            {
                "stageId": "owners",
                "dependsOn": ["manager"],
                "durationInDays": 3,
                "recommendationsEnabled": true,
                "decisionsThatWillMoveToNextStage": [],
                "reviewers": [{ "query": format!("/groups/{ERP_USERS}/owners"), "queryType": "MicrosoftGraph" }],
                "fallbackReviewers": fallback,
            },
        ],
    })
}

/// Everything of a list, as far as one page goes.
fn first_page<P, C>() -> ListRequest<P, C> {
    ListRequest::first(100)
}

async fn newest_definition(services: &Services, admin: &Call) -> anyhow::Result<Option<Definition>> {
    let listed = list_definitions(services, admin, DefinitionList::All, &first_page()).await.map_err(service::told)?;
    Ok(listed.slice.rows.into_iter().next())
}

async fn instance_of(services: &Services, admin: &Call) -> anyhow::Result<Option<(DefinitionId, InstanceId, Status)>> {
    let Some(definition) = newest_definition(services, admin).await? else { return Ok(None) };
    let listed = list_instances(services, admin, definition.id, InstanceList::All, &first_page(), false).await;
    let instance = listed.map_err(service::told)?.slice.rows.into_iter().next();
    Ok(instance.map(|found| (definition.id, found.view.instance.id, found.view.instance.status)))
}

/// Where the review stands: what the calls name.
struct Place {
    definition: DefinitionId,
    instance: InstanceId,
    stage: StageId,
    ordinal: i16,
    /// Whether the stage takes decisions.
    runs: bool,
    item: Uuid,
    item_name: String,
}

/// The running stage, or the last one when none runs, and its first item.
async fn place(services: &Services, admin: &Call) -> anyhow::Result<Place> {
    let found = instance_of(services, admin).await?;
    let (definition, instance, _) = found.context("the demo's review has no instance")?;
    let listed = list_stages(services, admin, definition, instance, StageList::All, &first_page()).await;
    let stages = listed.map_err(service::told)?.slice.rows;
    let runs = |status: Status| status == Status::InProgress;
    let stage = stages.iter().rev().find(|view| runs(view.stage.status)).or(stages.last());
    let stage = stage.context("the demo's review has no stage")?.stage.clone();
    let path = StagePath { definition, instance, stage: stage.id };
    let reviewer = call_of(services, admin.caller.tenant_id, reviewer_of(stage.ordinal).user).await?;
    let mut items = Vec::new();
    for (call, list) in [(&reviewer, DecisionList::Mine), (admin, DecisionList::All)] {
        // A stage that is over may show its reviewer nothing.
        if let Ok((held, listed)) = list_stage_decisions(services, call, path, list, &first_page()).await {
            items.extend(listed.slice.rows.into_iter().map(|row| (held.item_prefix.item_id(row.seq), row.principal)));
        }
    }
    let (item, principal) = items.into_iter().next().context("the demo's review has nobody to review")?;
    Ok(Place {
        definition,
        instance,
        stage: stage.id,
        ordinal: stage.ordinal,
        runs: runs(stage.status),
        item,
        item_name: principal.display_name,
    })
}

async fn token(database: &Database, store: &PgStore, persona: &Persona) -> anyhow::Result<(Subject, String)> {
    let tenant = database.tenant(persona.tenant).await?.id;
    let subject = find_user(store, tenant, &persona.user.to_string()).await?;
    let key: DevelopmentKey = development_key(&mut database.administration().await?, tenant).await?;
    let request = TokenRequest::new(subject.clone(), &[], &[], parse_lifetime(TOKEN_LIFETIME)?)?;
    let token = sign(&key, &request, real_time())?;
    Ok((subject, token))
}

/// A reviewer scope that names one user.
fn user_scope(user: Uuid) -> Value {
    json!({ "query": format!("/users/{user}"), "queryType": "MicrosoftGraph" })
}

/// A call that reads, as a line for a shell.
fn get(who: &str, target: &str) -> String {
    format!("curl -siw '\\n' -H \"Authorization: Bearer ${who}\" \"{target}\"")
}

/// A call that changes something, as a line for a shell. The body must hold no apostrophe.
fn send(method: &str, who: &str, body: &Value, target: &str) -> String {
    format!(
        "curl -siw '\\n' -X {method} -H \"Authorization: Bearer ${who}\" -H 'Content-Type: application/json' -d '{body}' \
         \"{target}\""
    )
}

/// Who decides in a stage.
fn reviewer_of(ordinal: i16) -> &'static Persona {
    match ordinal {
        1 => &PERSONAS[1],
        2 => &PERSONAS[2],
        _ => &PERSONAS[3],
    }
}

/// What a newcomer reads: who is who, and calls that work as they stand.
fn guide(public_url: &str, place: &Place, tokens: &[(Subject, String)]) -> String {
    let mut text = format!("\nattestry listens on {public_url} (Ctrl-C ends it; the data stay).\n\nWho is who\n");
    for (persona, (subject, _)) in PERSONAS.iter().zip(tokens) {
        if let Subject::User { user_principal_name, display_name, .. } = subject {
            text.push_str(&format!(
                "  {:<9} {display_name} <{user_principal_name}>\n            {}\n",
                persona.variable, persona.part
            ));
        }
    }
    text.push_str(&format!(
        "\nTokens, good for {TOKEN_LIFETIME}, and where the review is: paste this into another terminal\n\n"
    ));
    for (persona, (_, token)) in PERSONAS.iter().zip(tokens) {
        text.push_str(&format!("export {}='{token}'\n", persona.variable));
    }
    let Place { definition, instance, stage, ordinal, runs, item, item_name } = place;
    text.push_str(&format!(
        "export ATTESTRY='{public_url}'\n\
         export INSTANCE=\"$ATTESTRY/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}\"\n\
         export STAGE=\"$INSTANCE/stages/{stage}\"\n\
         export ITEM='{item}'\n"
    ));
    if !runs {
        text.push_str(&format!("\nNo stage is running any more; stage {ordinal} was the last one.\n"));
    }
    let reviewer = reviewer_of(*ordinal).variable;
    let two = json!({ "reviewers": [user_scope(INES), user_scope(OMAR)] });
    let approval = json!({ "decision": "Approve", "justification": "Needs it for the monthly closing" });
    let mine = "decisions/filterByCurrentUser(on='reviewer')?\\$top=3";
    let calls = [
        ("The stages of the review, with their reviewers", get("ADMIN", "$INSTANCE/stages")),
        ("What a reviewer of the running stage has to decide", get(reviewer, &format!("$STAGE/{mine}"))),
        (
            &*format!("Approve one of them: {item_name} keeps access"),
            send("PATCH", reviewer, &approval, "$STAGE/decisions/$ITEM"),
        ),
        (
            "Give the running stage other reviewers: Ines and Omar; what was decided already stays",
            send("PATCH", "ADMIN", &two, "$STAGE"),
        ),
        (
            "Try to drop the fallback reviewer: 409, for fallback reviewers may only be added",
            send("PATCH", "ADMIN", &json!({ "fallbackReviewers": [] }), "$STAGE"),
        ),
        ("Somebody of another tenant finds nothing: 404", get("STRANGER", "$INSTANCE")),
        (
            "Let three days pass in this sandbox: the stage ends and the next one asks its reviewers",
            send("POST", "ADMIN", &json!({ "advance": "P3D" }), "$ATTESTRY/attestry/v1/sandbox/clock"),
        ),
        ("What Bruno reviews, as a manager, once stage 2 runs", get("SECOND", &format!("$INSTANCE/{mine}"))),
    ];
    for (what, call) in calls {
        text.push_str(&format!("\n# {what}\n{call}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use attestry::domain::directory::{DirectoryRecord, parse_line};

    use super::*;

    fn records() -> Vec<DirectoryRecord> {
        let directory = dated(COMPANY, DateTime::UNIX_EPOCH).expect("JSON")
            + &dated(ELSEWHERE, DateTime::UNIX_EPOCH).expect("JSON");
        directory.lines().map(|line| parse_line(line).expect("a record")).collect()
    }

    #[test]
    fn the_company_has_about_forty_people_and_every_persona() {
        let users: Vec<_> = records()
            .into_iter()
            .filter_map(|record| match record {
                DirectoryRecord::User(user) => Some(user.id.as_uuid()),
                _ => None,
            })
            .collect();
        assert_eq!(users.len(), 41);
        assert!(PERSONAS.iter().all(|persona| users.contains(&persona.user)));
    }

    #[test]
    fn the_review_of_the_demo_is_one_a_client_could_create() {
        let draft = parse_create(&definition()).expect("well formed");
        assert_eq!(attestry::domain::definition::validate(&draft), []);
        assert_eq!(draft.stages.len(), 3);
    }

    #[test]
    fn times_are_told_from_the_day_the_directory_is_read() {
        let line = "{\"at\":\"<2 days ago>\",\"in\":{\"at\":\"<x days ago>\",\"no\":null}}\n";
        let now = DateTime::from_timestamp(86_400 * 10, 0).expect("a time");
        let read = dated(line, now).expect("JSON");
        assert_eq!(read, "{\"at\":\"1970-01-08T23:47:00Z\",\"in\":{\"at\":\"<x days ago>\",\"no\":null}}\n");
    }
}
