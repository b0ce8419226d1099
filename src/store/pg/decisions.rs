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
        recommendation::Recommendation,
        stage::{SYSTEM_STAGE, StageOrdinal},
    },
    store::{AskedAnswer, DecisionRecord, DecisionRepository, FoundAnswer, StoreError},
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
    async fn lock_many(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        asked: &[AskedAnswer],
    ) -> Result<Vec<Option<FoundAnswer>>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let items: Vec<_> = asked.iter().map(|asked| asked.seq).collect();
        let people: Vec<_> = asked.iter().map(|asked| asked.person.as_uuid()).collect();
        let rows = sqlx::query!(
            r#"
            with kept as materialized (
                select d.seq, d.decision, d.justification, d.decided_by_id, d.decided_by_name,
                       d.decided_by_user_principal_name, d.decided_at, d.moves_on
                  from decisions d
                 where d.tenant_id = $1
                   and d.instance_id = $2
                   and d.ordinal = $3
                   and d.seq = any($4)
                 order by d.seq
                   for no key update
            )
            select asked.place as "place!",
                   reviews_item($1, $2, $3, i.seq, i.cohort, asked.person)
                       and stage_holds_item($1, $2, $3, s.entry, i.seq) as "decides!",
                   recommendation_in(i.recommendations, $3) as "recommendation_code!",
                   k.decision as "decision?", k.justification as "justification?", k.decided_by_id as "decided_by_id?",
                   k.decided_by_name as "decided_by_name?",
                   k.decided_by_user_principal_name as "decided_by_user_principal_name?", k.decided_at as "decided_at?",
                   k.moves_on as "moves_on?"
              from unnest($4::integer[], $5::uuid[]) with ordinality as asked (seq, person, place)
             cross join lateral (
                       select x.seq, x.cohort, x.recommendations
                         from decision_items x
                        where x.tenant_id = $1
                          and x.instance_id = $2
                          and x.seq = asked.seq
                        limit 1) as i
             cross join lateral (
                       select x.entry
                         from stages x
                        where x.tenant_id = $1
                          and x.instance_id = $2
                          and x.ordinal = $3
                        limit 1) as s
              left join kept k on k.seq = i.seq
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
            &items,
            &people,
        )
        .fetch_all(self.connection()?)
        .await?;
        let mut found = vec![None; asked.len()];
        for row in rows {
            let Some(position) = usize::try_from(row.place).ok().and_then(|place| place.checked_sub(1)) else {
                continue;
            };
            let seq = asked[position].seq;
            let decision = DecisionColumns {
                decision: row.decision,
                justification: row.justification,
                decided_by_id: row.decided_by_id,
                decided_by_name: row.decided_by_name,
                decided_by_user_principal_name: row.decided_by_user_principal_name,
                decided_at: row.decided_at,
                moves_on: row.moves_on,
            };
            found[position] = Some(FoundAnswer {
                decides: row.decides,
                recommendation: Recommendation::from_code(row.recommendation_code)
                    .ok_or_else(|| corrupt("decision_items", "recommendations", seq))?,
                decision: decision.into_decision(seq)?,
            });
        }
        Ok(found)
    }

    async fn record_many(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        records: &[DecisionRecord],
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let kept: Vec<_> =
            records.iter().filter_map(|record| record.decision.as_ref().map(|decision| (record, decision))).collect();
        let gone: Vec<_> = records
            .iter()
            .filter(|record| record.decision.is_none() && record.is_stored)
            .map(|record| record.seq)
            .collect();
        let items: Vec<_> = kept.iter().map(|(record, _)| record.seq).collect();
        let stored: Vec<_> = kept.iter().map(|(record, _)| record.is_stored).collect();
        let verdicts: Vec<_> = kept.iter().map(|(_, decision)| decision.verdict.as_str().to_owned()).collect();
        let justifications: Vec<_> = kept.iter().map(|(_, decision)| decision.justification.clone()).collect();
        let people: Vec<_> = kept.iter().map(|(_, decision)| decision.decided_by.id.as_uuid()).collect();
        let names: Vec<_> = kept.iter().map(|(_, decision)| decision.decided_by.display_name.clone()).collect();
        let user_principal_names: Vec<_> =
            kept.iter().map(|(_, decision)| decision.decided_by.user_principal_name.clone()).collect();
        let instants: Vec<_> = kept.iter().map(|(_, decision)| decision.decided_at).collect();
        let moving: Vec<_> = kept.iter().map(|(_, decision)| decision.moves_on).collect();
        let written = sqlx::query_scalar!(
            r#"
            with wanted as materialized (
                select *
                  from unnest($4::integer[], $5::boolean[], $6::text[], $7::text[], $8::uuid[], $9::text[], $10::text[],
                              $11::timestamptz[], $12::boolean[])
                       as w (seq, stored, decision, justification, person, name, user_principal_name, at, moves_on)
            ), inserted as (
                insert into decisions
                    (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                     decided_by_user_principal_name, decided_at, moves_on)
                select $1, $2, $3, seq, decision, justification, person, name, user_principal_name, at, moves_on
                  from wanted
                 where not stored
                 order by seq
                on conflict (tenant_id, instance_id, seq, ordinal) do nothing
                returning 1
            ), updated as (
                update decisions d
                   set decision = w.decision,
                       justification = w.justification,
                       decided_by_id = w.person,
                       decided_by_name = w.name,
                       decided_by_user_principal_name = w.user_principal_name,
                       decided_at = w.at,
                       moves_on = w.moves_on,
                       replaced = null
                  from wanted w
                 where w.stored
                   and d.tenant_id = $1
                   and d.instance_id = $2
                   and d.ordinal = $3
                   and d.seq = w.seq
                returning 1
            ), withdrawn as (
                delete from decisions
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
                   and seq = any($13)
            )
            select (select count(*) from inserted) + (select count(*) from updated) as "written!"
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
            &items,
            &stored,
            &verdicts,
            &justifications,
            &people,
            &names,
            &user_principal_names,
            &instants,
            &moving,
            &gone,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(usize::try_from(written) == Ok(kept.len()))
    }

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
                           coalesce($4, case recommendation_by_default(i.recommendations)
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
