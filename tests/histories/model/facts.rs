//! What is there, line by line, as `observed.rs` tells it of the database.

use super::{
    super::observed::facts::{self, Facts},
    *,
};

impl Model {
    pub fn facts(&self) -> Facts {
        let mut told = Facts::default();
        facts::directory(&mut told, &self.directory);
        for (number, review) in &self.reviews {
            facts::review(&mut told, *number, review.status(), review.updates);
        }
        for (review, occurrence, instance) in self.instances() {
            let at = At { review, occurrence };
            facts::instance(&mut told, at, instance.status, instance.start_at, instance.end_at);
            if let Some((last, times)) = instance.reminded {
                facts::reminded(&mut told, at, last, i64::from(times));
            }
            for (index, stage) in instance.stages.iter().enumerate() {
                facts::stage(&mut told, at, index + 1, stage.status, stage.start_at, stage.end_at, &stage.lists);
                for item in &stage.items {
                    let nobody = BTreeSet::new();
                    let reviewers = stage.reviewers.get(item).unwrap_or(&nobody);
                    facts::item_in_stage(&mut told, at, index + 1, *item, reviewers);
                    let shown = instance.shown_recommendation(index, *item);
                    facts::recommendation(&mut told, at, index + 1, *item, shown);
                }
                for (item, decision) in &stage.decisions {
                    facts::decision(&mut told, at, index + 1, *item, decision);
                }
                for (person, contacted_at) in &stage.contacted {
                    facts::contacted(&mut told, at, index + 1, *person, *contacted_at);
                }
            }
            for (name, item) in &instance.items {
                if let Some(decision) = &item.system {
                    facts::decision(&mut told, at, 0, *name, decision);
                }
                if let Some(applied) = item.applied {
                    facts::applied(&mut told, at, *name, applied, instance.applied_by);
                }
                if let Some(deletion) = item.deletion {
                    facts::deletion(&mut told, at, *name, deletion);
                }
            }
        }
        for mail in &self.waiting {
            facts::waiting(&mut told, mail, self.handed_over.contains(mail));
        }
        for mail in &self.delivered {
            facts::delivered(&mut told, mail);
        }
        told
    }
}
