//! Items: gathered set-wise at the start, listed through a view.

use async_trait::async_trait;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{PgUnitOfWork, decisions::DecisionColumns, error::corrupt, filters, gathering};
use crate::{
    domain::{
        definition::MovingDecision,
        ids::{InstanceId, ItemSeq, ObjectId},
        instance::Instance,
        lifecycle::Entry,
        recommendation::Recommendation,
        stage::StageOrdinal,
    },
    store::{
        Gathering, GrantedRole, ItemCursor, ItemFilter, ItemRepository, ItemRow, ItemView, Page, Principal,
        PrincipalKind, Slice, StageEntry, StageReach, StoreError, filter::DecisionProperty,
    },
};

#[derive(sqlx::FromRow)]
struct ItemColumns {
    seq: i32,
    cohort: i32,
    principal_id: Uuid,
    principal_type: String,
    principal_name: String,
    principal_detail: String,
    app_role_id: Option<Uuid>,
    app_role_name: Option<String>,
    recommendation_code: i16,
    sort_key: Option<String>,
    #[sqlx(flatten)]
    decision: DecisionColumns,
}

impl TryFrom<ItemColumns> for ItemRow {
    type Error = StoreError;

    fn try_from(row: ItemColumns) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.seq,
            cohort: row.cohort,
            principal: Principal {
                id: ObjectId::new(row.principal_id),
                kind: match row.principal_type.as_str() {
                    "user" => PrincipalKind::User,
                    "group" => PrincipalKind::Group,
                    "servicePrincipal" => PrincipalKind::ServicePrincipal,
                    _ => return Err(corrupt("decision_items", "principal_type", row.seq)),
                },
                display_name: row.principal_name,
                detail: row.principal_detail,
            },
            app_role: row
                .app_role_id
                .map(|id| GrantedRole { id: ObjectId::new(id), display_name: row.app_role_name.unwrap_or_default() }),
            recommendation: Recommendation::from_code(row.recommendation_code)
                .ok_or_else(|| corrupt("decision_items", "recommendations", row.seq))?,
            decision: row.decision.into_decision(row.seq)?,
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
            "(select i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id, \
             i.app_role_name, \
             d.decision, d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name, d.decided_at, \
             d.moves_on, coalesce(d.decision, 'NotReviewed') as verdict, 'New' as apply_result, r.code as recommendation_code, \
             case r.code when 1 then 'Approve' when 2 then 'Deny' else 'NoInfoAvailable' end as recommendation from ",
        );
        match self.view {
            ItemView::Stage { ordinal, entry, reach } => {
                query.push("decision_items i");
                self.push_decisions(query, |query| {
                    query.push("d.ordinal = ").push_bind(*ordinal);
                });
                self.push_recommendation(query, |query| {
                    query.push_bind(*ordinal);
                });
                self.push_items_of_instance(query);
                self.push_membership(query, *ordinal, *entry);
                if let Some(reach) = reach {
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
                query.push(" and (false");
                for part in reaches {
                    query.push(" or ");
                    self.push_reach(query, part);
                }
                query.push(")) i");
                self.push_decisions(query, |query| {
                    query.push(if *histories { "d.ordinal <= i.own" } else { "d.ordinal in (0, i.own)" });
                });
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

    fn push_recommendation(
        &self,
        query: &mut QueryBuilder<Postgres>,
        position: impl FnOnce(&mut QueryBuilder<Postgres>),
    ) {
        query.push(" cross join lateral (select coalesce(i.recommendations[");
        position(query);
        query.push("], 0::smallint) as code) r");
    }

    fn push_items_of_instance(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" where i.tenant_id = ").push_bind(self.tenant);
        query.push(" and i.instance_id = ").push_bind(self.instance);
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

const fn column(property: DecisionProperty) -> &'static str {
    match property {
        DecisionProperty::Decision => "v.verdict",
        DecisionProperty::ApplyResult => "v.apply_result",
        DecisionProperty::Recommendation => "v.recommendation",
    }
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &ItemFilter) {
    query.push(" where true");
    if let Some(expression) = &filter.expression {
        query.push(" and ");
        filters::push_expression(query, expression, &column);
    }
}

#[async_trait]
impl ItemRepository for PgUnitOfWork {
    async fn gather(&mut self, instance: &Instance, gathering: &Gathering) -> Result<i32, StoreError> {
        let tenant = self.tenant.as_uuid();
        let mut statement = gathering::statement(tenant, instance, gathering)
            .ok_or_else(|| corrupt("instances", "scope", instance.id))?;
        let done = statement.build().execute(self.connection()?).await?;
        Ok(i32::try_from(done.rows_affected()).unwrap_or(i32::MAX))
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
                   and not exists (
                           select
                             from decisions d
                            where d.tenant_id = s.tenant_id
                              and d.instance_id = s.instance_id
                              and d.ordinal = s.ordinal
                              and d.seq = s.seq
                              and not d.moves_on)
                "#,
                tenant,
                instance.as_uuid(),
                stage.ordinal,
            )
            .execute(self.connection()?)
            .await?;
        } else {
            sqlx::query!(
                r#"
                insert into stage_items (tenant_id, instance_id, ordinal, seq)
                select d.tenant_id, d.instance_id, d.ordinal + 1, d.seq
                  from decisions d
                 where d.tenant_id = $1
                   and d.instance_id = $2
                   and d.ordinal = $3
                   and d.moves_on
                "#,
                tenant,
                instance.as_uuid(),
                stage.ordinal,
            )
            .execute(self.connection()?)
            .await?;
        }
        Ok(())
    }

    async fn count_in_stage(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        entry: Entry,
    ) -> Result<i64, StoreError> {
        let view = ItemView::Stage { ordinal, entry, reach: None };
        ItemRepository::count(self, instance, &view, &ItemFilter::default()).await
    }

    async fn find(
        &mut self,
        instance: InstanceId,
        view: &ItemView,
        seq: ItemSeq,
    ) -> Result<Option<ItemRow>, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select v.*, null::text as sort_key from ");
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
        let key = filter.order.map(|order| {
            let column = column(order.property);
            (filters::SortKey { column, text: column, cast: "text" }, order.descending)
        });
        let mut query = QueryBuilder::<Postgres>::new("select v.*, ");
        query.push(key.map_or("null::text", |(key, _)| key.text)).push(" as sort_key from ");
        ViewQuery { tenant: self.tenant.as_uuid(), instance: instance.as_uuid(), view }.push(&mut query);
        push_filter(&mut query, filter);
        match (&page.after, key) {
            (None, _) => {}
            (Some(after), None) => {
                query.push(" and v.seq > ").push_bind(after.seq);
            }
            (Some(after), Some((key, descending))) => {
                let last = after.key.clone().unwrap_or_default();
                filters::push_keyset(&mut query, key, descending, &last, "v.seq", after.seq);
            }
        }
        match key {
            None => {
                query.push(" order by v.seq");
            }
            Some((key, descending)) => filters::push_order(&mut query, key, descending, "v.seq"),
        }
        filters::push_limit(&mut query, page.limit, page.skip);
        let rows: Vec<ItemColumns> = query.build_query_as().fetch_all(self.connection()?).await?;
        let (rows, next) =
            filters::slice(rows, page.limit, |row| ItemCursor { key: row.sort_key.clone(), seq: row.seq });
        let rows = rows.into_iter().map(ItemRow::try_from).collect::<Result<_, _>>()?;
        Ok(Slice { rows, next })
    }

    async fn count(&mut self, instance: InstanceId, view: &ItemView, filter: &ItemFilter) -> Result<i64, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select count(*) from ");
        ViewQuery { tenant: self.tenant.as_uuid(), instance: instance.as_uuid(), view }.push(&mut query);
        push_filter(&mut query, filter);
        Ok(query.build_query_scalar().fetch_one(self.connection()?).await?)
    }
}
