//! What happens by itself: starts and ends, the middle of a stage, applying, deletions, mail.

use super::*;

impl Model {
    pub(super) fn work(&mut self, work: Work, last: bool, taken: usize) -> Step {
        match work {
            Work::Open(at) => return self.open(at),
            Work::Close(at, stage) => self.timer(at, stage - 1),
            Work::Remind(at, stage) => self.middle(at, stage - 1),
            Work::Apply(at) => self.carry_out(at),
            Work::DeleteBlocked(at) => return self.delete_blocked(at),
            Work::Mail(key) => return self.mail(key, last, taken),
            Work::Gone => {}
        }
        Step::Done(Answer::Done)
    }

    /// IN-02 to IN-05, LC-INST-15
    fn open(&mut self, at: At) -> Step {
        let done = Step::Done(Answer::Done);
        let Some(instance) = self.instance(at) else { return done };
        match instance.status {
            Status::NotStarted if self.now >= instance.start_at => {
                let delay = self.now - instance.start_at;
                let next = self.reviews[&at.review].occurrence_start(at.occurrence + 1);
                let now = self.now;
                let instance = self.instance_mut(at).unwrap();
                if delay >= LATE {
                    let last_begins = now + TimeDelta::days(instance.plan.days_before_the_last());
                    let Some(end_at) = moved(instance.end_at, delay, next, last_begins) else {
                        self.fail(at);
                        return done;
                    };
                    instance.start_at = now;
                    instance.end_at = end_at;
                    let single = instance.plan.stages.len() == 1;
                    let scheduled = now + TimeDelta::days(instance.plan.days_through(1));
                    let first = &mut instance.stages[0];
                    first.start_at = now;
                    first.end_at = if single { end_at } else { scheduled.min(end_at) };
                }
                instance.status = Status::Initializing;
                instance.stages[0].status = Status::Initializing;
                Step::More
            }
            Status::Initializing => {
                let principals = self.gathered(instance);
                let start_at = instance.start_at;
                let items: BTreeMap<_, _> = principals
                    .into_iter()
                    .map(|name| (name, Item { recommendation: self.recommended(name, start_at), ..Item::default() }))
                    .collect();
                let instance = self.instance_mut(at).unwrap();
                instance.stages[0].items = items.keys().copied().collect();
                instance.items = items;
                if instance.items.is_empty() {
                    // IN-05
                    instance.stages[0].status = Status::Completed;
                    self.complete(at);
                } else {
                    instance.status = Status::InProgress;
                    self.open_stage(at, 0);
                }
                done
            }
            _ => done,
        }
    }

    /// ST-06, LC-CONC-04
    fn timer(&mut self, at: At, index: usize) {
        let Some(stage) = self.instance(at).and_then(|instance| instance.stages.get(index)) else { return };
        if stage.status == Status::InProgress && self.now >= stage.end_at {
            let end_at = stage.end_at;
            self.close_stage(at, index, end_at);
        }
    }

    /// N-4
    fn middle(&mut self, at: At, index: usize) {
        let Some(stage) = self.instance(at).and_then(|instance| instance.stages.get(index)) else { return };
        if stage.status == Status::InProgress {
            for to in stage.contacted.keys().copied().collect::<Vec<_>>() {
                self.due(MailKey { kind: super::super::command::REMINDER, at, stage: index + 1, to, sequence: 0 });
            }
        }
    }

    /// LC-APPLY-03 to 05, LC-APPLY-09, IN-14
    fn carry_out(&mut self, at: At) {
        let Some(instance) = self.instance(at).filter(|instance| instance.status == Status::Applying) else { return };
        if instance.items.values().any(|item| item.deletion.is_some()) {
            return;
        }
        let verdicts: Vec<_> =
            instance.items.keys().filter_map(|item| Some((*item, instance.effective(*item)?.verdict))).collect();
        let blocks = instance.plan.disable_and_delete;
        let nested = self.directory.members.contains(&CONTRACTORS).then(|| self.directory.nested.clone());
        let nested = nested.unwrap_or_default();
        let due_at = self.now + BLOCK_DAYS;
        for (name, verdict) in verdicts {
            let direct = self.directory.members.contains(&name);
            let has_access = direct || nested.contains(&name);
            let (mut applied, mut deletion) = (None, None);
            match verdict {
                Verdict::Approve => applied = Some(Applied::Successfully),
                Verdict::DontKnow | Verdict::NotReviewed => {}
                Verdict::Deny if !has_access => applied = Some(Applied::ObjectNotFound),
                Verdict::Deny if blocks => {
                    if let Some(user) = self.directory.users.get_mut(&name) {
                        user.enabled = false;
                    }
                    deletion = Some(due_at);
                }
                Verdict::Deny if direct => {
                    self.directory.members.remove(&name);
                    applied = Some(Applied::Successfully);
                }
                Verdict::Deny => applied = Some(Applied::NotSupported),
            }
            let item = self.instance_mut(at).unwrap().items.get_mut(&name).unwrap();
            item.applied = applied;
            item.deletion = deletion;
        }
        let instance = self.instance_mut(at).unwrap();
        instance.blocked = instance.items.values().any(|item| item.deletion.is_some());
        if !instance.blocked {
            instance.status = Status::Applied;
        }
    }

    /// LC-APPLY-09, LC-APPLY-10
    fn delete_blocked(&mut self, at: At) -> Step {
        let done = Step::Done(Answer::Done);
        let now = self.now;
        let Some(instance) = self.instance(at).filter(|instance| instance.status == Status::Applying) else {
            return done;
        };
        let due: Vec<_> = instance
            .items
            .iter()
            .filter(|(_, item)| item.deletion.is_some_and(|due_at| due_at <= now))
            .map(|(name, _)| *name)
            .collect();
        if due.is_empty() {
            let instance = self.instance_mut(at).unwrap();
            if instance.items.values().all(|item| item.deletion.is_none()) {
                instance.status = Status::Applied;
            }
            return done;
        }
        for name in due {
            let applied = match self.directory.users.get(&name) {
                None => Some(Applied::ObjectNotFound),
                // He was spared on purpose.
                Some(user) if user.enabled => None,
                Some(_) => {
                    self.directory.delete(name);
                    self.disappears(name);
                    Some(Applied::Successfully)
                }
            };
            let item = self.instance_mut(at).unwrap().items.get_mut(&name).unwrap();
            item.deletion = None;
            item.applied = applied;
        }
        Step::More
    }

    /// Who is deleted is under review no more where reviews run. LC-APPLY-15
    fn disappears(&mut self, name: Name) {
        let instances = self.reviews.values_mut().flat_map(|review| review.instances.values_mut());
        for instance in instances.filter(|instance| instance.status == Status::InProgress) {
            instance.items.remove(&name);
            for stage in &mut instance.stages {
                // Who reviewed him stays a reviewer of the stage, and is told of its start.
                stage.items.remove(&name);
            }
        }
    }

    /// Whether there is still a reason to send it. LC-NOTE-02, LC-NOTE-07
    fn is_wanted(&self, key: &MailKey) -> bool {
        let Some(instance) = self.instance(key.at) else { return false };
        let Some(index) = key.stage.checked_sub(1) else { return true };
        let stage = &instance.stages[index];
        let open = stage.items.iter().any(|item| stage.reviews(key.to, *item) && !stage.decisions.contains_key(item));
        stage.status == Status::InProgress
            && match key.kind {
                super::super::command::REMINDER | super::super::command::MANUAL_REMINDER => open,
                _ => stage.is_reviewed_by(key.to),
            }
    }

    /// Once or never: that it leaves is recorded first, and one of which that is recorded is not sent again, whatever became of it. Only
    /// the server can say that it did not take it: then it is tried again, a few times. LC-NOTE-08, LC-NOTE-09
    fn mail(&mut self, key: MailKey, last: bool, taken: usize) -> Step {
        match taken {
            0 if self.waiting.contains(&key)
                && !self.handed_over.contains(&key)
                && self.is_wanted(&key)
                && self.directory.is_enabled(key.to) =>
            {
                self.handed_over.insert(key);
                Step::More
            }
            1 => match self.server {
                Server::Works | Server::HangsUp => {
                    self.delivered.insert(key);
                    Step::More
                }
                Server::Busy => {
                    self.handed_over.remove(&key);
                    if last { Step::More } else { Step::Done(Answer::Again) }
                }
                Server::Refuses => Step::More,
            },
            _ => {
                self.waiting.remove(&key);
                self.handed_over.remove(&key);
                Step::Done(Answer::Done)
            }
        }
    }
}
