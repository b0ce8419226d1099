//! Decisions: the overlay over immutable items.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgUnitOfWork, error::corrupt};
use crate::{
    domain::{
        decision::{Decision, Verdict},
        definition::Identity,
        ids::{InstanceId, ItemSeq, ObjectId},
        stage::{SYSTEM_STAGE, StageOrdinal},
    },
    store::{DecisionRepository, StoreError},
};

/// The columns of a decision, all there or none, as an outer join delivers them.
#[derive(sqlx::FromRow)]
pub(super) struct DecisionColumns {
    pub decision: Option<String>,
    pub justification: Option<String>,
    pub decided_by_id: Option<Uuid>,
    pub decided_by_name: Option<String>,
    pub decided_by_user_principal_name: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub moves_on: Option<bool>,
}

impl DecisionColumns {
    /// The decision, or `None` when there is no row; anything in between is corrupt.
    pub(super) fn into_decision(self, seq: ItemSeq) -> Result<Option<Decision>, StoreError> {
        match self {
            Self {
                decision: Some(decision),
                justification: Some(justification),
                decided_by_id: Some(id),
                decided_by_name: Some(display_name),
                decided_by_user_principal_name: Some(user_principal_name),
                decided_at: Some(decided_at),
                moves_on: Some(moves_on),
            } => Ok(Some(Decision {
                verdict: Verdict::parse(&decision).ok_or_else(|| corrupt("decisions", "decision", seq))?,
                justification,
                decided_by: Identity { id: ObjectId::new(id), display_name, user_principal_name },
                decided_at,
                moves_on,
            })),
            Self { decision: None, .. } => Ok(None),
            _ => Err(corrupt("decisions", "decided_at", seq)),
        }
    }
}

#[async_trait]
impl DecisionRepository for PgUnitOfWork {
    async fn record(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        seq: ItemSeq,
        decision: &Decision,
    ) -> Result<Option<Decision>, StoreError> {
        let tenant = self.tenant.as_uuid();
        // An insert that meets a row waits for whoever is writing it and then leaves it to the update; a row withdrawn in
        // between makes the insert's turn again.
        loop {
            let inserted = sqlx::query!(
                r#"
                insert into decisions
                    (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                     decided_by_user_principal_name, decided_at, moves_on)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                on conflict (tenant_id, instance_id, ordinal, seq) do nothing
                "#,
                tenant,
                instance.as_uuid(),
                ordinal,
                seq,
                decision.verdict.as_str(),
                decision.justification,
                decision.decided_by.id.as_uuid(),
                decision.decided_by.display_name,
                decision.decided_by.user_principal_name,
                decision.decided_at,
                decision.moves_on,
            )
            .execute(self.connection()?)
            .await?;
            if inserted.rows_affected() == 1 {
                return Ok(None);
            }
            let replaced = sqlx::query_as!(
                DecisionColumns,
                r#"
                select decision as "decision?", justification as "justification?", decided_by_id as "decided_by_id?",
                       decided_by_name as "decided_by_name?",
                       decided_by_user_principal_name as "decided_by_user_principal_name?", decided_at as "decided_at?",
                       moves_on as "moves_on?"
                  from decisions
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
                   and seq = $4
                   for no key update
                "#,
                tenant,
                instance.as_uuid(),
                ordinal,
                seq,
            )
            .fetch_optional(self.connection()?)
            .await?;
            let Some(replaced) = replaced else { continue };
            sqlx::query!(
                r#"
                update decisions
                   set decision = $5,
                       justification = $6,
                       decided_by_id = $7,
                       decided_by_name = $8,
                       decided_by_user_principal_name = $9,
                       decided_at = $10,
                       moves_on = $11,
                       replaced = null
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
                   and seq = $4
                "#,
                tenant,
                instance.as_uuid(),
                ordinal,
                seq,
                decision.verdict.as_str(),
                decision.justification,
                decision.decided_by.id.as_uuid(),
                decision.decided_by.display_name,
                decision.decided_by.user_principal_name,
                decision.decided_at,
                decision.moves_on,
            )
            .execute(self.connection()?)
            .await?;
            return replaced.into_decision(seq);
        }
    }

    async fn withdraw(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        seq: ItemSeq,
    ) -> Result<Option<Decision>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let removed = sqlx::query_as!(
            DecisionColumns,
            r#"
            delete from decisions
             where tenant_id = $1
               and instance_id = $2
               and ordinal = $3
               and seq = $4
            returning decision as "decision?", justification as "justification?", decided_by_id as "decided_by_id?",
                      decided_by_name as "decided_by_name?",
                      decided_by_user_principal_name as "decided_by_user_principal_name?", decided_at as "decided_at?",
                      moves_on as "moves_on?"
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
            seq,
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(removed.map(|removed| removed.into_decision(seq)).transpose()?.flatten())
    }

    async fn record_defaults(
        &mut self,
        instance: InstanceId,
        verdict: Option<Verdict>,
        author: &Identity,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let done = sqlx::query!(
            r#"
            insert into decisions
                (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                 decided_by_user_principal_name, decided_at, moves_on)
            select tenant_id, instance_id, $3, seq, verdict, '', $5, $6, $7, $8, false
              from (select i.tenant_id, i.instance_id, i.seq,
                           coalesce($4, case i.recommendations[array_upper(i.recommendations, 1)]
                                            when 1 then 'Approve'
                                            when 2 then 'Deny'
                                        end) as verdict
                      from decision_items i
                     where i.tenant_id = $1
                       and i.instance_id = $2
                       and not exists (
                               select
                                 from decisions d
                                where d.tenant_id = i.tenant_id
                                  and d.instance_id = i.instance_id
                                  and d.seq = i.seq)
                       and not exists (
                               select
                                 from removed_items r
                                where r.tenant_id = i.tenant_id
                                  and r.instance_id = i.instance_id
                                  and r.seq = i.seq)) as undecided
             where verdict is not null
            "#,
            tenant,
            instance.as_uuid(),
            SYSTEM_STAGE,
            verdict.map(Verdict::as_str),
            author.id.as_uuid(),
            author.display_name,
            author.user_principal_name,
            now,
        )
        .execute(self.connection()?)
        .await?;
        Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
    }
}
