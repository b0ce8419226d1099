//! Items: gathered set-wise at the start, listed through a view.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    decisions::DecisionColumns,
    error::corrupt,
    filters::{self, Column, SortKey, Test},
    gathering,
};
use crate::{
    domain::{
        affiliation::ManagedPerson,
        apply::{Applied, ApplyResult},
        decision::Verdict,
        definition::{Identity, MovingDecision},
        ids::{InstanceId, ItemSeq, ObjectId},
        insight::{LastSignIn, ShownFacts},
        instance::{Instance, ResourceKind},
        lifecycle::Entry,
        recommendation::Recommendation,
        reviewer_reach::Cohort,
        stage::StageOrdinal,
    },
    store::{
        CursorKeys, Gathered, Gathering, GrantedRole, ItemCursor, ItemFilter, ItemRepository, ItemRow, ItemView, Page,
        Principal, PrincipalKind, Slice, StageEntry, StageReach, StoreError, Unchanged,
        filter::{DecisionProperty, FilterExpression, FilterOperator, FilterValue, OrderBy},
    },
};

#[derive(sqlx::FromRow)]
pub(super) struct ItemColumns {
    pub(super) seq: i32,
    pub(super) principal_id: Uuid,
    pub(super) principal_type: String,
    pub(super) principal_name: String,
    pub(super) principal_detail: String,
    pub(super) app_role_id: Option<Uuid>,
    pub(super) app_role_name: Option<String>,
    pub(super) recommendation_code: i16,
    #[sqlx(flatten)]
    pub(super) facts: FactColumns,
    pub(super) apply_result: String,
    pub(super) apply_description: Option<String>,
    pub(super) applied_by_id: Option<Uuid>,
    pub(super) applied_by_name: Option<String>,
    pub(super) applied_by_user_principal_name: Option<String>,
    pub(super) applied_at: Option<DateTime<Utc>>,
    pub(super) sort_keys: CursorKeys,
    #[sqlx(flatten)]
    pub(super) decision: DecisionColumns,
}

/// Of each sign-in: whether anything is known and shown, and when it was; unless known, never.
#[derive(sqlx::FromRow)]
pub(super) struct FactColumns {
    pub(super) sign_in_known: bool,
    pub(super) last_sign_in_at: Option<DateTime<Utc>>,
    pub(super) application_sign_in_known: bool,
    pub(super) application_sign_in_at: Option<DateTime<Utc>>,
    pub(super) outlier: Option<bool>,
}

impl From<FactColumns> for ShownFacts {
    fn from(row: FactColumns) -> Self {
        let last = |known: bool, at: Option<_>| known.then(|| at.map_or(LastSignIn::Never, LastSignIn::At));
        Self {
            tenant_sign_in: last(row.sign_in_known, row.last_sign_in_at),
            application_sign_in: last(row.application_sign_in_known, row.application_sign_in_at),
            is_outlier: row.outlier,
        }
    }
}

impl ItemColumns {
    /// What was applied, or `None` when nothing was; anything in between is corrupt.
    fn applied(&mut self) -> Result<Option<Applied>, StoreError> {
        match (
            self.applied_by_id,
            self.applied_by_name.take(),
            self.applied_by_user_principal_name.take(),
            self.applied_at,
        ) {
            (Some(id), Some(display_name), Some(user_principal_name), Some(at)) => Ok(Some(Applied {
                result: ApplyResult::parse(&self.apply_result)
                    .ok_or_else(|| corrupt("apply_results", "result", self.seq))?,
                description: self.apply_description.take(),
                by: Identity { id: ObjectId::new(id), display_name, user_principal_name },
                at,
            })),
            (None, None, None, None) => Ok(None),
            _ => Err(corrupt("apply_results", "applied_at", self.seq)),
        }
    }
}

/// Reads a stored kind of principal.
pub(super) fn principal_kind(text: &str, seq: ItemSeq) -> Result<PrincipalKind, StoreError> {
    match text {
        "user" => Ok(PrincipalKind::User),
        "group" => Ok(PrincipalKind::Group),
        "servicePrincipal" => Ok(PrincipalKind::ServicePrincipal),
        _ => Err(corrupt("decision_items", "principal_type", seq)),
    }
}

impl TryFrom<ItemColumns> for ItemRow {
    type Error = StoreError;

    fn try_from(mut row: ItemColumns) -> Result<Self, StoreError> {
        let applied = row.applied()?;
        Ok(Self {
            seq: row.seq,
            principal: Principal {
                id: ObjectId::new(row.principal_id),
                kind: principal_kind(&row.principal_type, row.seq)?,
                display_name: row.principal_name,
                detail: row.principal_detail,
            },
            app_role: row
                .app_role_id
                .map(|id| GrantedRole { id: ObjectId::new(id), display_name: row.app_role_name.unwrap_or_default() }),
            recommendation: Recommendation::from_code(row.recommendation_code)
                .ok_or_else(|| corrupt("decision_items", "recommendations", row.seq))?,
            decision: row.decision.into_decision(row.seq)?,
            applied,
            facts: row.facts.into(),
        })
    }
}

/// The rows of a view as `v`: what it shows of each item, decision columns null where there is none.
struct ViewQuery<'a> {
    tenant: Uuid,
    instance: Uuid,
    view: &'a ItemView,
}

impl ViewQuery<'_> {
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(
            "(select i.tenant_id, i.instance_id, i.seq, i.principal_id, i.principal_type, i.principal_name, \
             i.principal_detail, i.app_role_id, i.app_role_name, \
             d.decision, d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name, d.decided_at, \
             d.moves_on, coalesce(d.decision, 'NotReviewed') as verdict, \
             coalesce(a.result, 'New') as apply_result, a.description as apply_description, a.applied_by_id, a.applied_by_name, \
             a.applied_by_user_principal_name, a.applied_at, r.code as recommendation_code, \
             'tenantSignIn' = any(r.insights) and i.last_sign_in_at is not null as sign_in_known, \
             case when 'tenantSignIn' = any(r.insights) and isfinite(i.last_sign_in_at) then i.last_sign_in_at end \
             as last_sign_in_at, \
             'applicationSignIn' = any(r.insights) and i.application_sign_in_at is not null as application_sign_in_known, \
             case when 'applicationSignIn' = any(r.insights) and isfinite(i.application_sign_in_at) \
             then i.application_sign_in_at end as application_sign_in_at, \
             case when 'affiliation' = any(r.insights) then i.outlier end as outlier, \
             case r.code when 1 then 'Approve' when 2 then 'Deny' else 'NoInfoAvailable' end as recommendation from ",
        );
        match self.view {
            ItemView::Stage { ordinal, entry, reach } => {
                query.push("decision_items i");
                self.push_decisions(query, |query| {
                    query.push("d.ordinal = ").push_bind(*ordinal);
                });
                self.push_applied(query, reach.is_some());
                self.push_recommendation(query, |query| {
                    query.push_bind(*ordinal);
                });
                self.push_items_of_instance(query);
                self.push_membership(query, *ordinal, *entry);
                if let Some(reach) = reach {
                    self.push_bounds(query, reach);
                    query.push(" and (false");
                    for part in reach {
                        query.push(" or (");
                        self.push_reach(query, part);
                        self.push_single_membership(query, part.ordinal, part.entry);
                        query.push(")");
                    }
                    query.push(")");
                }
            }
            ItemView::Effective { highest } => {
                query.push("decision_items i");
                self.push_decisions(query, |query| {
                    query.push("d.ordinal <= ").push_bind(*highest);
                });
                self.push_applied(query, false);
                self.push_recommendation(query, |query| {
                    query.push_bind(*highest);
                });
                self.push_items_of_instance(query);
            }
            ItemView::Reviewer { reaches, histories } => {
                query.push("(select i.*, case");
                for part in reaches {
                    query.push(" when ");
                    self.push_reach(query, part);
                    self.push_single_membership(query, part.ordinal, part.entry);
                    query.push(" then ").push_bind(part.ordinal);
                }
                query.push(" else null::smallint end as own from decision_items i");
                self.push_items_of_instance(query);
                // What no stage's reach touches is left to an index instead of to the case.
                self.push_bounds(query, reaches);
                query.push(") i");
                self.push_decisions(query, |query| {
                    query.push(if *histories { "d.ordinal <= i.own" } else { "d.ordinal in (0, i.own)" });
                });
                self.push_applied(query, true);
                self.push_recommendation(query, |query| {
                    query.push("i.own");
                });
                query.push(" where i.own is not null");
            }
        }
        query.push(") v");
    }

    /// The item's newest decision among the stages that count.
    fn push_decisions(&self, query: &mut QueryBuilder<Postgres>, counts: impl FnOnce(&mut QueryBuilder<Postgres>)) {
        query.push(" left join lateral (select d.* from decisions d where d.tenant_id = ").push_bind(self.tenant);
        query.push(" and d.instance_id = ").push_bind(self.instance).push(" and d.seq = i.seq and ");
        counts(query);
        query.push(" order by d.ordinal desc limit 1) d on true");
    }

    /// What became of the item. A reviewer sees it only where the decision he sees is the one that was applied: anything else would
    /// tell him of a decision that is hidden from him. LC-STAGE-51
    fn push_applied(&self, query: &mut QueryBuilder<Postgres>, masked: bool) {
        query.push(" left join apply_results a on a.tenant_id = ").push_bind(self.tenant);
        query.push(" and a.instance_id = ").push_bind(self.instance).push(" and a.seq = i.seq");
        if masked {
            query.push(" and d.ordinal = (select max(k.ordinal) from decisions k where k.tenant_id = ");
            query.push_bind(self.tenant).push(" and k.instance_id = ").push_bind(self.instance);
            query.push(" and k.seq = i.seq)");
        }
    }

    /// What the stage at this position recommends, and the insights that it shows: none where it shows no recommendations. LC-RCM-10
    fn push_recommendation(&self, query: &mut QueryBuilder<Postgres>, position: impl Fn(&mut QueryBuilder<Postgres>)) {
        query.push(" cross join lateral (select recommendation_in(i.recommendations, ");
        position(query);
        query.push(
            ") as code, coalesce((select p.insights from stages s join planned_stages p \
             on p.tenant_id = s.tenant_id and p.instance_id = s.instance_id and p.ordinal = s.ordinal \
             where s.recommendations_enabled and s.tenant_id = ",
        );
        query.push_bind(self.tenant).push(" and s.instance_id = ").push_bind(self.instance).push(" and s.ordinal = ");
        position(query);
        query.push("), '{}') as insights) r");
    }

    /// Without those removed since. Most instances have none: asked first, this costs the others nothing for each item, and leaves
    /// the planner no other way than probing. LC-APPLY-15
    fn push_items_of_instance(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" where i.tenant_id = ").push_bind(self.tenant);
        query.push(" and i.instance_id = ").push_bind(self.instance);
        query.push(" and (not exists ");
        self.push_removed(query);
        query.push(") or not exists ");
        self.push_removed(query);
        query.push(" and k.seq = i.seq))");
    }

    /// `(select … where …`: what was removed from the instance, to be closed.
    fn push_removed(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("(select from removed_items k where k.tenant_id = ").push_bind(self.tenant);
        query.push(" and k.instance_id = ").push_bind(self.instance);
    }

    /// ` and the stage holds the item`: the same as `stage_holds_item()`, written so that each part is served by an index.
    fn push_membership(&self, query: &mut QueryBuilder<Postgres>, ordinal: StageOrdinal, entry: Entry) {
        match entry {
            Entry::All => {}
            Entry::Remaining => {
                for earlier in 1..ordinal {
                    query.push(" and not exists (select from decisions k where k.tenant_id = ").push_bind(self.tenant);
                    query.push(" and k.instance_id = ").push_bind(self.instance);
                    query.push(" and k.ordinal = ").push_bind(earlier).push(" and k.seq = i.seq and not k.moves_on)");
                }
            }
            Entry::Listed => {
                query.push(" and exists (select from stage_items k where k.tenant_id = ").push_bind(self.tenant);
                query.push(" and k.instance_id = ").push_bind(self.instance);
                query.push(" and k.ordinal = ").push_bind(ordinal).push(" and k.seq = i.seq)");
            }
        }
    }

    /// The same for one item at a time: scalar subqueries, which the planner cannot turn into a pass over the whole stage for the
    /// sake of one page.
    fn push_single_membership(&self, query: &mut QueryBuilder<Postgres>, ordinal: StageOrdinal, entry: Entry) {
        let mut probe = |before: &'static str, ordinal: StageOrdinal, after: &'static str| {
            query.push(before).push(" k where k.tenant_id = ").push_bind(self.tenant);
            query.push(" and k.instance_id = ").push_bind(self.instance);
            query.push(" and k.ordinal = ").push_bind(ordinal).push(" and k.seq = i.seq)").push(after);
        };
        match entry {
            Entry::All => {}
            Entry::Remaining => {
                for earlier in 1..ordinal {
                    probe(" and coalesce((select k.moves_on from decisions", earlier, ", true)");
                }
            }
            Entry::Listed => probe(" and coalesce((select true from stage_items", ordinal, ", false)"),
        }
    }

    /// ` and …`: the items that any of the reaches can touch, as the primary key finds them. Numbers of a cohort's items follow each
    /// other: those of one are a range, and of several so many numbers.
    fn push_bounds(&self, query: &mut QueryBuilder<Postgres>, parts: &[StageReach]) {
        if parts.iter().any(|part| part.reach.every) {
            return;
        }
        query.push(" and (false");
        for StageReach { reach, .. } in parts {
            match reach.cohorts.as_slice() {
                [] => {}
                [one] => {
                    query.push(" or i.seq between ");
                    self.push_end_of_cohort(query, "first_item", *one);
                    query.push(" and ");
                    self.push_end_of_cohort(query, "last_item", *one);
                }
                several => {
                    query.push(" or i.seq = any(array(select k.seq from unnest(").push_bind(several.to_vec());
                    query.push(") as c (cohort) cross join lateral cohort_range(").push_bind(self.tenant).push(", ");
                    query.push_bind(self.instance).push(
                        ", c.cohort) as r cross join lateral generate_series(r.first_item, r.last_item) as k (seq)))",
                    );
                }
            }
            if !reach.items.is_empty() {
                query.push(" or i.seq = any(").push_bind(reach.items.clone()).push(")");
            }
        }
        query.push(")");
    }

    fn push_end_of_cohort(&self, query: &mut QueryBuilder<Postgres>, end: &'static str, cohort: Cohort) {
        query.push("(select r.").push(end).push(" from cohort_range(").push_bind(self.tenant).push(", ");
        query.push_bind(self.instance).push(", ").push_bind(cohort).push(") as r)");
    }

    /// `(the person reviews the item, if the stage holds it)`
    fn push_reach(&self, query: &mut QueryBuilder<Postgres>, part: &StageReach) {
        let reach = &part.reach;
        query.push("(");
        if reach.every {
            query.push("true");
        } else {
            query.push("i.cohort = any(").push_bind(reach.cohorts.clone()).push(")");
            if !reach.except.is_empty() {
                query.push(" and i.seq <> all(").push_bind(reach.except.clone()).push(")");
            }
            if !reach.items.is_empty() {
                query.push(" or i.seq = any(").push_bind(reach.items.clone()).push(")");
            }
        }
        query.push(")");
    }
}

/// The members of an enumeration among these values.
fn members(values: &[FilterValue]) -> impl Iterator<Item = String> {
    values.iter().filter_map(|value| match value {
        FilterValue::Member(member) => Some((*member).to_owned()),
        _ => None,
    })
}

/// The ids among these values.
fn ids(values: &[FilterValue]) -> Vec<Uuid> {
    let ids = values.iter().filter_map(|value| match value {
        FilterValue::Id(id) => Some(*id),
        _ => None,
    });
    ids.collect()
}

const fn column(property: DecisionProperty) -> Column {
    match property {
        DecisionProperty::Id => Column { sql: "v.seq", kind: "integer", nullable: false },
        DecisionProperty::Decision => Column::text("v.verdict"),
        DecisionProperty::ApplyResult => Column::text("v.apply_result"),
        DecisionProperty::Recommendation => Column::text("v.recommendation"),
        DecisionProperty::PrincipalId => Column::id("v.principal_id"),
        DecisionProperty::PrincipalName => Column::text("v.principal_name"),
        DecisionProperty::ResourceId => Column::id(
            "(select n.resource_id from instances n where n.tenant_id = v.tenant_id and n.instance_id = v.instance_id)",
        ),
        DecisionProperty::ReviewerId => Column::id("coalesce(v.decided_by_id, '00000000-0000-0000-0000-000000000000')"),
        DecisionProperty::ReviewedDateTime => Column::instant("v.decided_at").nullable(),
    }
}

/// Names are ordered as they are compared: without regard to case.
const fn sort_column(property: DecisionProperty) -> Column {
    match property {
        DecisionProperty::PrincipalName => Column::text("lower(v.principal_name)"),
        other => column(other),
    }
}

impl ViewQuery<'_> {
    fn push_filter(&self, query: &mut QueryBuilder<Postgres>, expression: Option<&FilterExpression<DecisionProperty>>) {
        query.push(" where true");
        if let Some(expression) = expression {
            query.push(" and ");
            filters::push_expression(query, expression, &|query, property, test| {
                query.push("(");
                filters::push_test(query, column(property), test);
                self.push_implied(query, property, test);
                query.push(")");
            });
        }
    }

    /// ` and …`: what follows from the test, put so that an index can answer it before the view is made, item by item.
    fn push_implied(&self, query: &mut QueryBuilder<Postgres>, property: DecisionProperty, test: Test<'_>) {
        let values: &[FilterValue] = match test {
            Test::Compare(FilterOperator::Equal, value) => std::slice::from_ref(value),
            Test::In(values) => values,
            Test::Compare(..) | Test::IsNull => return,
        };
        match property {
            DecisionProperty::Decision => {
                let verdicts: Vec<String> = members(values).collect();
                let silent = verdicts.iter().any(|verdict| verdict == Verdict::NotReviewed.as_str());
                match (silent, verdicts.as_slice()) {
                    (false, _) => self.push_recorded(query, |query| {
                        query.push("x.decision = any(").push_bind(verdicts).push(")");
                    }),
                    // Where the view shows a reviewer his own stage of each item, only the view can tell.
                    (true, [_]) => match self.view {
                        ItemView::Effective { highest } => self.push_silence(query, "<=", *highest),
                        ItemView::Stage { ordinal, .. } => self.push_silence(query, "=", *ordinal),
                        ItemView::Reviewer { .. } => {}
                    },
                    (true, _) => {}
                }
            }
            DecisionProperty::ReviewerId => {
                let reviewers = ids(values);
                if !reviewers.contains(&Uuid::nil()) {
                    self.push_recorded(query, |query| {
                        // The verdicts come first in the index.
                        query.push("x.decision in ('Approve', 'Deny', 'DontKnow') and x.decided_by_id = any(");
                        query.push_bind(reviewers).push(")");
                    });
                }
            }
            DecisionProperty::ApplyResult => {
                let results: Vec<String> = members(values).collect();
                // No row means New, which only the view can tell.
                if !results.iter().any(|result| result == ApplyResult::New.as_str()) {
                    self.push_having_result(query, results);
                }
            }
            DecisionProperty::PrincipalId => {
                query.push(" and v.seq = any(array(select k.seq from unnest(").push_bind(ids(values));
                query.push(") as p (principal_id) cross join lateral items_of_principal(").push_bind(self.tenant);
                query.push(", ").push_bind(self.instance).push(", p.principal_id) as k))");
            }
            DecisionProperty::Id
            | DecisionProperty::Recommendation
            | DecisionProperty::PrincipalName
            | DecisionProperty::ResourceId
            | DecisionProperty::ReviewedDateTime => {}
        }
    }

    fn push_recorded(&self, query: &mut QueryBuilder<Postgres>, condition: impl FnOnce(&mut QueryBuilder<Postgres>)) {
        query.push(" and v.seq in (select x.seq from decisions x where x.tenant_id = ").push_bind(self.tenant);
        query.push(" and x.instance_id = ").push_bind(self.instance).push(" and ");
        condition(query);
        query.push(")");
    }

    fn push_silence(&self, query: &mut QueryBuilder<Postgres>, comparison: &'static str, ordinal: StageOrdinal) {
        query.push(" and not exists (select from decisions x where x.tenant_id = ").push_bind(self.tenant);
        query.push(" and x.instance_id = ").push_bind(self.instance).push(" and x.seq = v.seq and x.ordinal ");
        query.push(comparison).push(" ").push_bind(ordinal).push(")");
    }

    fn push_having_result(&self, query: &mut QueryBuilder<Postgres>, results: Vec<String>) {
        query.push(" and v.seq in (select x.seq from apply_results x where x.tenant_id = ").push_bind(self.tenant);
        query.push(" and x.instance_id = ").push_bind(self.instance);
        query.push(" and x.result = any(").push_bind(results).push("))");
    }

    /// Whether the view holds every item of the instance that was not removed, so that there are as many as the largest number
    /// without those.
    const fn holds_every_item(&self) -> bool {
        matches!(self.view, ItemView::Effective { .. } | ItemView::Stage { entry: Entry::All, reach: None, .. })
    }
}

/// Which rows of a view are read.
struct RowsWanted<'a> {
    expression: Option<&'a FilterExpression<DecisionProperty>>,
    keys: &'a [SortKey],
    after: Option<&'a ItemCursor>,
    limit: i64,
    skip: i64,
}

impl PgUnitOfWork {
    async fn has_removed_items(&mut self, instance: InstanceId) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        Ok(sqlx::query_scalar!(
            r#"select exists (select from removed_items where tenant_id = $1 and instance_id = $2) as "exists!""#,
            tenant,
            instance.as_uuid(),
        )
        .fetch_one(self.connection()?)
        .await?)
    }

    async fn read_items(
        &mut self,
        instance: InstanceId,
        view: &ItemView,
        wanted: RowsWanted<'_>,
    ) -> Result<Vec<ItemColumns>, StoreError> {
        let view = ViewQuery { tenant: self.tenant.as_uuid(), instance: instance.as_uuid(), view };
        let RowsWanted { expression, keys, mut after, limit, mut skip } = wanted;
        // Without a filter and an order the place of an item is its number.
        let skipped = ItemCursor { keys: Vec::new(), seq: ItemSeq::try_from(skip).unwrap_or(ItemSeq::MAX) };
        if skip > 0
            && expression.is_none()
            && keys.is_empty()
            && view.holds_every_item()
            && !self.has_removed_items(instance).await?
        {
            (after, skip) = (Some(&skipped), 0);
        }
        let mut query = QueryBuilder::<Postgres>::new("select v.*, ");
        filters::push_sort_keys(&mut query, keys);
        query.push(" from ");
        view.push(&mut query);
        view.push_filter(&mut query, expression);
        if let Some(after) = after {
            filters::push_keyset(&mut query, keys, &after.keys, "v.seq", after.seq);
        }
        filters::push_order(&mut query, keys, "v.seq");
        query.push(" limit ").push_bind(limit);
        if skip > 0 {
            query.push(" offset ").push_bind(skip);
        }
        Ok(query.build_query_as().fetch_all(self.connection()?).await?)
    }

    /// Rows in the order of a property with few values, and within one value by number: value after value, so that no page
    /// sorts the whole instance.
    async fn read_items_by_member(
        &mut self,
        instance: InstanceId,
        view: &ItemView,
        filter: &ItemFilter,
        page: &Page<ItemCursor>,
        order: OrderBy<DecisionProperty>,
        mut members: Vec<&'static str>,
    ) -> Result<Vec<ItemColumns>, StoreError> {
        if order.descending {
            members.reverse();
        }
        let last = page.after.as_ref().and_then(|after| after.keys.first()?.clone());
        let begin = last.as_deref().and_then(|last| members.iter().position(|member| *member == last)).unwrap_or(0);
        let mut rows: Vec<ItemColumns> = Vec::new();
        let mut skip = page.skip;
        for member in &members[begin..] {
            let value = FilterValue::Member(member);
            let own = FilterExpression::Compare { property: order.property, operator: FilterOperator::Equal, value };
            let expression = match &filter.expression {
                Some(asked) => FilterExpression::And(vec![own, asked.clone()]),
                None => own,
            };
            let after = page.after.as_ref().filter(|_| last.as_deref() == Some(*member));
            let after = after.map(|after| ItemCursor { keys: Vec::new(), seq: after.seq });
            let limit = page.limit + 1 - i64::try_from(rows.len()).unwrap_or(i64::MAX);
            let wanted = RowsWanted { expression: Some(&expression), keys: &[], after: after.as_ref(), limit, skip };
            let found = self.read_items(instance, view, wanted).await?;
            if found.is_empty() && skip > 0 {
                let filter = ItemFilter { expression: Some(expression), order: Vec::new() };
                skip = (skip - ItemRepository::count(self, instance, view, &filter).await?).max(0);
            } else {
                skip = 0;
            }
            rows.extend(
                found.into_iter().map(|row| ItemColumns { sort_keys: vec![Some((*member).to_owned())], ..row }),
            );
            if i64::try_from(rows.len()).unwrap_or(i64::MAX) > page.limit {
                break;
            }
        }
        Ok(rows)
    }
}

#[async_trait]
impl ItemRepository for PgUnitOfWork {
    async fn managed_members(&mut self, instance: &Instance) -> Result<Vec<ManagedPerson>, StoreError> {
        if instance.resource.kind != ResourceKind::Group {
            return Ok(Vec::new());
        }
        let mut statement = gathering::managed_members(self.tenant.as_uuid(), instance)
            .ok_or_else(|| corrupt("instances", "scope", instance.id))?;
        // not kept: a plan made without a look at how many people it is for can be the wrong one by far
        let query = statement.build_query_as::<(Uuid, Option<Uuid>, bool)>().persistent(false);
        let mut rows = query.fetch(self.connection()?);
        let mut people = Vec::new();
        while let Some((id, manager, is_member)) = rows.try_next().await? {
            people.push(ManagedPerson { id: ObjectId::new(id), manager: manager.map(ObjectId::new), is_member });
        }
        Ok(people)
    }

    async fn gather(&mut self, instance: &Instance, gathering: &Gathering) -> Result<Gathered, StoreError> {
        let tenant = self.tenant.as_uuid();
        let since = sqlx::query_scalar!(r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "oldest!""#)
            .fetch_one(self.connection()?)
            .await?;
        let mut statement = gathering::statement(tenant, instance, gathering)
            .ok_or_else(|| corrupt("instances", "scope", instance.id))?;
        let done = statement.build().persistent(false).execute(self.connection()?).await?;
        sqlx::query!(r#"select write_item_pages($1, $2) as "written""#, tenant, instance.id.as_uuid())
            .execute(self.connection()?)
            .await?;
        let items = i32::try_from(done.rows_affected()).unwrap_or(i32::MAX);
        Ok(Gathered { items, since: Unchanged(since) })
    }

    async fn discard(&mut self, instance: InstanceId) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            with cohorts as (
                delete from item_cohorts where tenant_id = $1 and instance_id = $2
            ), principals as (
                delete from item_principals where tenant_id = $1 and instance_id = $2
            )
            delete from decision_items where tenant_id = $1 and instance_id = $2
            "#,
            tenant,
            instance.as_uuid()
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn list_moving(&mut self, instance: InstanceId, from: &StageEntry) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let stage = &from.stage;
        let silence_moves = stage.moves.is_empty() || stage.moves.contains(&MovingDecision::NotReviewed);
        if silence_moves {
            // Only a listed stage comes here: anything wider would not have to be listed again.
            sqlx::query!(
                r#"
                insert into stage_items (tenant_id, instance_id, ordinal, seq)
                select s.tenant_id, s.instance_id, s.ordinal + 1, s.seq
                  from stage_items s
                 where s.tenant_id = $1
                   and s.instance_id = $2
                   and s.ordinal = $3
                   and coalesce(
                           (select d.moves_on
                              from decisions d
                             where d.tenant_id = $1
                               and d.instance_id = $2
                               and d.seq between s.seq and s.seq
                               and d.ordinal = $3
                             order by d.seq
                             limit 1),
                           true)
                "#,
                tenant,
                instance.as_uuid(),
                stage.ordinal,
            )
            .execute(self.connection()?)
            .await?;
        } else {
            // A verdict that may move on is found by an index: what stays is not looked at, unless it depends on the item.
            let any_verdict = stage.moves.contains(&MovingDecision::Recommendation);
            let moving: Vec<_> = [MovingDecision::Approve, MovingDecision::Deny, MovingDecision::DontKnow]
                .into_iter()
                .filter(|decision| any_verdict || stage.moves.contains(decision))
                .map(|decision| decision.as_str().to_owned())
                .collect();
            sqlx::query!(
                r#"
                insert into stage_items (tenant_id, instance_id, ordinal, seq)
                select d.tenant_id, d.instance_id, d.ordinal + 1, d.seq
                  from decisions d
                 where d.tenant_id = $1
                   and d.instance_id = $2
                   and d.ordinal = $3
                   and d.decision = any($4)
                   and d.moves_on
                "#,
                tenant,
                instance.as_uuid(),
                stage.ordinal,
                &moving,
            )
            .execute(self.connection()?)
            .await?;
        }
        Ok(())
    }

    async fn stage_holds_any(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        entry: Entry,
    ) -> Result<bool, StoreError> {
        let (tenant, instance) = (self.tenant.as_uuid(), instance.as_uuid());
        // The first one, by its number: asked for any, the planner may pass over all other reviews until it meets this one. What is
        // listed is not looked up among all items.
        let found = match entry {
            Entry::Listed => {
                sqlx::query_scalar!(
                    r#"
                    select 1 as "one!"
                      from stage_items s
                     where s.tenant_id = $1
                       and s.instance_id = $2
                       and s.ordinal = $3
                       and (s.seq in (select r.seq from removed_items r where r.tenant_id = $1 and r.instance_id = $2)) is not true
                     order by s.seq
                     limit 1
                    "#,
                    tenant,
                    instance,
                    ordinal,
                )
                .fetch_optional(self.connection()?)
                .await?
            }
            Entry::All | Entry::Remaining => {
                sqlx::query_scalar!(
                    r#"select 1 as "one!" from items_of_stage($1, $2, $3, $4) order by seq limit 1"#,
                    tenant,
                    instance,
                    ordinal,
                    entry.as_str(),
                )
                .fetch_optional(self.connection()?)
                .await?
            }
        };
        Ok(found.is_some())
    }

    async fn find(
        &mut self,
        instance: InstanceId,
        view: &ItemView,
        seq: ItemSeq,
    ) -> Result<Option<ItemRow>, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select v.*, array[]::text[] as sort_keys from ");
        ViewQuery { tenant: self.tenant.as_uuid(), instance: instance.as_uuid(), view }.push(&mut query);
        query.push(" where v.seq = ").push_bind(seq);
        let row: Option<ItemColumns> = query.build_query_as().fetch_optional(self.connection()?).await?;
        row.map(ItemRow::try_from).transpose()
    }

    async fn page(
        &mut self,
        instance: InstanceId,
        view: &ItemView,
        filter: &ItemFilter,
        page: &Page<ItemCursor>,
    ) -> Result<Slice<ItemRow, ItemCursor>, StoreError> {
        let by_member = match filter.order.as_slice() {
            [order] => order.property.members().map(|members| (*order, members)),
            _ => None,
        };
        let rows = match by_member {
            Some((order, members)) => self.read_items_by_member(instance, view, filter, page, order, members).await?,
            None => {
                let keys = filters::sort_keys(&filter.order, sort_column, &[]);
                let wanted = RowsWanted {
                    expression: filter.expression.as_ref(),
                    keys: &keys,
                    after: page.after.as_ref(),
                    limit: page.limit + 1,
                    skip: page.skip,
                };
                self.read_items(instance, view, wanted).await?
            }
        };
        let (rows, next) =
            filters::slice(rows, page.limit, |row| ItemCursor { keys: row.sort_keys.clone(), seq: row.seq });
        let rows = rows.into_iter().map(ItemRow::try_from).collect::<Result<_, _>>()?;
        Ok(Slice { rows, next })
    }

    async fn count(&mut self, instance: InstanceId, view: &ItemView, filter: &ItemFilter) -> Result<i64, StoreError> {
        let view = ViewQuery { tenant: self.tenant.as_uuid(), instance: instance.as_uuid(), view };
        let mut query = QueryBuilder::<Postgres>::new("select ");
        if filter.expression.is_none() && view.holds_every_item() {
            // Numbers are dense from 1.
            query.push("coalesce(max(i.seq), 0) - (select count(*) from removed_items k where k.tenant_id = ");
            query.push_bind(view.tenant).push(" and k.instance_id = ").push_bind(view.instance);
            query.push(") from decision_items i where i.tenant_id = ").push_bind(view.tenant);
            query.push(" and i.instance_id = ").push_bind(view.instance);
        } else {
            query.push("count(*) from ");
            view.push(&mut query);
            view.push_filter(&mut query, filter.expression.as_ref());
        }
        Ok(query.build_query_scalar().fetch_one(self.connection()?).await?)
    }
}
