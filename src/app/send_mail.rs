//! The mail of one job: whether it is still wanted and what it tells are read when it is sent. LC-NOTE-07

use super::{
    Refused, Services,
    deliver_mail::{Letter, Mark, Sent, deliver, nothing_to_send},
    run_review::about,
};
use crate::{
    domain::{
        decision::Verdict,
        definition::{DefaultDecision, Definition},
        event::Activity,
        ids::{InstanceId, ObjectId},
        instance::Instance,
        mail::{MailKind, Purpose, reminds},
        reviewer_scope::ReviewerScope,
        stage::StageOrdinal,
        status::Status,
    },
    mail::{MailFacts, Matter, Request},
    store::{
        ClaimedJob, ItemFilter, ItemView, StageEntry, StoreError, UnitOfWork,
        filter::{DecisionProperty, FilterExpression, FilterOperator, FilterValue},
    },
};

/// A mail that a job asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct MailOrder {
    pub mail: MailKind,
    pub instance: InstanceId,
    pub ordinal: StageOrdinal,
    pub recipient: ObjectId,
}

/// Sends one mail and ends its job. Takes no lock: a mail waits for nobody, and nobody waits for a mail.
pub(super) async fn send_mail(
    services: &Services,
    job: &ClaimedJob,
    order: MailOrder,
    public_url: &str,
) -> Result<Sent, Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let Some((definition, instance)) = find(&mut *uow, order.instance).await? else {
        return nothing_to_send(uow, job).await;
    };
    let stages = uow.stages().list(order.instance).await?;
    let stage = stages.iter().find(|entry| entry.stage.ordinal == order.ordinal);
    let matter = match order.mail.purpose() {
        Purpose::Asks | Purpose::Reminds => match (stage, open_items(&mut *uow, stage, order).await?) {
            (Some(entry), Some(open)) if is_wanted(&mut *uow, order, open).await? => {
                let (ordinal, count) = (entry.stage.ordinal, entry.stage.stage_count);
                Some(Matter::Request(request(&definition, &instance, Some(open), ordinal, count)))
            }
            (_, _) => None,
        },
        Purpose::Reports if !is_told(&mut *uow, &definition, order).await? => None,
        Purpose::Reports => Some(Matter::Outcome(uow.mail().tally(instance.id).await?)),
    };
    let Some(matter) = matter else { return nothing_to_send(uow, job).await };
    let letter = Letter {
        kind: order.mail,
        recipient: order.recipient,
        address: uow.directory().mail_addresses(&[order.recipient]).await?.pop(),
        own: uow.mail().template(order.mail).await?.map(|template| template.own),
        facts: MailFacts {
            recipient: String::new(),
            review: definition.draft.display_name.clone(),
            resources: vec![instance.resource.display_name.clone()],
            more_resources: 0,
            ends_at: stage.map_or(instance.end_at, |entry| entry.stage.end_at),
            link: format!("{}/{}", link_to_instances(public_url, &definition), instance.id),
            applied_automatically: instance.settings.auto_apply_decisions_enabled,
            matter,
        },
        mark: match order.mail.purpose() {
            Purpose::Asks => Mark::Stage(instance.id, order.ordinal),
            Purpose::Reminds | Purpose::Reports => Mark::Nobody,
        },
        about: about(Activity::MailSent, &instance),
    };
    drop(uow);
    deliver(services, job, letter).await
}

async fn find(uow: &mut dyn UnitOfWork, id: InstanceId) -> Result<Option<(Definition, Instance)>, StoreError> {
    let Some(definition) = uow.instances().definition_of(id).await? else { return Ok(None) };
    let instance = uow.instances().find(definition, id).await?;
    Ok(uow.definitions().find(definition).await?.zip(instance))
}

/// What a reviewer is told of the review he is asked to answer in. What becomes of people without an answer is the instance's to say:
/// it keeps what it started with. LC-DEF-22
pub(super) fn request(
    definition: &Definition,
    instance: &Instance,
    open_items: Option<i64>,
    stage: StageOrdinal,
    stage_count: StageOrdinal,
) -> Request {
    let settings = &instance.settings;
    Request {
        asked_by: definition.created_by.display_name.clone(),
        description: definition.draft.description_for_reviewers.clone(),
        open_items,
        stage,
        stage_count,
        default_decision: match settings.default_decision_enabled {
            true => settings.default_decision,
            false => DefaultDecision::None,
        },
    }
}

/// Where a reviewer finds the instances of a review.
pub(super) fn link_to_instances(public_url: &str, definition: &Definition) -> String {
    format!("{public_url}/v1.0/identityGovernance/accessReviews/definitions/{}/instances", definition.id)
}

/// LC-NOTE-02
async fn is_wanted(uow: &mut dyn UnitOfWork, order: MailOrder, open_items: i64) -> Result<bool, StoreError> {
    Ok(match order.mail.purpose() {
        Purpose::Reminds => reminds(uow.mail().settings().await?, open_items),
        Purpose::Asks | Purpose::Reports => true,
    })
}

/// Whether the recipient of N-7 is still one of the people to be told. LC-NOTE-07
async fn is_told(
    uow: &mut dyn UnitOfWork,
    definition: &Definition,
    MailOrder { mail, recipient, .. }: MailOrder,
) -> Result<bool, StoreError> {
    if mail != MailKind::CompletedAdditional {
        return Ok(true);
    }
    for told in &definition.draft.additional_notification_recipients {
        // One that cannot be read is on record since the review ended.
        let Ok(scope) = ReviewerScope::parse(&told.query, None, told.query_root.as_deref()) else { continue };
        if !uow.directory().people(&scope.form, Some(recipient)).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many of the items that the recipient reviews in the stage have no answer in it; `None` when the stage takes no answers or he
/// reviews nothing in it. LC-NOTE-02, LC-NOTE-07
async fn open_items(
    uow: &mut dyn UnitOfWork,
    stage: Option<&StageEntry>,
    order: MailOrder,
) -> Result<Option<i64>, StoreError> {
    if stage.is_none_or(|entry| entry.stage.status != Status::InProgress) {
        return Ok(None);
    }
    let mut reaches = uow.reviewers().reaches(order.instance, order.recipient).await?;
    reaches.retain(|part| part.ordinal == order.ordinal);
    let Some(entry) = reaches.first().map(|part| part.entry) else { return Ok(None) };
    let view = ItemView::Stage { ordinal: order.ordinal, entry, reach: Some(reaches) };
    let unanswered = FilterExpression::Compare {
        property: DecisionProperty::Decision,
        operator: FilterOperator::Equal,
        value: FilterValue::Member(Verdict::NotReviewed.as_str()),
    };
    let filter = ItemFilter { expression: Some(unanswered), order: Vec::new() };
    Ok(Some(uow.items().count(order.instance, &view, &filter).await?))
}
