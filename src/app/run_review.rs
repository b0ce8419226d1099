//! Moving a review along tables 2.2 and 4.2, inside one unit of work that already holds the locks.
//!
//! The rules are `domain::lifecycle`; this walks the statuses they answer, writes each step's consequences, and leaves one
//! event per step. Callers lock definition, instance and stage, in this order, before they come here.

mod waiting;

use std::iter;

use serde_json::json;

use super::{Refused, ids};
use crate::{
    domain::{
        affiliation::affiliations,
        decision::Verdict,
        definition::{DefaultDecision, Definition, Identity},
        enumeration::enumeration_status,
        event::{Activity, Event},
        ids::{InstanceId, ReviewerListId},
        instance::{Instance, InstanceError, Resource},
        lifecycle::{self, Begun, Entry, InstanceProgress, Next, Start},
        limits::ReviewLimits,
        mail::MailKind,
        recommendation::{RecommendationRule, rules_of_instance},
        recurrence,
        reviewer_scope::{ReviewerLists, ReviewerScope},
        scope::ReviewScope,
        stage::{PlannedStage, Stage, StageOrdinal},
        status::Status,
    },
    store::{
        Actor, ClaimedJob, Gathering, Job, NewJob, Outcome, Resolution, StageEntry, StoreError, Unchanged, UnitOfWork,
        review_steps::ReviewStep,
    },
};

/// The class of the error of an instance that fails because an item would have more reviewers than are allowed. LC-REV-13
const TOO_MANY_REVIEWERS: &str = "TooManyReviewers";

/// The class of the error of an instance whose next step fails whenever it is tried. IN-15
const INTERNAL_FAULT: &str = "InternalFault";

/// A review being moved along.
pub(super) struct ReviewRun<'a> {
    uow: &'a mut dyn UnitOfWork,
    actor: &'a Actor,
    events: Vec<Event>,
    jobs: Vec<NewJob>,
    rescheduled: Vec<NewJob>,
    /// Changed, and not written yet: with everything else in the end.
    instance: Option<Instance>,
    stage: Option<Stage>,
    /// How far the definition's other instances are, while no other has been made.
    progress_of_others: Option<Vec<InstanceProgress>>,
    /// The claimed job that ends with this.
    job: Option<&'a ClaimedJob>,
}

impl<'a> ReviewRun<'a> {
    pub(super) fn new(uow: &'a mut dyn UnitOfWork, actor: &'a Actor) -> Self {
        Self {
            uow,
            actor,
            events: Vec::new(),
            jobs: Vec::new(),
            rescheduled: Vec::new(),
            instance: None,
            stage: None,
            progress_of_others: None,
            job: None,
        }
    }

    /// The same for a review of which is known how far the definition's other instances are.
    pub(super) fn beside(
        uow: &'a mut dyn UnitOfWork,
        actor: &'a Actor,
        progress_of_others: Vec<InstanceProgress>,
    ) -> Self {
        Self { progress_of_others: Some(progress_of_others), ..Self::new(uow, actor) }
    }

    /// Writes what was changed and the collected events and jobs, and the definition's derived status. LC-DEF-11
    pub(super) async fn finish(mut self, definition: &Definition) -> Result<(), StoreError> {
        let status = self.status_of(definition).await?;
        self.uow.jobs().enqueue(&self.jobs).await?;
        self.uow.jobs().reschedule(&self.rescheduled).await?;
        let step = ReviewStep {
            definition: definition.id,
            status,
            instance: self.instance.as_ref(),
            stage: self.stage.as_ref(),
            job: self.job.map(|job| (job, Outcome::Done)),
            actor: self.actor,
            events: &self.events,
        };
        self.uow.review_steps().save(&step).await
    }

    /// The same, and ends the claimed job that made the step. [`StoreError::LeaseLost`] when somebody else has it by now.
    pub(super) async fn finish_with(mut self, definition: &Definition, job: &'a ClaimedJob) -> Result<(), StoreError> {
        self.job = Some(job);
        self.finish(definition).await
    }

    async fn status_of(&mut self, definition: &Definition) -> Result<Status, StoreError> {
        // What is not written yet is not asked for.
        let changed = self.instance.as_ref().map(|instance| (instance.id, instance.occurrence, instance.status));
        let mut progress = match (self.progress_of_others.take(), changed) {
            (Some(of_others), Some(_)) => of_others,
            _ => self.uow.instances().progress(definition.id, changed.map(|(id, ..)| id)).await?,
        };
        progress.extend(changed.map(|(_, occurrence, status)| InstanceProgress { occurrence, status }));
        let next = progress.iter().map(|instance| instance.occurrence).max().map_or(0, |last| last + 1);
        if definition.draft.scope.form.enumerates().is_none() {
            let more_to_come = definition.occurrence_start(next).is_some();
            return Ok(lifecycle::definition_status(definition.is_series(), &progress, more_to_come));
        }
        let opened = self.uow.occurrences().last_opened(definition.id).await?;
        let next = opened.as_ref().map_or(next, |opened| next.max(opened.occurrence + 1));
        let more_to_come = definition.occurrence_start(next).is_some();
        Ok(enumeration_status(definition.is_series(), opened.as_ref(), &progress, more_to_come))
    }

    /// The unit of work that the review is moved along in.
    pub(super) fn unit(&mut self) -> &mut dyn UnitOfWork {
        self.uow
    }

    /// An event that is no status change.
    pub(super) fn note(&mut self, event: Event) {
        self.events.push(event);
    }

    fn enqueue(&mut self, job: Job, due_at: chrono::DateTime<chrono::Utc>) {
        self.jobs.push(NewJob { id: ids::job(), job, due_at });
    }

    /// Has the instance opened at its start, also when it was to be opened at another time.
    fn open_at(&mut self, instance: InstanceId, start_at: chrono::DateTime<chrono::Utc>) {
        self.rescheduled.push(NewJob { id: ids::job(), job: Job::OpenInstance { instance }, due_at: start_at });
    }

    /// N-4: reminds in the middle of the stage's actual run, unless that is over. LC-NOTE-10
    pub(super) fn remind_half_way(&mut self, stage: &Stage, now: chrono::DateTime<chrono::Utc>) {
        let middle = lifecycle::middle(stage);
        if middle >= now {
            self.enqueue(Job::RemindStage { instance: stage.instance_id, stage: stage.id }, middle);
        }
    }

    /// Makes the instance of an occurrence, its first stage, and the job that opens it. IN-01, ST-01, LC-INST-07
    ///
    /// An all-groups review has no instance ahead of its start, only a job that will make them. LC-INST-08
    pub(super) async fn materialise(&mut self, definition: &Definition, occurrence: i32) -> Result<(), StoreError> {
        let Some(start_at) = definition.occurrence_start(occurrence) else { return Ok(()) };
        let draft = &definition.draft;
        let Some(resource) = draft.scope.form.resource() else {
            self.enqueue(Job::OpenOccurrence { definition: definition.id, occurrence, start_at }, start_at);
            return Ok(());
        };
        self.progress_of_others = None;
        let known = self.uow.directory().resource(&draft.scope.form).await?;
        let kind = draft.scope.form.resource_kind();
        // it may be gone since the definition was made
        let resource =
            known.unwrap_or_else(|| Resource { id: resource, display_name: String::new(), kind, detail: None });
        // A one-time review of one resource has one instance, under the definition's own id. LC-INST-03
        let id = if definition.is_series() { ids::instance() } else { InstanceId::new(definition.id.as_uuid()) };
        let instance = new_instance(definition, id, occurrence, start_at, draft.scope.normalised(), resource);
        if !self.uow.instances().insert(&instance, &draft.reviewer_lists).await? {
            return Ok(());
        }
        let planned = PlannedStage::all_of(draft);
        self.uow.stages().plan(instance.id, &planned).await?;
        self.tell_of_instance(&instance);
        self.create_stage(&instance, &planned, 1, on_time(&instance, start_at), Entry::All).await?;
        self.open_at(instance.id, start_at);
        Ok(())
    }

    /// IN-02 for a stored instance.
    pub(super) fn open_at_its_start(&mut self, instance: &Instance) {
        self.enqueue(Job::OpenInstance { instance: instance.id }, instance.start_at);
    }

    /// Has the reviewers of an occurrence over many groups told of them all, once its instances are open. LC-NOTE-06
    pub(super) fn tell_reviewers(&mut self, definition: &Definition, occurrence: i32) {
        if definition.draft.settings.mail_notifications_enabled {
            let now = self.uow.now();
            self.enqueue(Job::TellReviewers { definition: definition.id, occurrence }, now);
        }
    }

    /// The event of a new instance.
    pub(super) fn tell_of_instance(&mut self, instance: &Instance) {
        self.events.push(Event {
            after: Some(json!({
                "status": instance.status.as_str(),
                "startDateTime": instance.start_at,
                "endDateTime": instance.end_at,
            })),
            ..about(Activity::InstanceStatusChanged, instance)
        });
    }

    /// The event of a new stage.
    pub(super) fn tell_of_stage(&mut self, instance: &Instance, stage: &Stage, plan: &PlannedStage) {
        self.events.push(Event {
            stage_id: Some(stage.id),
            after: Some(json!({
                "status": stage.status.as_str(),
                "ordinal": stage.ordinal,
                "startDateTime": stage.start_at,
                "endDateTime": stage.end_at,
                "reviewers": queries(&plan.reviewer_lists.reviewers),
                "fallbackReviewers": queries(&plan.reviewer_lists.fallback_reviewers),
            })),
            ..about(Activity::StageCreated, instance)
        });
    }

    async fn create_stage(
        &mut self,
        instance: &Instance,
        planned: &[PlannedStage],
        ordinal: StageOrdinal,
        begun: Begun,
        entry: Entry,
    ) -> Result<StageEntry, StoreError> {
        let (stage, plan) = new_stage(instance, planned, ordinal, begun)?;
        self.uow.stages().insert(&stage, entry, &plan.reviewer_lists).await?;
        self.tell_of_stage(instance, &stage, plan);
        Ok(StageEntry { stage, entry })
    }

    /// IN-02, ST-02: the instance's time has come. Late starts move the dates; too late ones fail. LC-INST-15
    ///
    /// Returns whether the instance now gathers; when not it has failed.
    pub(super) async fn begin_gathering(
        &mut self,
        definition: &Definition,
        instance: &mut Instance,
        first: &mut StageEntry,
    ) -> Result<bool, StoreError> {
        let next_occurrence = definition.occurrence_start(instance.occurrence + 1);
        let planned = self.uow.stages().planned(instance.id).await?;
        match lifecycle::start(instance, &planned, next_occurrence, self.uow.now()) {
            Ok(start) => {
                instance.start_at = start.start_at;
                instance.end_at = start.end_at;
                if let Some(plan) = planned.first() {
                    first.stage.start_at = start.start_at;
                    first.stage.end_at = lifecycle::stage_end(start, plan, first.stage.stage_count);
                }
                self.move_stage(instance, &mut first.stage, Status::Initializing)?;
                self.move_instance(instance, Status::Initializing)?;
                self.uow.stages().update(&mut first.stage).await?;
                self.uow.instances().update(instance).await?;
                Ok(true)
            }
            Err(too_late) => {
                self.fail(definition, instance, "StartedTooLate", too_late.to_string()).await?;
                Ok(false)
            }
        }
    }

    /// IN-15: nothing is decided or applied any more; the series goes on.
    async fn fail(
        &mut self,
        definition: &Definition,
        instance: &mut Instance,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        instance.errors.push(InstanceError { code: code.to_owned(), message });
        self.move_instance(instance, Status::Failed)?;
        self.uow.instances().update(instance).await?;
        self.materialise(definition, instance.occurrence + 1).await
    }

    /// IN-15: what still runs ends, for nothing will come of what somebody answers, and the instance fails.
    pub(super) async fn give_up(&mut self, definition: &Definition, instance: &mut Instance) -> Result<(), StoreError> {
        for entry in self.uow.stages().list(instance.id).await? {
            let Some(mut stage) = self.uow.stages().lock(instance.id, entry.stage.id).await? else { continue };
            if stage.status == Status::InProgress {
                self.move_stage(instance, &mut stage, Status::Completing)?;
                self.move_stage(instance, &mut stage, Status::Completed)?;
                self.uow.stages().update(&mut stage).await?;
            }
        }
        let message =
            "the review could not go on, however often it was tried; the log of the service says why".to_owned();
        self.fail(definition, instance, INTERNAL_FAULT, message).await
    }

    /// IN-03 to IN-05, ST-03 to ST-05: gathers principals, reviewers and recommendations, and opens the first stage.
    pub(super) async fn open(
        &mut self,
        definition: &Definition,
        instance: &mut Instance,
        first: StageEntry,
        limits: &ReviewLimits,
    ) -> Result<(), Refused> {
        let gathering = self.gathering(instance, &first, limits).await?;
        let gathered = self.uow.items().gather(instance, &gathering).await?;
        if let Err(too_many) = limits.check_items(gathered.items) {
            self.uow.items().discard(instance.id).await?;
            return Ok(self.fail(definition, instance, "TooManyItems", too_many).await?);
        }
        instance.item_count = gathered.items;
        if instance.item_count == 0 {
            instance.errors.push(InstanceError {
                code: "ScopeResolutionFailed".to_owned(),
                message: "nobody was in scope when the review started".to_owned(),
            });
            let mut stage = first.stage;
            self.move_stage(instance, &mut stage, Status::Completed)?;
            self.uow.stages().update(&mut stage).await?;
            return Ok(self.complete(definition, instance).await?);
        }
        if let Err(too_many) = self.resolve_reviewers(instance, &first, Some(gathered.since), limits).await? {
            self.uow.items().discard(instance.id).await?;
            instance.item_count = 0;
            return Ok(self.fail(definition, instance, TOO_MANY_REVIEWERS, too_many).await?);
        }
        self.move_instance(instance, Status::Starting)?;
        let mail = if instance.multi_stage { MailKind::StageStarted } else { MailKind::ReviewStarted };
        // Reviewers of many groups are told of all of them at once, when all have been opened. LC-NOTE-06
        let alone = definition.draft.scope.form.enumerates().is_none()
            || self.uow.mail().occurrence_is_told(definition.id, instance.occurrence).await?;
        self.open_stage(instance, first, alone.then_some(mail)).await?;
        self.move_instance(instance, Status::InProgress)?;
        self.uow.instances().update(instance).await?;
        Ok(())
    }

    /// What to gather and how to group it, from the lists as they are now.
    async fn gathering(
        &mut self,
        instance: &Instance,
        first: &StageEntry,
        limits: &ReviewLimits,
    ) -> Result<Gathering, StoreError> {
        let planned = self.uow.stages().planned(instance.id).await?;
        let first_lists = self.uow.reviewer_lists().find(ReviewerListId::of_stage(first.stage.id)).await?;
        // An admin may have changed those of the first stage since it was planned. LC-SUPD-26
        let lists = || iter::once(&first_lists).chain(planned.iter().skip(1).map(|stage| &stage.reviewer_lists));
        let one_cohort_per_principal = lists().any(ReviewerLists::tell_principals_apart);
        let settings = &instance.settings;
        let recommendation_rules = rules_of_instance(&planned, settings, instance.resource.kind, instance.start_at);
        let affiliations =
            match recommendation_rules.iter().flatten().any(|rule| *rule == RecommendationRule::Affiliation) {
                true => affiliations(self.uow.items().managed_members(instance).await?),
                false => Vec::new(),
            };
        Ok(Gathering {
            inactive_before: instance
                .scope
                .inactive_for(settings.recommendation_look_back_duration)
                .map(|duration| duration.before(instance.start_at))
                .filter(|cutoff| *cutoff < instance.start_at),
            recommendation_rules,
            affiliations,
            one_cohort_per_principal,
            users_only: lists().all(|lists| lists.is_self_review() && lists.fallback_reviewers.is_empty()),
            direct_connect: planned.len() == 1,
            most_items: limits.items_per_instance,
        })
    }

    /// ST-02: resolves the reviewers of every item of the stage. `Err` says why there are too many; then none is stored. LC-REV-13
    async fn resolve_reviewers(
        &mut self,
        instance: &mut Instance,
        entry: &StageEntry,
        gathered: Option<Unchanged>,
        limits: &ReviewLimits,
    ) -> Result<Result<(), String>, StoreError> {
        match self.uow.reviewers().resolve(instance, entry, gathered, limits.reviewers_per_item).await? {
            Resolution::TooMany { found } => return Ok(Err(limits.too_many_reviewers(found))),
            Resolution::Resolved { items_without_reviewer: 0 } => {}
            Resolution::Resolved { items_without_reviewer } => {
                instance.warn_of_items_without_reviewer(entry.stage.ordinal, items_without_reviewer);
            }
        }
        Ok(Ok(()))
    }

    /// ST-03, ST-04: tells the reviewers with `mail`, and takes decisions until the stage's end.
    async fn open_stage(
        &mut self,
        instance: &mut Instance,
        mut entry: StageEntry,
        mail: Option<MailKind>,
    ) -> Result<(), StoreError> {
        self.move_stage(instance, &mut entry.stage, Status::Starting)?;
        let mail = mail.filter(|_| instance.settings.mail_notifications_enabled);
        self.uow.reviewers().contact_newcomers(instance.id, entry.stage.ordinal, mail).await?;
        self.move_stage(instance, &mut entry.stage, Status::InProgress)?;
        self.uow.stages().update(&mut entry.stage).await?;
        self.enqueue(Job::CloseStage { instance: instance.id, stage: entry.stage.id }, entry.stage.end_at);
        if instance.settings.reminder_notifications_enabled {
            let now = self.uow.now();
            self.remind_half_way(&entry.stage, now);
        }
        Ok(())
    }

    /// ST-06 to ST-09 and what follows: closes the stage, opens the next one or completes the instance. IN-06 to IN-08
    pub(super) async fn close_stage(
        &mut self,
        definition: &Definition,
        instance: &mut Instance,
        mut closing: StageEntry,
        next: Next,
        limits: &ReviewLimits,
    ) -> Result<(), Refused> {
        self.move_stage(instance, &mut closing.stage, Status::Completing)?;
        self.move_stage(instance, &mut closing.stage, Status::Completed)?;
        if next == Next::Completion {
            self.stage = Some(closing.stage);
            return Ok(self.complete(definition, instance).await?);
        }
        self.uow.stages().update(&mut closing.stage).await?;
        let planned = self.uow.stages().planned(instance.id).await?;
        // Whose items and reviewers the next stage has is asked of all of them at once.
        self.uow.plan_anew().await?;
        let mut previous = closing;
        let mut next = next;
        loop {
            let Next::Stage { ordinal, start_at } = next else {
                return Ok(self.complete(definition, instance).await?);
            };
            let entry = lifecycle::entry_after(previous.entry, &previous.stage.moves);
            if entry == Entry::Listed {
                self.uow.items().list_moving(instance.id, &previous).await?;
            }
            // Also where everything moves on: who was deleted meanwhile does not. LC-APPLY-15
            let holds_any = self.uow.items().stage_holds_any(instance.id, ordinal, entry).await?;
            let begun = match holds_any {
                false => on_time(instance, start_at),
                true => {
                    let next_occurrence = definition.occurrence_start(instance.occurrence + 1);
                    let now = self.uow.now();
                    match lifecycle::hand_over(instance, &planned, ordinal, start_at, next_occurrence, now) {
                        Ok(begun) => begun,
                        Err(too_late) => {
                            let reason = too_late.to_string();
                            return Ok(self.fail(definition, instance, "HandedOverTooLate", reason).await?);
                        }
                    }
                }
            };
            instance.end_at = begun.end_at;
            let mut opening = self.create_stage(instance, &planned, ordinal, begun, entry).await?;
            self.move_stage(instance, &mut opening.stage, Status::Initializing)?;
            self.uow.stages().update(&mut opening.stage).await?;
            if holds_any {
                if let Err(too_many) = self.resolve_reviewers(instance, &opening, None, limits).await? {
                    return Ok(self.fail(definition, instance, TOO_MANY_REVIEWERS, too_many).await?);
                }
                self.open_stage(instance, opening, Some(MailKind::StageStarted)).await?;
                self.uow.instances().update(instance).await?;
                return Ok(());
            }
            // ST-05, LC-STAGE-37: nothing moved, so the rest is over at once.
            self.move_stage(instance, &mut opening.stage, Status::Completed)?;
            self.uow.stages().update(&mut opening.stage).await?;
            next = lifecycle::after_stage(&opening.stage, start_at);
            previous = opening;
        }
    }

    /// IN-07 to IN-11: completes the instance, decides by default, and shows the next occurrence. LC-CMP-01 to 07
    async fn complete(&mut self, definition: &Definition, instance: &mut Instance) -> Result<(), StoreError> {
        for status in lifecycle::completion_path(&instance.settings) {
            self.move_instance(instance, *status)?;
            match status {
                Status::Completing => self.tell_of_completion(definition, instance).await?,
                Status::Completed => {
                    self.events.push(about(Activity::ReviewEnded, instance));
                    self.materialise(definition, instance.occurrence + 1).await?;
                }
                Status::AutoReviewing => self.decide_by_default(instance).await?,
                Status::Applying => {
                    self.events.push(about(Activity::AutoApplyReview, instance));
                    self.begin_run(instance, &Identity::system()).await?;
                }
                _ => {}
            }
        }
        self.instance = Some(instance.clone());
        Ok(())
    }

    /// IN-12, IN-13: an admin has the decisions applied. LC-APPLY-01
    pub(super) async fn begin_applying(&mut self, instance: &mut Instance, by: &Identity) -> Result<(), StoreError> {
        self.move_instance(instance, Status::Applying)?;
        self.begin_run(instance, by).await?;
        self.instance = Some(instance.clone());
        Ok(())
    }

    async fn begin_run(&mut self, instance: &Instance, by: &Identity) -> Result<(), StoreError> {
        self.uow.apply().begin_run(instance.id, by).await?;
        let now = self.uow.now();
        self.enqueue(Job::ApplyDecisions { instance: instance.id }, now);
        Ok(())
    }

    /// IN-14: every item that was to be applied has its final result.
    pub(super) async fn finish_applying(&mut self, instance: &mut Instance, by: &Identity) -> Result<(), StoreError> {
        let tally = self.uow.apply().tally(instance.id).await?;
        let results: serde_json::Map<_, _> =
            tally.into_iter().map(|(result, count)| (result.as_str().to_owned(), count.into())).collect();
        self.events.push(Event {
            after: Some(json!({ "appliedBy": by.id, "results": results })),
            ..about(Activity::ApplyReview, instance)
        });
        self.move_instance(instance, Status::Applied)?;
        self.instance = Some(instance.clone());
        Ok(())
    }

    /// N-6 to the creator, N-7 to the additional recipients. A recipient that cannot be read is passed over, and the event says so.
    async fn tell_of_completion(&mut self, definition: &Definition, instance: &Instance) -> Result<(), StoreError> {
        if !instance.settings.mail_notifications_enabled {
            return Ok(());
        }
        let now = self.uow.now();
        let mail = |mail, recipient| Job::SendMail { mail, instance: instance.id, ordinal: 0, recipient, sequence: 0 };
        self.enqueue(mail(MailKind::ReviewCompleted, definition.created_by.id), now);
        for recipient in &definition.draft.additional_notification_recipients {
            let scope = match ReviewerScope::parse(&recipient.query, None, recipient.query_root.as_deref()) {
                Ok(scope) => scope,
                Err(error) => {
                    self.note(Event {
                        after: Some(json!({
                            "mail": MailKind::CompletedAdditional.name(),
                            "recipientQuery": recipient.query,
                            "reason": format!("the recipients cannot be read: {error}"),
                        })),
                        ..about(Activity::MailFailed, instance)
                    });
                    continue;
                }
            };
            self.uow.plan_anew().await?;
            for person in self.uow.directory().people(&scope.form, None).await? {
                self.enqueue(mail(MailKind::CompletedAdditional, person), now);
            }
        }
        Ok(())
    }

    /// LC-CMP-03 to 07; the last stage mirrors the instance (ST-10, ST-11).
    async fn decide_by_default(&mut self, instance: &Instance) -> Result<(), StoreError> {
        let verdict = match instance.settings.default_decision {
            DefaultDecision::None => return Ok(()),
            DefaultDecision::Approve => Some(Verdict::Approve),
            DefaultDecision::Deny => Some(Verdict::Deny),
            DefaultDecision::Recommendation => None,
        };
        self.uow.plan_anew().await?;
        let count = self.uow.decisions().record_defaults(instance.id, verdict, &Identity::system()).await?;
        self.events.push(Event {
            after: Some(json!({
                "defaultDecision": verdict.map_or("Recommendation", Verdict::as_str),
                "items": count,
            })),
            ..about(Activity::AutoReview, instance)
        });
        let last = match self.stage.take() {
            Some(closed) => Some(closed),
            None => self.uow.stages().list(instance.id).await?.pop().map(|last| last.stage),
        };
        if let Some(mut stage) = last {
            self.move_stage(instance, &mut stage, Status::AutoReviewing)?;
            self.move_stage(instance, &mut stage, Status::AutoReviewed)?;
            self.stage = Some(stage);
        }
        Ok(())
    }

    /// One step of table 2.2, with its event. LC-INV-01
    fn move_instance(&mut self, instance: &mut Instance, to: Status) -> Result<(), StoreError> {
        let from = instance.status;
        if !from.instance_may_become(to) {
            return Err(StoreError::Corrupt { table: "instances", column: "status", id: instance.id.to_string() });
        }
        instance.status = to;
        if matches!(to, Status::Completing | Status::Failed) {
            // A timer that comes late ends nothing later: no answer was taken any more.
            instance.ended_at = Some(self.uow.now().min(instance.end_at));
        }
        self.events.push(Event {
            before: Some(json!({ "status": from.as_str() })),
            after: Some(json!({ "status": to.as_str() })),
            ..about(Activity::InstanceStatusChanged, instance)
        });
        Ok(())
    }

    /// One step of table 4.2, with its event. LC-INV-01
    fn move_stage(&mut self, instance: &Instance, stage: &mut Stage, to: Status) -> Result<(), StoreError> {
        let from = stage.status;
        if !from.stage_may_become(to) {
            return Err(StoreError::Corrupt { table: "stages", column: "status", id: stage.id.to_string() });
        }
        stage.status = to;
        self.events.push(Event {
            stage_id: Some(stage.id),
            before: Some(json!({ "status": from.as_str() })),
            after: Some(json!({ "status": to.as_str() })),
            ..about(Activity::StageStatusChanged, instance)
        });
        Ok(())
    }
}

/// An instance that was not stored yet. IN-01
pub(super) fn new_instance(
    definition: &Definition,
    id: InstanceId,
    occurrence: i32,
    start_at: chrono::DateTime<chrono::Utc>,
    scope: ReviewScope,
    resource: Resource,
) -> Instance {
    let draft = &definition.draft;
    Instance {
        id,
        definition_id: definition.id,
        occurrence,
        status: Status::NotStarted,
        start_at,
        end_at: recurrence::instance_end(start_at, draft.total_duration_days(), draft.settings.recurrence.as_ref()),
        ended_at: None,
        scope,
        resource,
        settings: draft.settings.clone(),
        multi_stage: draft.is_multi_stage(),
        item_count: 0,
        item_prefix: ids::item_prefix(),
        errors: Vec::new(),
        version: 1,
    }
}

/// How a stage begins when nothing is late.
pub(super) fn on_time(instance: &Instance, start_at: chrono::DateTime<chrono::Utc>) -> Begun {
    Begun { start_at, end_at: instance.end_at, delay: chrono::TimeDelta::zero() }
}

/// A stage that was not stored yet, and its plan. ST-01
pub(super) fn new_stage<'p>(
    instance: &Instance,
    planned: &'p [PlannedStage],
    ordinal: StageOrdinal,
    begun: Begun,
) -> Result<(Stage, &'p PlannedStage), StoreError> {
    let plan = planned.iter().find(|plan| plan.ordinal == ordinal).ok_or(StoreError::Corrupt {
        table: "planned_stages",
        column: "ordinal",
        id: instance.id.to_string(),
    })?;
    let stage_count = StageOrdinal::try_from(planned.len()).unwrap_or(StageOrdinal::MAX);
    let start = Start { start_at: instance.start_at + begun.delay, end_at: begun.end_at };
    let stage = Stage {
        id: ids::stage(),
        instance_id: instance.id,
        definition_id: instance.definition_id,
        ordinal,
        stage_count,
        status: Status::NotStarted,
        start_at: begun.start_at,
        end_at: lifecycle::stage_end(start, plan, stage_count),
        moves: plan.moves.clone(),
        recommendations_enabled: plan.recommendations_enabled,
        version: 1,
    };
    Ok((stage, plan))
}

/// An event about an instance.
pub(super) fn about(activity: Activity, instance: &Instance) -> Event {
    Event { definition_id: Some(instance.definition_id), instance_id: Some(instance.id), ..Event::new(activity) }
}

/// The query texts of scopes, for events.
pub(super) fn queries(scopes: &[ReviewerScope]) -> Vec<&str> {
    scopes.iter().map(|scope| scope.query.as_str()).collect()
}
