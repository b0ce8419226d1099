//! Appending events.

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use super::PgUnitOfWork;
use crate::{
    domain::{event::Event, ids::ItemSeq},
    store::{Actor, ActorKind, EventRepository, StoreError},
};

impl ActorKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Application => "application",
            Self::System => "system",
        }
    }
}

#[async_trait]
impl EventRepository for PgUnitOfWork {
    async fn append(&mut self, actor: &Actor, events: &[Event]) -> Result<(), StoreError> {
        let events: Vec<_> = events.iter().map(|event| (actor, event)).collect();
        self.append_rows(&events).await
    }

    async fn append_each(&mut self, events: &[(Actor, Event)]) -> Result<(), StoreError> {
        let events: Vec<_> = events.iter().map(|(actor, event)| (actor, event)).collect();
        self.append_rows(&events).await
    }
}

/// Events with their authors, column by column.
pub(super) struct EventColumns {
    pub(super) kinds: Vec<String>,
    pub(super) actors: Vec<Uuid>,
    pub(super) names: Vec<String>,
    pub(super) requests: Vec<Option<Uuid>>,
    pub(super) activities: Vec<String>,
    pub(super) definitions: Vec<Option<Uuid>>,
    pub(super) instances: Vec<Option<Uuid>>,
    pub(super) stages: Vec<Option<Uuid>>,
    pub(super) items: Vec<Option<ItemSeq>>,
    pub(super) before: Vec<Option<Value>>,
    pub(super) after: Vec<Option<Value>>,
}

impl EventColumns {
    pub(super) fn of<'a>(events: impl Iterator<Item = (&'a Actor, &'a Event)> + Clone) -> Self {
        Self {
            kinds: events.clone().map(|(actor, _)| actor.kind.as_str().to_owned()).collect(),
            actors: events.clone().map(|(actor, _)| actor.id.as_uuid()).collect(),
            names: events.clone().map(|(actor, _)| actor.name.clone()).collect(),
            requests: events.clone().map(|(actor, _)| actor.request_id).collect(),
            activities: events.clone().map(|(_, event)| event.activity.as_str().to_owned()).collect(),
            definitions: events.clone().map(|(_, event)| event.definition_id.map(|id| id.as_uuid())).collect(),
            instances: events.clone().map(|(_, event)| event.instance_id.map(|id| id.as_uuid())).collect(),
            stages: events.clone().map(|(_, event)| event.stage_id.map(|id| id.as_uuid())).collect(),
            items: events.clone().map(|(_, event)| event.item_seq).collect(),
            before: events.clone().map(|(_, event)| event.before.clone()).collect(),
            after: events.map(|(_, event)| event.after.clone()).collect(),
        }
    }
}

impl PgUnitOfWork {
    async fn append_rows(&mut self, events: &[(&Actor, &Event)]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let columns = EventColumns::of(events.iter().copied());
        sqlx::query!(
            r#"
            insert into events
                (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id,
                 stage_id, item_seq, before, after)
            select $1, $2, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id, stage_id, item_seq,
                   before, after
              from unnest($3::text[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::uuid[], $10::uuid[],
                          $11::integer[], $12::jsonb[], $13::jsonb[])
                   with ordinality
                   as event (actor_kind, actor_id, actor_name, request_id, activity, definition_id, instance_id, stage_id,
                             item_seq, before, after, position)
             order by position
            "#,
            tenant,
            now,
            &columns.kinds,
            &columns.actors,
            &columns.names,
            &columns.requests as &[Option<Uuid>],
            &columns.activities,
            &columns.definitions as &[Option<Uuid>],
            &columns.instances as &[Option<Uuid>],
            &columns.stages as &[Option<Uuid>],
            &columns.items as &[Option<i32>],
            &columns.before as &[Option<Value>],
            &columns.after as &[Option<Value>],
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }
}
