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
        if events.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let activities: Vec<_> = events.iter().map(|event| event.activity.as_str().to_owned()).collect();
        let definitions: Vec<_> = events.iter().map(|event| event.definition_id.map(|id| id.as_uuid())).collect();
        let instances: Vec<_> = events.iter().map(|event| event.instance_id.map(|id| id.as_uuid())).collect();
        let stages: Vec<_> = events.iter().map(|event| event.stage_id.map(|id| id.as_uuid())).collect();
        let items: Vec<_> = events.iter().map(|event| event.item_seq).collect();
        let before: Vec<_> = events.iter().map(|event| event.before.clone()).collect();
        let after: Vec<_> = events.iter().map(|event| event.after.clone()).collect();
        sqlx::query!(
            r#"
            insert into events
                (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id,
                 stage_id, item_seq, before, after)
            select $1, $2, activity, $3, $4, $5, $6, definition_id, instance_id, stage_id, item_seq, before, after
              from unnest($7::text[], $8::uuid[], $9::uuid[], $10::uuid[], $11::integer[], $12::jsonb[], $13::jsonb[])
                   with ordinality
                   as event (activity, definition_id, instance_id, stage_id, item_seq, before, after, position)
             order by position
            "#,
            tenant,
            now,
            actor.kind.as_str(),
            actor.id.as_uuid(),
            actor.name,
            actor.request_id,
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
