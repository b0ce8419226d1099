//! Deciding many items in one statement.

use async_trait::async_trait;
use uuid::Uuid;

use super::PgUnitOfWork;
use crate::{
    domain::{
        bulk_decision::{Acceptance, MovesByRecommendation},
        definition::Identity,
        event::Event,
        ids::ObjectId,
        reviewer_reach::ReviewerReach,
    },
    store::{
        Actor, StoreError,
        bulk::{BulkAnswer, BulkDecisionRepository, ItemSelection},
    },
};

/// A reach as the parameters of `selected_items()`.
struct Reached {
    every: bool,
    cohorts: Vec<i32>,
    items: Vec<i32>,
    except: Vec<i32>,
    principal: Option<Uuid>,
}

impl Reached {
    fn of(selection: &ItemSelection) -> Self {
        let ReviewerReach { every, cohorts, items, except } = match &selection.reach {
            Some(reach) => reach.clone(),
            None => ReviewerReach { every: true, ..Default::default() },
        };
        Self { every, cohorts, items, except, principal: selection.principal.map(ObjectId::as_uuid) }
    }
}

/// Rows are written in the order of their items, as everybody locks them; a million are sorted in memory, by themselves: what is
/// written beside them would be carried through the sort.
const ROOM_TO_SORT: &str = "set local work_mem = '64MB'";

/// Whether all items move on, or none, where that is so whatever is recommended: recommendations are not read then, and all items
/// of an instance come from an index alone.
fn alike(moves_on: &MovesByRecommendation) -> Option<bool> {
    let [first, others @ ..] = moves_on;
    others.iter().all(|moves| moves == first).then_some(*first)
}

impl PgUnitOfWork {
    /// Records the answer where nothing of the instance is decided yet, which takes two thirds of the time that looking for an earlier
    /// decision of each item does. `None` when something is, or somebody decides meanwhile; nothing is written then.
    async fn record_first(
        &mut self,
        selection: &ItemSelection,
        answer: &BulkAnswer,
        by: &Identity,
    ) -> Result<Option<i64>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let reached = Reached::of(selection);
        let something = sqlx::query_scalar!(
            // by its number, so that no other reviews are passed over
            r#"
            select (select seq from decisions where tenant_id = $1 and instance_id = $2 order by seq limit 1) is not null as "something!"
            "#,
            tenant,
            selection.instance.as_uuid(),
        )
        .fetch_one(self.connection()?)
        .await?;
        if something {
            return Ok(None);
        }
        sqlx::raw_sql("savepoint first_decisions").execute(self.connection()?).await?;
        let inserted = sqlx::query!(
            r#"
            insert into decisions
                (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                 decided_by_user_principal_name, decided_at, moves_on)
            select $1, $2, $3, seq, $10, $11, $12, $13, $14, $15,
                   coalesce($17, ($16::boolean[])[recommendation + 1])
              from (
                    select seq, recommendation
                      from selected_items($1, $2, $3, $4, $5, $6, $7, $8, $9)
                     order by seq) as selected
            "#,
            tenant,
            selection.instance.as_uuid(),
            selection.ordinal,
            selection.entry.as_str(),
            reached.every,
            &reached.cohorts,
            &reached.items,
            &reached.except,
            reached.principal,
            answer.verdict.as_str(),
            answer.justification,
            by.id.as_uuid(),
            by.display_name,
            by.user_principal_name,
            now,
            &answer.moves_on[..],
            alike(&answer.moves_on),
        )
        .execute(self.connection()?)
        .await
        .map_err(StoreError::from);
        match inserted {
            Ok(done) => Ok(Some(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))),
            Err(StoreError::Refused { .. }) => {
                sqlx::raw_sql("rollback to savepoint first_decisions").execute(self.connection()?).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl BulkDecisionRepository for PgUnitOfWork {
    async fn record_all(
        &mut self,
        selection: &ItemSelection,
        answer: &BulkAnswer,
        by: &Identity,
        actor: &Actor,
        overwritten: &Event,
    ) -> Result<i64, StoreError> {
        sqlx::raw_sql(ROOM_TO_SORT).execute(self.connection()?).await?;
        if let Some(count) = self.record_first(selection, answer, by).await? {
            return Ok(count);
        }
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let reached = Reached::of(selection);
        let count = sqlx::query_scalar!(
            r#"
            with recorded as (
                insert into decisions as kept
                    (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                     decided_by_user_principal_name, decided_at, moves_on)
                select $1, $2, $3, seq, $10, $11, $12, $13, $14, $15,
                       coalesce($25, ($16::boolean[])[recommendation + 1])
                  from (
                        select seq, recommendation
                          from selected_items($1, $2, $3, $4, $5, $6, $7, $8, $9)
                         order by seq) as selected
                on conflict (tenant_id, instance_id, seq, ordinal) do update
                   set decision = excluded.decision,
                       justification = excluded.justification,
                       decided_by_id = excluded.decided_by_id,
                       decided_by_name = excluded.decided_by_name,
                       decided_by_user_principal_name = excluded.decided_by_user_principal_name,
                       decided_at = excluded.decided_at,
                       moves_on = excluded.moves_on,
                       replaced = jsonb_build_object(
                           'decision', kept.decision,
                           'justification', kept.justification,
                           'reviewedBy', kept.decided_by_id,
                           'reviewedDateTime', kept.decided_at)
                returning seq, replaced
            ), told as (
                insert into events
                    (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id,
                     stage_id, item_seq, before, after)
                select $1, $15, $17, $18, $19, $20, $21, $22, $2, $23, seq, replaced, $24
                  from recorded
                 where replaced is not null
                 order by seq
            )
            select count(*) as "count!"
              from recorded
            "#,
            tenant,
            selection.instance.as_uuid(),
            selection.ordinal,
            selection.entry.as_str(),
            reached.every,
            &reached.cohorts,
            &reached.items,
            &reached.except,
            reached.principal,
            answer.verdict.as_str(),
            answer.justification,
            by.id.as_uuid(),
            by.display_name,
            by.user_principal_name,
            now,
            &answer.moves_on[..],
            overwritten.activity.as_str(),
            actor.kind.as_str(),
            actor.id.as_uuid(),
            actor.name,
            actor.request_id,
            overwritten.definition_id.map(|id| id.as_uuid()),
            overwritten.stage_id.map(|id| id.as_uuid()),
            overwritten.after,
            alike(&answer.moves_on),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(count)
    }

    async fn accept_all(
        &mut self,
        selection: &ItemSelection,
        acceptance: &Acceptance,
        by: &Identity,
    ) -> Result<i64, StoreError> {
        sqlx::raw_sql(ROOM_TO_SORT).execute(self.connection()?).await?;
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let reached = Reached::of(selection);
        let done = sqlx::query!(
            r#"
            insert into decisions
                (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                 decided_by_user_principal_name, decided_at, moves_on)
            select $1, $2, $3, seq, case recommendation when 1 then 'Approve' else 'Deny' end, $10, $11, $12, $13, $14,
                   ($15::boolean[])[recommendation + 1]
              from (
                    select seq, recommendation
                      from selected_items($1, $2, $3, $4, $5, $6, $7, $8, $9)
                     where recommendation in (1, 2)
                     order by seq) as selected
            on conflict (tenant_id, instance_id, seq, ordinal) do nothing
            "#,
            tenant,
            selection.instance.as_uuid(),
            selection.ordinal,
            selection.entry.as_str(),
            reached.every,
            &reached.cohorts,
            &reached.items,
            &reached.except,
            reached.principal,
            acceptance.justification,
            by.id.as_uuid(),
            by.display_name,
            by.user_principal_name,
            now,
            &acceptance.moves_on[..],
        )
        .execute(self.connection()?)
        .await?;
        Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
    }

    async fn withdraw_all(
        &mut self,
        selection: &ItemSelection,
        actor: &Actor,
        overwritten: &Event,
    ) -> Result<i64, StoreError> {
        sqlx::raw_sql(ROOM_TO_SORT).execute(self.connection()?).await?;
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let reached = Reached::of(selection);
        // The decisions are held in order of their items first: a delete by itself takes them as it finds them.
        let count = sqlx::query_scalar!(
            r#"
            with held as materialized (
                select d.seq
                  from selected_items($1, $2, $3, $4, $5, $6, $7, $8, $9) s
                  join decisions d
                    on d.tenant_id = $1
                   and d.instance_id = $2
                   and d.ordinal = $3
                   and d.seq = s.seq
                 order by d.seq
                   for update of d
            ), withdrawn as (
                delete from decisions d
                 using held
                 where d.tenant_id = $1
                   and d.instance_id = $2
                   and d.ordinal = $3
                   and d.seq = held.seq
                returning d.*
            ), told as (
                insert into events
                    (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id,
                     stage_id, item_seq, before, after)
                select $1, $10, $11, $12, $13, $14, $15, $16, $2, $17, seq,
                       jsonb_build_object(
                           'decision', decision,
                           'justification', justification,
                           'reviewedBy', decided_by_id,
                           'reviewedDateTime', decided_at),
                       $18
                  from withdrawn
                 order by seq
            )
            select count(*) as "count!"
              from withdrawn
            "#,
            tenant,
            selection.instance.as_uuid(),
            selection.ordinal,
            selection.entry.as_str(),
            reached.every,
            &reached.cohorts,
            &reached.items,
            &reached.except,
            reached.principal,
            now,
            overwritten.activity.as_str(),
            actor.kind.as_str(),
            actor.id.as_uuid(),
            actor.name,
            actor.request_id,
            overwritten.definition_id.map(|id| id.as_uuid()),
            overwritten.stage_id.map(|id| id.as_uuid()),
            overwritten.after,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(count)
    }
}
