//! Sections 5 and 7: answering for items, one by one and in bulk; and stopping, applying, reminding, deleting.

use super::*;

impl Model {
    /// The stage an answer goes to: the one of the path, else the running one, else the last. LC-STAGE-60
    fn addressed(instance: &Instance, path: Option<usize>) -> Result<usize, Answer> {
        match path {
            None => Ok(instance.running().unwrap_or(instance.stages.len() - 1)),
            // A single-stage review shows no stage. LC-STAGE-02
            Some(stage) if instance.plan.multi_stage && stage <= instance.stages.len() => Ok(stage - 1),
            Some(_) => Err(Answer::Absent),
        }
    }

    /// LC-DEC-04, LC-DEC-05
    fn takes_answers(&self, stage: &Stage) -> Result<(), Answer> {
        match stage.status == Status::InProgress && self.now < stage.end_at {
            true => Ok(()),
            false => Err(Answer::WrongState),
        }
    }

    /// LC-DEC-06
    fn needs_reason(instance: &Instance, verdict: Verdict, justified: bool) -> Result<(), Answer> {
        let asks = instance.plan.justification && matches!(verdict, Verdict::Approve | Verdict::Deny);
        if asks && !justified { Err(Answer::Invalid) } else { Ok(()) }
    }

    /// LC-DEC-03, LC-STAGE-43
    fn record(&mut self, at: At, stage: usize, item: Name, verdict: Verdict, by: Name, justified: Justified) {
        let decision = Decision { verdict, by, at: self.now, justified };
        let decisions = &mut self.instance_mut(at).unwrap().stages[stage].decisions;
        match verdict {
            Verdict::NotReviewed => decisions.remove(&item),
            Verdict::Approve | Verdict::Deny | Verdict::DontKnow => decisions.insert(item, decision),
        };
    }

    /// LC-DEC-02, LC-AUTH-03, LC-AUTH-04, LC-INV-07
    pub(super) fn decide(
        &mut self,
        by: By,
        at: At,
        path: Option<usize>,
        item: Name,
        verdict: Verdict,
        justified: bool,
    ) -> Result<(), Answer> {
        let instance = self.instance(at).ok_or(Answer::Absent)?;
        let index = Self::addressed(instance, path)?;
        let stage = &instance.stages[index];
        let By::Person(person) = by else { return Err(Answer::Forbidden) };
        if !stage.reviews(person, item) {
            let sees = path.is_none() && instance.stages.iter().any(|stage| stage.reviews(person, item));
            return Err(match (sees, instance.running()) {
                (false, _) => Answer::Absent,
                (true, Some(_)) => Answer::Forbidden,
                // He reviewed it once: it is the state that is in his way.
                (true, None) => Answer::WrongState,
            });
        }
        self.takes_answers(stage)?;
        Self::needs_reason(instance, verdict, justified)?;
        let justified = if justified { Justified::Because } else { Justified::No };
        self.record(at, index, item, verdict, person, justified);
        Ok(())
    }

    /// Whose answers count where, when everything is answered at once: the items he reviews; `None` is all of them.
    /// LC-DEC-09, LC-DEC-10, LC-AUTH-09
    fn answers_in_bulk(&self, by: By, at: At, path: Option<usize>) -> Result<(usize, Option<Name>), Answer> {
        let instance = self.instance(at).ok_or(Answer::Absent)?;
        let index = Self::addressed(instance, path)?;
        let stage = &instance.stages[index];
        match by {
            By::Admin => Err(Answer::Forbidden),
            By::Application => Ok((index, None)),
            By::Person(person) => {
                let once = path.is_none() && instance.is_reviewed_by(person);
                match stage.is_reviewed_by(person) || once && stage.status != Status::InProgress {
                    true => Ok((index, Some(person))),
                    false if once => Err(Answer::Forbidden),
                    false => Err(Answer::Absent),
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of the request")]
    pub(super) fn batch(
        &mut self,
        by: By,
        at: At,
        path: Option<usize>,
        verdict: Verdict,
        justified: bool,
        principal: Option<Name>,
        elsewhere: bool,
    ) -> Result<(), Answer> {
        let (index, reviewer) = self.answers_in_bulk(by, at, path)?;
        let instance = self.instance(at).unwrap();
        let stage = &instance.stages[index];
        self.takes_answers(stage)?;
        Self::needs_reason(instance, verdict, justified)?;
        let meant = |item: &Name| {
            !elsewhere
                && principal.is_none_or(|principal| principal == *item)
                && reviewer.is_none_or(|person| stage.reviews(person, *item))
        };
        let items: Vec<_> = stage.items.iter().copied().filter(meant).collect();
        let justified = if justified { Justified::Because } else { Justified::No };
        for item in items {
            self.record(at, index, item, verdict, reviewer.unwrap_or(super::super::company::SYNC), justified);
        }
        Ok(())
    }

    /// LC-DEC-11, LC-DEC-12
    pub(super) fn accept(&mut self, by: By, at: At, path: Option<usize>) -> Result<(), Answer> {
        let (index, reviewer) = match by {
            By::Application => {
                let instance = self.instance(at).ok_or(Answer::Absent)?;
                Self::addressed(instance, path)?;
                return Err(Answer::Forbidden);
            }
            By::Admin | By::Person(_) => self.answers_in_bulk(by, at, path)?,
        };
        let instance = self.instance(at).unwrap();
        let stage = &instance.stages[index];
        self.takes_answers(stage)?;
        // LC-RCM-01
        if !instance.plan.stages[index].recommendations {
            return Err(Answer::WrongState);
        }
        let person = reviewer.unwrap();
        let accepted: Vec<_> = stage
            .items
            .iter()
            .copied()
            .filter(|item| stage.reviews(person, *item) && !stage.decisions.contains_key(item))
            .filter_map(|item| Some((item, instance.shown_recommendation(index, item)?)))
            .collect();
        let justified = if instance.plan.justification { Justified::Accepted } else { Justified::No };
        for (item, verdict) in accepted {
            self.record(at, index, item, verdict, person, justified);
        }
        Ok(())
    }

    /// LC-DEC-13
    pub(super) fn reset(&mut self, by: By, at: At) -> Result<(), Answer> {
        let instance = self.manages_instance(by, at)?;
        let index = Self::addressed(instance, None)?;
        self.takes_answers(&instance.stages[index])?;
        self.instance_mut(at).unwrap().stages[index].decisions.clear();
        Ok(())
    }

    /// ST-07, LC-STAGE-06, LC-STAGE-20, LC-STAGE-21
    pub(super) fn stop_stage(&mut self, by: By, at: At, stage: usize) -> Result<(), Answer> {
        let instance = self.instance(at).ok_or(Answer::Absent)?;
        let index = Self::addressed(instance, Some(stage))?;
        let stage = &instance.stages[index];
        Self::manages(by, |person| stage.is_reviewed_by(person))?;
        if stage.status != Status::InProgress {
            return Err(Answer::WrongState);
        }
        let handed_over_at = self.now.min(stage.end_at);
        self.close_stage(at, index, handed_over_at);
        Ok(())
    }

    /// IN-08, ST-08, LC-INST-32, LC-INST-33
    pub(super) fn stop_instance(&mut self, by: By, at: At) -> Result<(), Answer> {
        let instance = self.manages_instance(by, at)?;
        if instance.status != Status::InProgress {
            return Err(Answer::WrongState);
        }
        let running = instance.running().unwrap();
        self.instance_mut(at).unwrap().stages[running].status = Status::Completed;
        self.complete(at);
        Ok(())
    }

    /// IN-12, IN-13, LC-APPLY-01, LC-APPLY-02, LC-CONC-05
    pub(super) fn apply(&mut self, by: By, at: At) -> Result<(), Answer> {
        let instance = self.manages_instance(by, at)?;
        let rests = matches!(instance.status, Status::Completed | Status::AutoReviewed);
        if instance.plan.auto_apply || !rests {
            return Err(Answer::WrongState);
        }
        let instance = self.instance_mut(at).unwrap();
        instance.status = Status::Applying;
        instance.applied_by = match by {
            By::Application => super::super::company::SYNC,
            By::Admin | By::Person(_) => CARLA,
        };
        Ok(())
    }

    /// N-5, LC-NOTE-02
    pub(super) fn remind(&mut self, by: By, at: At) -> Result<(), Answer> {
        let instance = self.manages_instance(by, at)?;
        let Some(running) = instance.running() else { return Err(Answer::WrongState) };
        let (last, count) = instance.reminded.map_or((None, 0), |(last, count)| (Some(last), count));
        if last.is_some_and(|last| self.now < last + REMINDER_REST) {
            return Err(Answer::TooOften);
        }
        let contacted: Vec<_> = instance.stages[running].contacted.keys().copied().collect();
        let sequence = count + 1;
        let now = self.now;
        self.instance_mut(at).unwrap().reminded = Some((now, sequence));
        for to in contacted {
            self.due(MailKey { kind: super::super::command::MANUAL_REMINDER, at, stage: running + 1, to, sequence });
        }
        Ok(())
    }

    /// LC-DEF-30, LC-DEF-31, LC-DEF-33
    pub(super) fn delete(&mut self, by: By, review: usize) -> Result<(), Answer> {
        self.manages_review(by, review)?;
        self.reviews.remove(&review);
        Ok(())
    }
}
