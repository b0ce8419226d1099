//! What a report shows: one cursor over one snapshot, so that a report of any size is of one moment and needs no memory to speak of.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow, types::Json};
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use super::{PgUnitOfWork, error::corrupt};
use crate::{
    domain::{
        decision::Verdict,
        definition::Identity,
        history::{
            HistoryDecision,
            report::{ReportRow, ReportedApplication, ReportedDecision, ReportedReview, ReviewFacts},
        },
        ids::{DefinitionId, InstanceId, ObjectId},
        recommendation::Recommendation,
    },
    store::{StoreError, history::ReportQuery},
};

/// So many rows are handed on together.
const ROWS_TOGETHER: usize = 500;

/// Where in the select list the columns are: [`column::REVIEW`] is set in the row of a review, which stands before its items and has
/// nothing else; in theirs it is null. By number, because looking for a name takes as long as reading the value.
mod column {
    // The first one is the review's place in the report.
    pub const SEQ: usize = 1;
    pub const REVIEW: usize = 2;
    pub const PRINCIPAL_ID: usize = 3;
    pub const PRINCIPAL_NAME: usize = 4;
    pub const PRINCIPAL_DETAIL: usize = 5;
    pub const PRINCIPAL_TYPE: usize = 6;
    pub const RECOMMENDATION: usize = 7;
    pub const DECISION: usize = 8;
    pub const JUSTIFICATION: usize = 9;
    pub const DECIDED_BY_ID: usize = 10;
    pub const DECIDED_BY_NAME: usize = 11;
    pub const DECIDED_BY_USER_PRINCIPAL_NAME: usize = 12;
    pub const DECIDED_BY_MAIL: usize = 13;
    pub const DECIDED_AT: usize = 14;
    pub const APPLIED_BY_ID: usize = 15;
    pub const APPLIED_BY_NAME: usize = 16;
    pub const APPLIED_BY_USER_PRINCIPAL_NAME: usize = 17;
    pub const APPLIED_BY_MAIL: usize = 18;
    pub const APPLIED_AT: usize = 19;
    pub const APPLIED: usize = 20;
}

/// What the row of a review says.
#[derive(serde::Deserialize)]
struct ReviewColumns {
    instance_id: Uuid,
    series_id: Option<Uuid>,
    resource_type: String,
    resource_name: String,
    resource_id: Uuid,
    review_name: String,
    created_at: DateTime<Utc>,
    start_at: DateTime<Utc>,
    end_at: DateTime<Utc>,
    status: String,
    owner_id: Uuid,
    owner_name: String,
    owner_user_principal_name: String,
}

/// The review's own row.
fn review_of(columns: ReviewColumns) -> ReportedReview {
    ReviewFacts {
        instance_id: InstanceId::new(columns.instance_id),
        series_id: columns.series_id.map(DefinitionId::new),
        resource_type: columns.resource_type,
        resource_name: columns.resource_name,
        resource_id: ObjectId::new(columns.resource_id),
        review_name: columns.review_name,
        created_at: columns.created_at,
        start_at: columns.start_at,
        end_at: columns.end_at,
        status: columns.status,
        owner: Identity {
            id: ObjectId::new(columns.owner_id),
            display_name: columns.owner_name,
            user_principal_name: columns.owner_user_principal_name,
        },
    }
    .into()
}

/// The row of an item; of a review there is none, but it is what the following ones are of. The columns are this file's own: that
/// they have the types they are read as is not asked once more for each of them.
fn report_row(row: &PgRow, review: &mut Option<Arc<ReportedReview>>) -> Result<Option<ReportRow>, StoreError> {
    if let Some(Json(columns)) = row.try_get_unchecked::<Option<Json<ReviewColumns>>, _>(column::REVIEW)? {
        *review = Some(Arc::new(review_of(columns)));
        return Ok(None);
    }
    let seq: i32 = row.try_get_unchecked(column::SEQ)?;
    let text = |column: usize| row.try_get_unchecked::<Option<String>, _>(column).map(Option::unwrap_or_default);
    let verdict: Option<&str> = row.try_get_unchecked(column::DECISION)?;
    let decided_by: Option<Uuid> = row.try_get_unchecked(column::DECIDED_BY_ID)?;
    let decision = match (verdict, decided_by, row.try_get_unchecked(column::DECIDED_AT)?) {
        (Some(verdict), Some(decided_by), Some(decided_at)) => Some(ReportedDecision {
            verdict: Verdict::parse(verdict).ok_or_else(|| corrupt("decisions", "decision", seq))?,
            justification: text(column::JUSTIFICATION)?,
            decided_by: Identity {
                id: ObjectId::new(decided_by),
                display_name: text(column::DECIDED_BY_NAME)?,
                user_principal_name: text(column::DECIDED_BY_USER_PRINCIPAL_NAME)?,
            },
            mail: text(column::DECIDED_BY_MAIL)?,
            decided_at,
        }),
        (None, None, None) => None,
        _ => return Err(corrupt("decisions", "decided_at", seq)),
    };
    let applied_by: Option<Uuid> = row.try_get_unchecked(column::APPLIED_BY_ID)?;
    let application =
        match (applied_by, row.try_get_unchecked(column::APPLIED_AT)?, row.try_get_unchecked(column::APPLIED)?) {
            (Some(applied_by), Some(applied_at), Some(succeeded)) => Some(ReportedApplication {
                applied_by: Identity {
                    id: ObjectId::new(applied_by),
                    display_name: text(column::APPLIED_BY_NAME)?,
                    user_principal_name: text(column::APPLIED_BY_USER_PRINCIPAL_NAME)?,
                },
                mail: text(column::APPLIED_BY_MAIL)?,
                applied_at,
                succeeded,
            }),
            _ => None,
        };
    let review = review.as_ref().ok_or_else(|| corrupt("instances", "instance_id", seq))?;
    Ok(Some(ReportRow {
        review: Arc::clone(review),
        principal_id: ObjectId::new(row.try_get_unchecked(column::PRINCIPAL_ID)?),
        principal_name: row.try_get_unchecked(column::PRINCIPAL_NAME)?,
        principal_detail: row.try_get_unchecked(column::PRINCIPAL_DETAIL)?,
        principal_type: row.try_get_unchecked(column::PRINCIPAL_TYPE)?,
        decision,
        recommendation: Recommendation::from_code(row.try_get_unchecked(column::RECOMMENDATION)?)
            .ok_or_else(|| corrupt("decision_items", "recommendations", seq))?,
        application,
    }))
}

impl PgUnitOfWork {
    pub(super) async fn open_report_cursor(&mut self, query: &ReportQuery) -> Result<(), StoreError> {
        // The whole of it is read: a plan that is quick to show its first rows would be the wrong one.
        sqlx::raw_sql("set local cursor_tuple_fraction = 1; set local work_mem = '32MB'")
            .execute(self.connection()?)
            .await?;
        let mut sql = QueryBuilder::<Postgres>::new("declare report no scroll cursor for ");
        push_report(&mut sql, self.tenant.as_uuid(), query);
        sql.build().persistent(false).execute(self.connection()?).await?;
        Ok(())
    }

    pub(super) async fn read_report_cursor(
        &mut self,
        limit: u16,
        taker: &Sender<Vec<ReportRow>>,
    ) -> Result<u16, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new("fetch forward ");
        sql.push(limit).push(" from report");
        let mut review = self.reported.take();
        let mut found = 0;
        let mut items = Vec::with_capacity(ROWS_TOGETHER);
        // Row by row as they arrive: the database goes on meanwhile, as far as the connection holds.
        let mut rows = sql.build().persistent(false).fetch(self.connection()?);
        while let Some(row) = rows.try_next().await? {
            found += 1;
            items.extend(report_row(&row, &mut review)?);
            if items.len() >= ROWS_TOGETHER {
                let full = std::mem::replace(&mut items, Vec::with_capacity(ROWS_TOGETHER));
                taker.send(full).await.map_err(|_| not_taken())?;
            }
        }
        drop(rows);
        if !items.is_empty() {
            taker.send(items).await.map_err(|_| not_taken())?;
        }
        self.reported = review;
        Ok(found)
    }
}

fn not_taken() -> StoreError {
    StoreError::Other("nobody takes the rows of the report".into())
}

fn push_report(sql: &mut QueryBuilder<Postgres>, tenant: Uuid, query: &ReportQuery) {
    let wanted = |decision| query.decisions.contains(&decision);
    // `notReviewed` takes every undecided item; who was told matters only where those alone are asked for who were not.
    let told_matters = wanted(HistoryDecision::NotNotified) && !wanted(HistoryDecision::NotReviewed);
    sql.push("with ");
    push_selected(sql, tenant, query);
    if told_matters {
        push_told(sql, tenant);
    }
    // Of an item's decisions the one of the highest stage is effective. They are joined as they are and all but that one left out
    // afterwards: rows are sorted anyway, and a plan may read the decisions in one go, where a query for each item's effective one
    // would have to look every item up. LC-HIST-11
    sql.push(
        " select place, seq, review, principal_id, principal_name, principal_detail, principal_type, recommendation, decision, \
         justification, decided_by_id, decided_by_name, decided_by_user_principal_name, decided_by_mail, decided_at, \
         applied_by_id, applied_by_name, applied_by_user_principal_name, applied_by_mail, applied_at, applied \
         from (select distinct on (place, seq) * from (",
    );
    // What all items of a review have in common comes once, in a row before them.
    sql.push(
        "select s.place, 0 as seq, to_jsonb(s) as review, null::uuid as principal_id, null as principal_name, \
         null as principal_detail, null as principal_type, null::smallint as recommendation, null as decision, \
         null as justification, null::uuid as decided_by_id, null as decided_by_name, \
         null as decided_by_user_principal_name, null as decided_by_mail, null::timestamptz as decided_at, \
         null::uuid as applied_by_id, null as applied_by_name, null as applied_by_user_principal_name, \
         null as applied_by_mail, null::timestamptz as applied_at, null::boolean as applied, null::smallint as ordinal, \
         null::boolean as told from selected s union all \
         select s.place, i.seq, null, i.principal_id, i.principal_name, i.principal_detail, i.principal_type, \
         recommendation_in(i.recommendations, s.highest_stage), d.decision, d.justification, d.decided_by_id, \
         d.decided_by_name, d.decided_by_user_principal_name, u.mail, d.decided_at, a.applied_by_id, a.applied_by_name, \
         a.applied_by_user_principal_name, b.mail, a.applied_at, a.result = 'AppliedSuccessfully', d.ordinal, ",
    );
    if told_matters {
        // A stage in which the item has reviewers of its own is not told by its cohort's.
        sql.push(
            "e.cohort is not null or coalesce(o.told, false) \
             or t.cohort is not null and not coalesce(t.ordinals <@ o.ordinals, false)",
        );
    } else {
        sql.push("null");
    }
    sql.push(" from selected s join decision_items i on i.instance_id = s.instance_id and i.tenant_id = ");
    sql.push_bind(tenant);
    // The instances once more, so that a plan that reads the decisions in one go reads no others.
    sql.push(
        " left join decisions d on d.instance_id = i.instance_id and d.seq = i.seq \
         and d.instance_id = any(array(select instance_id from selected)) and d.tenant_id = ",
    );
    sql.push_bind(tenant);
    sql.push(" left join users u on u.user_id = d.decided_by_id and u.tenant_id = ").push_bind(tenant);
    sql.push(" left join apply_results a on a.instance_id = i.instance_id and a.seq = i.seq and a.tenant_id = ");
    sql.push_bind(tenant);
    sql.push(" left join users b on b.user_id = a.applied_by_id and b.tenant_id = ").push_bind(tenant);
    if told_matters {
        sql.push(
            " left join told_cohorts t on t.instance_id = i.instance_id and t.cohort = i.cohort \
             left join told_cohorts e on e.instance_id = i.instance_id and e.cohort = 0 \
             left join told_items o on o.instance_id = i.instance_id and o.seq = i.seq",
        );
    }
    // What a review does not show any more is not in its report. LC-APPLY-15
    sql.push(" where not exists (select from removed_items k where k.tenant_id = ").push_bind(tenant);
    sql.push(
        " and k.instance_id = i.instance_id and k.seq = i.seq)) as shown order by place, seq, ordinal desc) as effective \
         where review is not null or decision = any(",
    );
    let verdicts: Vec<_> = [
        (HistoryDecision::Approve, Verdict::Approve),
        (HistoryDecision::Deny, Verdict::Deny),
        (HistoryDecision::DontKnow, Verdict::DontKnow),
    ]
    .into_iter()
    .filter(|(decision, _)| wanted(*decision))
    .map(|(_, verdict)| verdict.as_str())
    .collect();
    sql.push_bind(verdicts).push(")");
    if wanted(HistoryDecision::NotReviewed) {
        sql.push(" or decision is null");
    } else if told_matters {
        sql.push(" or decision is null and not told");
    }
    sql.push(" order by place, seq");
}

/// The instances in the report. LC-HIST-03, LC-HIST-04, A-39
fn push_selected(sql: &mut QueryBuilder<Postgres>, tenant: Uuid, query: &ReportQuery) {
    let kinds: Vec<_> = query.readable_kinds.iter().map(|kind| kind.as_str()).collect();
    sql.push(
        "selected as materialized (\
         select (row_number() over (order by i.start_at, i.instance_id))::integer as place, i.instance_id, \
         case when jsonb_typeof(d.settings #> '{recurrence,pattern}') = 'object' then d.definition_id end as series_id, i.resource_type, i.resource_name, i.resource_id, \
         d.display_name as review_name, d.created_at, i.start_at, i.end_at, i.status, d.created_by_id as owner_id, \
         d.created_by_name as owner_name, d.created_by_user_principal_name as owner_user_principal_name, \
         (select max(g.ordinal) from stages g where g.tenant_id = i.tenant_id and g.instance_id = i.instance_id) \
         as highest_stage \
         from definitions d join instances i on i.tenant_id = d.tenant_id and i.definition_id = d.definition_id \
         where d.tenant_id = ",
    );
    sql.push_bind(tenant);
    // Scopes of other types have a query that a filter does not reach. A-10
    sql.push(
        " and d.scope ->> 'inactiveDuration' is null \
         and exists (select from unnest(",
    );
    sql.push_bind(query.scope_texts.clone());
    sql.push("::text[]) as wanted (part) where strpos(lower(d.scope_query), lower(part)) > 0) and i.start_at >= ");
    sql.push_bind(query.period.start).push(" and i.start_at <= ").push_bind(query.period.end);
    // A review ends before the end it was planned for when it is stopped or nothing is left to review.
    sql.push(" and (coalesce(i.ended_at, i.end_at) <= ").push_bind(query.period.end);
    // A review that is still running has not ended.
    sql.push(" or i.status in ('Initializing', 'Starting', 'InProgress')) and (d.created_by_id = ");
    sql.push_bind(query.creator.as_uuid());
    sql.push(
        " or case when i.resource_type = 'DirectoryRole' then 'directoryRole' \
         when i.resource_type = 'Group' and exists (select from groups g where g.tenant_id = i.tenant_id \
         and g.group_id = i.resource_id and g.is_assignable_to_role) then 'roleAssignableGroup' \
         else 'groupOrApplication' end = any(",
    );
    sql.push_bind(kinds).push(")))");
}

/// Cohorts (0: all), and items with reviewers of their own, that somebody was told of, and in which stages. M-32
fn push_told(sql: &mut QueryBuilder<Postgres>, tenant: Uuid) {
    sql.push(
        ", told as materialized (select c.instance_id, c.ordinal, c.reviewer_id from contacted_reviewers c \
         where c.mailed_at is not null and c.instance_id in (select instance_id from selected) and c.tenant_id = ",
    );
    sql.push_bind(tenant);
    sql.push(
        "), told_cohorts as materialized (\
         select instance_id, cohort, array_agg(ordinal) as ordinals from (\
         select r.instance_id, r.cohort, r.ordinal from told c join stage_reviewers r on r.instance_id = c.instance_id \
         and r.ordinal = c.ordinal and r.reviewer_id = c.reviewer_id and r.tenant_id = ",
    );
    sql.push_bind(tenant);
    sql.push(
        " union select n.instance_id, n.cohort, n.ordinal from told c join stage_fallbacks f on f.instance_id = c.instance_id \
         and f.ordinal = c.ordinal and f.reviewer_id = c.reviewer_id join stage_unassigned_cohorts n \
         on n.tenant_id = f.tenant_id and n.instance_id = f.instance_id and n.ordinal = f.ordinal \
         and f.cohort in (0, n.cohort) where f.tenant_id = ",
    );
    sql.push_bind(tenant);
    sql.push(
        ") as cohort_stages group by instance_id, cohort), told_items as materialized (\
         select v.instance_id, v.seq, bool_or(c.reviewer_id is not null) as told, array_agg(v.ordinal) as ordinals from item_overrides v left join told c \
         on c.instance_id = v.instance_id and c.ordinal = v.ordinal and c.reviewer_id = v.reviewer_id \
         where v.instance_id in (select instance_id from selected) and v.tenant_id = ",
    );
    sql.push_bind(tenant);
    sql.push(" group by v.instance_id, v.seq)");
}
