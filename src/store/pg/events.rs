//! Appending events.

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use super::PgUnitOfWork;
use crate::{
    domain::event::Event,
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

impl PgUnitOfWork {
    async fn append_rows(&mut self, events: &[(&Actor, &Event)]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let kinds: Vec<_> = events.iter().map(|(actor, _)| actor.kind.as_str().to_owned()).collect();
        let actors: Vec<_> = events.iter().map(|(actor, _)| actor.id.as_uuid()).collect();
        let names: Vec<_> = events.iter().map(|(actor, _)| actor.name.clone()).collect();
        let requests: Vec<_> = events.iter().map(|(actor, _)| actor.request_id).collect();
        let activities: Vec<_> = events.iter().map(|(_, event)| event.activity.as_str().to_owned()).collect();
        let definitions: Vec<_> = events.iter().map(|(_, event)| event.definition_id.map(|id| id.as_uuid())).collect();
        let instances: Vec<_> = events.iter().map(|(_, event)| event.instance_id.map(|id| id.as_uuid())).collect();
        let stages: Vec<_> = events.iter().map(|(_, event)| event.stage_id.map(|id| id.as_uuid())).collect();
        let items: Vec<_> = events.iter().map(|(_, event)| event.item_seq).collect();
        let before: Vec<_> = events.iter().map(|(_, event)| event.before.clone()).collect();
        let after: Vec<_> = events.iter().map(|(_, event)| event.after.clone()).collect();
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
            &kinds,
            &actors,
            &names,
            &requests as &[Option<Uuid>],
            &activities,
            &definitions as &[Option<Uuid>],
            &instances as &[Option<Uuid>],
            &stages as &[Option<Uuid>],
            &items as &[Option<i32>],
            &before as &[Option<Value>],
            &after as &[Option<Value>],
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }
}
