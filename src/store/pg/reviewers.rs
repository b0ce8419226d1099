//! Who reviews what: resolved set-wise into cohorts, and asked for one person at a time.

use async_trait::async_trait;

use super::{PgUnitOfWork, error::corrupt};
use crate::{
    domain::{
        ids::{DefinitionId, InstanceId, ItemSeq, ObjectId, ReviewerListId},
        instance::Instance,
        lifecycle::Entry,
        mail::MailKind,
        reviewer_reach::ReviewerReach,
        reviewer_scope::{ReviewerForm, ReviewerScope},
        stage::StageOrdinal,
    },
    store::{
        NamedByMore, Resolution, ReviewerListRepository, ReviewerRepository, StageEntry, StageReach, StoreError, Ties,
        Unchanged,
    },
};

/// How many reviewers one item has of each role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PerRole {
    primary: i64,
    fallback: i64,
}

impl PerRole {
    fn most(self) -> i64 {
        self.primary.max(self.fallback)
    }
}

/// What somebody reviews in one stage.
pub(super) struct ReachRow {
    pub(super) ordinal: i16,
    pub(super) entry: String,
    pub(super) every_item: bool,
    pub(super) cohorts: Vec<i32>,
    pub(super) items: Vec<i32>,
    pub(super) excepted: Vec<i32>,
}

impl ReachRow {
    /// `None` when he reviews nothing there.
    pub(super) fn reach(self, instance: InstanceId) -> Result<Option<StageReach>, StoreError> {
        let Self { ordinal, entry, every_item, cohorts, items, excepted } = self;
        let reach = ReviewerReach { every: every_item, cohorts, items, except: excepted };
        if reach.is_empty() {
            return Ok(None);
        }
        let entry = Entry::parse(&entry).ok_or_else(|| corrupt("stages", "entry", instance))?;
        Ok(Some(StageReach { ordinal, entry, reach }))
    }
}

/// What a list asks of each principal's surroundings.
#[derive(Clone, Copy)]
struct Asked {
    manager: bool,
    sponsor: bool,
    manager_or_sponsor: bool,
}

impl Asked {
    fn by(scopes: &[ReviewerScope]) -> Self {
        let asks = |form| scopes.iter().any(|scope| scope.form == form);
        Self {
            manager: asks(ReviewerForm::Manager),
            sponsor: asks(ReviewerForm::Sponsor),
            manager_or_sponsor: asks(ReviewerForm::ManagerOrSponsor),
        }
    }

    const fn sponsors(self) -> bool {
        self.sponsor || self.manager_or_sponsor
    }

    const fn managers(self) -> bool {
        self.manager || self.manager_or_sponsor
    }

    const fn managers_only(self) -> bool {
        self.manager && !self.sponsors()
    }
}

impl PgUnitOfWork {
    async fn forget_reviewers(&mut self, instance: InstanceId, ordinal: StageOrdinal) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            with reviewers as (
                delete from stage_reviewers where tenant_id = $1 and instance_id = $2 and ordinal = $3
            ), fallbacks as (
                delete from stage_fallbacks where tenant_id = $1 and instance_id = $2 and ordinal = $3
            ), unassigned as (
                delete from stage_unassigned_cohorts where tenant_id = $1 and instance_id = $2 and ordinal = $3
            )
            delete from item_overrides where tenant_id = $1 and instance_id = $2 and ordinal = $3
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    /// Users, members of groups and owners: reviewers of every item. The owners of the resource are those of the group or the
    /// application; a role and an access package have none. LC-REV-01
    ///
    /// Answers how many there are of each role; when one has more than `most`, none is stored.
    async fn resolve_fixed(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        most: i64,
    ) -> Result<PerRole, StoreError> {
        let tenant = self.tenant.as_uuid();
        let found = sqlx::query_as!(
            PerRole,
            r#"
            with resolved as materialized (
                select role, user_id
                  from named_reviewers($1, $4, $5)
            ), counted as (
                select count(*) filter (where role = 'primary') as primaries,
                       count(*) filter (where role = 'fallback') as fallbacks
                  from resolved
            ), primaries as (
                insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, user_id, 0
                  from resolved
                 where role = 'primary'
                   and (select greatest(primaries, fallbacks) from counted) <= $6
            ), fallbacks as (
                insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, user_id, 0
                  from resolved
                 where role = 'fallback'
                   and (select greatest(primaries, fallbacks) from counted) <= $6
            )
            select primaries as "primary!", fallbacks as "fallback!"
              from counted
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            ReviewerListId::of_stage(stage.stage.id).as_uuid(),
            instance.resource.id.as_uuid(),
            most,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(found)
    }

    /// The same as [`Self::resolve_managers`] for items that this transaction has just gathered: a cohort's manager is that of any of its
    /// items, so one of each cohort is looked up and not every item. `false`, and nothing stored, when somebody may have changed the
    /// user behind one of these since: then a cohort's manager is no longer known by one of its items.
    ///
    /// A row that is older than every transaction that ran before the items were gathered is the row that was gathered.
    async fn resolve_gathered_managers(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        Unchanged(since): Unchanged,
        primary: bool,
        fallback: bool,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let together = sqlx::query_scalar!(
            r#"
            with named as materialized (
                select unnest(c.first_items[1 : cardinality(c.first_items) - 1]) as seq
                  from item_cohorts c
                 where c.tenant_id = $1
                   and c.instance_id = $2
            ), found as materialized (
                select i.cohort, u.manager_id,
                       i.principal_type <> 'user'
                           or u.user_id is not null and age(u.xmin) > age($4::text::xid8::xid) as unchanged
                  from (select x.cohort, x.principal_id, x.principal_type
                          from decision_items x
                         where x.tenant_id = $1
                           and x.instance_id = $2
                           and not x.direct_connect
                           and (x.seq in (select n.seq from named n)) is true) as i
                  left join users u
                    on u.tenant_id = $1
                   and u.user_id = i.principal_id
                   and i.principal_type = 'user'
            ), chosen as materialized (
                select f.cohort, m.user_id as manager_id
                  from found f
                  join users m
                    on m.tenant_id = $1
                   and m.user_id = f.manager_id
                   and m.account_enabled
                   and m.external_user_state is distinct from 'PendingAcceptance'
                 where (select bool_and(unchanged) from found)
            ), primaries as (
                insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, manager_id, cohort
                  from chosen
                 where $5::boolean
            ), fallbacks as (
                insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, manager_id, cohort
                  from chosen
                 where $6::boolean
            )
            select coalesce(bool_and(unchanged), true) as "together!"
              from found
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            since.to_string(),
            primary,
            fallback,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(together)
    }

    /// Each principal's manager as he is now. A cohort gets the manager most of its items have; items that moved to another
    /// manager since the instance began get their own reviewer. LC-STAGE-10
    async fn resolve_managers(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        primary: bool,
        fallback: bool,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        // Managers are looked up once for each that is named, not for each item.
        let others = sqlx::query_scalar!(
            r#"
            with named as (
                select i.cohort, u.manager_id, count(*) as items
                  from items_of_stage($1, $2, $3, $4) i
                  left join users u
                    on u.tenant_id = $1
                   and u.user_id = i.principal_id
                   and i.principal_type = 'user'
                 where not i.direct_connect
                 group by i.cohort, u.manager_id
            ), counted as materialized (
                select n.cohort, m.user_id as manager_id, sum(n.items) as items
                  from named n
                  left join users m
                    on m.tenant_id = $1
                   and m.user_id = n.manager_id
                   and m.account_enabled
                   and m.external_user_state is distinct from 'PendingAcceptance'
                 group by n.cohort, m.user_id
            ), chosen as materialized (
                select distinct on (cohort) cohort, manager_id, items
                  from counted
                 order by cohort, items desc, manager_id nulls last
            ), primaries as (
                insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, manager_id, cohort
                  from chosen
                 where $5::boolean
                   and manager_id is not null
            ), fallbacks as (
                insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, manager_id, cohort
                  from chosen
                 where $6::boolean
                   and manager_id is not null
            )
            select (coalesce((select sum(items) from counted), 0)
                    - coalesce((select sum(items) from chosen), 0))::bigint as "others!"
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            stage.entry.as_str(),
            primary,
            fallback,
        )
        .fetch_one(self.connection()?)
        .await?;
        if others == 0 {
            return Ok(());
        }
        sqlx::query!(
            r#"
            insert into item_overrides (tenant_id, instance_id, ordinal, role, seq, reviewer_id)
            select $1, $2, $3, roles.role, held.seq, coalesce(held.manager_id, '00000000-0000-0000-0000-000000000000')
              from (select i.seq, i.cohort, m.user_id as manager_id
                      from items_of_stage($1, $2, $3, $4) i
                      left join users u
                        on u.tenant_id = $1
                       and u.user_id = i.principal_id
                       and i.principal_type = 'user'
                      left join users m
                        on m.tenant_id = $1
                       and m.user_id = u.manager_id
                       and m.account_enabled
                       and m.external_user_state is distinct from 'PendingAcceptance'
                     where not i.direct_connect) as held
              join (values ('primary', $5), ('fallback', $6::boolean)) as roles (role, wanted)
                on roles.wanted
             where case
                   when held.manager_id is not null
                   then ((held.cohort, held.manager_id) in (
                           select r.cohort, r.reviewer_id
                             from stage_reviewers r
                            where $5::boolean
                              and r.tenant_id = $1
                              and r.instance_id = $2
                              and r.ordinal = $3
                            union all
                           select f.cohort, f.reviewer_id
                             from stage_fallbacks f
                            where not $5::boolean
                              and f.tenant_id = $1
                              and f.instance_id = $2
                              and f.ordinal = $3)) is not true
                   else (held.cohort in (
                           select r.cohort
                             from stage_reviewers r
                            where $5::boolean
                              and r.tenant_id = $1
                              and r.instance_id = $2
                              and r.ordinal = $3
                            union all
                           select f.cohort
                             from stage_fallbacks f
                            where not $5::boolean
                              and f.tenant_id = $1
                              and f.instance_id = $2
                              and f.ordinal = $3)) is true
                   end
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            stage.entry.as_str(),
            primary,
            fallback,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    /// Each principal's sponsors as they are now, and his manager where the list asks for him too; `managerOrSponsor` is the
    /// manager, or the sponsors of one without. Direct-connect users have the owners of their team
    /// in place of a manager ([`Self::resolve_direct_connect`]). A cohort gets the people most of its items have; the other items get their own.
    /// Answers how many of them an item has at most. R-09
    async fn resolve_sponsors(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        role: &str,
        asked: Asked,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant.as_uuid();
        let resolved = sqlx::query!(
            r#"
            with counted as materialized (
                select cohort, people, count(*) as items
                  from people_of_stage($1, $2, $3, $4, $6, $7, $8)
                 group by cohort, people
            ), chosen as materialized (
                select distinct on (cohort) cohort, people, items
                  from counted
                 order by cohort, items desc, people desc
            ), primaries as (
                insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, person, cohort
                  from chosen
                 cross join lateral unnest(people) as person
                 where $5 = 'primary'
            ), fallbacks as (
                insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, person, cohort
                  from chosen
                 cross join lateral unnest(people) as person
                 where $5 = 'fallback'
            )
            select coalesce((select max(cardinality(people)) from counted), 0)::bigint as "most!",
                   (coalesce((select sum(items) from counted), 0)
                    - coalesce((select sum(items) from chosen), 0))::bigint as "others!"
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            stage.entry.as_str(),
            role,
            asked.manager,
            asked.sponsor,
            asked.manager_or_sponsor,
        )
        .fetch_one(self.connection()?)
        .await?;
        if resolved.others == 0 {
            return Ok(resolved.most);
        }
        sqlx::query!(
            r#"
            insert into item_overrides (tenant_id, instance_id, ordinal, role, seq, reviewer_id)
            select $1, $2, $3, $5, held.seq, person
              from people_of_stage($1, $2, $3, $4, $6, $7, $8) as held
             cross join lateral unnest(
                       case when held.people = '{}' then array['00000000-0000-0000-0000-000000000000'::uuid] else held.people end)
                   as person
             where case
                   when held.people <> '{}'
                   then ((held.cohort, held.people) in (
                           select r.cohort, array_agg(r.reviewer_id order by r.reviewer_id)
                             from stage_reviewers r
                            where $5 = 'primary'
                              and r.tenant_id = $1
                              and r.instance_id = $2
                              and r.ordinal = $3
                            group by r.cohort
                            union all
                           select f.cohort, array_agg(f.reviewer_id order by f.reviewer_id)
                             from stage_fallbacks f
                            where $5 = 'fallback'
                              and f.tenant_id = $1
                              and f.instance_id = $2
                              and f.ordinal = $3
                            group by f.cohort)) is not true
                   else (held.cohort in (
                           select r.cohort
                             from stage_reviewers r
                            where $5 = 'primary'
                              and r.tenant_id = $1
                              and r.instance_id = $2
                              and r.ordinal = $3
                            union all
                           select f.cohort
                             from stage_fallbacks f
                            where $5 = 'fallback'
                              and f.tenant_id = $1
                              and f.instance_id = $2
                              and f.ordinal = $3)) is true
                   end
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            stage.entry.as_str(),
            role,
            asked.manager,
            asked.sponsor,
            asked.manager_or_sponsor,
        )
        .execute(self.connection()?)
        .await?;
        Ok(resolved.most)
    }

    /// Self-review: each user his own item. Groups and service principals cannot; they are nobody's. LC-REV-06
    async fn resolve_self(&mut self, instance: &Instance, stage: &StageEntry) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
            select $1, $2, $3, u.user_id, i.cohort
              from items_of_stage($1, $2, $3, $4) i
              join users u
                on u.tenant_id = $1
               and u.user_id = i.principal_id
               and u.account_enabled
               and u.external_user_state is distinct from 'PendingAcceptance'
             where i.principal_type = 'user'
               and not i.direct_connect
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            stage.entry.as_str(),
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    /// Where managers or the principals themselves are asked, the team's owners answer for users by direct connect; answers how many they are. LC-REV-07
    async fn resolve_direct_connect(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        primary: bool,
        fallback: bool,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant.as_uuid();
        let owners = sqlx::query_scalar!(
            r#"
            with answered as (
                select i.cohort, u.user_id
                  from (select distinct cohort from items_of_stage($1, $2, $3, $7) where direct_connect) as i
                  join group_owners o
                    on o.tenant_id = $1
                   and o.group_id = $4
                   and o.owner_type = 'user'
                  join users u
                    on u.tenant_id = $1
                   and u.user_id = o.owner_id
                   and u.account_enabled
                   and u.external_user_state is distinct from 'PendingAcceptance'
            ), primaries as (
                insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, user_id, cohort
                  from answered
                 where $5::boolean
            ), fallbacks as (
                insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
                select $1, $2, $3, user_id, cohort
                  from answered
                 where $6::boolean
            )
            select count(distinct user_id) as "owners!"
              from answered
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            instance.resource.id.as_uuid(),
            primary,
            fallback,
            stage.entry.as_str(),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(owners)
    }

    /// How many reviewers, or fallback reviewers, an item of the stage has at most, as resolved. Who is one for two reasons counts
    /// once. LC-REV-13
    async fn most_of_one_item(&mut self, instance: &Instance, stage: &StageEntry) -> Result<i64, StoreError> {
        let tenant = self.tenant.as_uuid();
        let most = sqlx::query_scalar!(
            r#"
            with resolved as (
                select 'primary' as role, cohort, reviewer_id
                  from stage_reviewers
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
                 union all
                select 'fallback', cohort, reviewer_id
                  from stage_fallbacks
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
            ), shared as (
                select role, reviewer_id
                  from resolved
                 where cohort = 0
            ), own as (
                select role, cohort, null::integer as seq, reviewer_id
                  from resolved
                 where cohort > 0
                 union all
                select role, null, seq, reviewer_id
                  from item_overrides
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
                   and reviewer_id <> '00000000-0000-0000-0000-000000000000'
            ), more as (
                select role, count(*) as people
                  from own
                 where (role, reviewer_id) not in (select role, reviewer_id from shared)
                 group by role, cohort, seq
            )
            select coalesce(max(counted.people), 0)::bigint as "most!"
              from (values ('primary'), ('fallback')) as roles (role)
             cross join lateral (
                       select (select count(*) from shared where shared.role = roles.role)
                              + coalesce((select max(people) from more where more.role = roles.role), 0) as people)
                   as counted
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(most)
    }

    /// The cohorts left to the fallback reviewers, and the items left to nobody: none where somebody reviews everything.
    /// LC-REV-04, LC-REV-09
    async fn resolve_rest(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        fixed: PerRole,
    ) -> Result<i64, StoreError> {
        if fixed.primary > 0 {
            return Ok(0);
        }
        let tenant = self.tenant.as_uuid();
        // Cohorts are numbered from 1: where every item is held, no item has to be looked at.
        sqlx::query!(
            r#"
            insert into stage_unassigned_cohorts (tenant_id, instance_id, ordinal, cohort)
            select $1::uuid, $2::uuid, $3::smallint, cohort
              from (select numbered.cohort
                      from generate_series(
                               1,
                               (select i.cohort
                                  from decision_items i
                                 where i.tenant_id = $1
                                   and i.instance_id = $2
                                 order by i.seq desc
                                 limit 1))
                               as numbered (cohort)
                     where $4 = 'all'
                       and not exists (select from removed_items where tenant_id = $1 and instance_id = $2)
                     union all
                    select cohort
                      from items_of_stage($1, $2, $3, $4)
                     where $4 <> 'all'
                        or exists (select from removed_items where tenant_id = $1 and instance_id = $2)
                    except
                    select cohort
                      from stage_reviewers
                     where tenant_id = $1
                       and instance_id = $2
                       and ordinal = $3) as unassigned
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            stage.entry.as_str(),
        )
        .execute(self.connection()?)
        .await?;
        if fixed.fallback > 0 {
            return Ok(0);
        }
        // Of each role: what the item has for itself, or else what its cohort has.
        let items_without_reviewer = sqlx::query_scalar!(
            r#"
            with own as materialized (
                select role, seq, reviewer_id <> '00000000-0000-0000-0000-000000000000' as somebody
                  from item_overrides
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
            )
            select count(*) as "count!"
              from items_of_stage($1, $2, $3, $4) i
             where not case
                   when (i.seq in (select seq from own where role = 'primary')) is true
                   then (i.seq in (select seq from own where role = 'primary' and somebody)) is true
                   else (i.cohort in (
                           select r.cohort
                             from stage_reviewers r
                            where r.tenant_id = $1
                              and r.instance_id = $2
                              and r.ordinal = $3)) is true
                   end
               and not case
                   when (i.seq in (select seq from own where role = 'fallback')) is true
                   then (i.seq in (select seq from own where role = 'fallback' and somebody)) is true
                   else (i.cohort in (
                           select f.cohort
                             from stage_fallbacks f
                            where f.tenant_id = $1
                              and f.instance_id = $2
                              and f.ordinal = $3)) is true
                   end
            "#,
            tenant,
            instance.id.as_uuid(),
            stage.stage.ordinal,
            stage.entry.as_str(),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(items_without_reviewer)
    }
}

#[async_trait]
impl ReviewerRepository for PgUnitOfWork {
    async fn resolve(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        gathered: Option<Unchanged>,
        most: i64,
    ) -> Result<Resolution, StoreError> {
        let lists = ReviewerListRepository::find(self, ReviewerListId::of_stage(stage.stage.id)).await?;
        self.forget_reviewers(instance.id, stage.stage.ordinal).await?;
        let fixed = self.resolve_fixed(instance, stage, most).await?;
        if fixed.most() > most {
            return Ok(Resolution::TooMany { found: fixed.most() });
        }
        // What an item has for itself.
        let mut own = PerRole { primary: 0, fallback: 0 };
        let (primary, fallback) = (Asked::by(&lists.reviewers), Asked::by(&lists.fallback_reviewers));
        if primary.managers_only() || fallback.managers_only() {
            let (for_primary, for_fallback) = (primary.managers_only(), fallback.managers_only());
            let together = match gathered {
                Some(since) => {
                    self.resolve_gathered_managers(instance, stage, since, for_primary, for_fallback).await?
                }
                None => false,
            };
            if !together {
                self.resolve_managers(instance, stage, for_primary, for_fallback).await?;
            }
            own = PerRole { primary: i64::from(for_primary), fallback: i64::from(for_fallback) };
        }
        if primary.sponsors() {
            own.primary = self.resolve_sponsors(instance, stage, "primary", primary).await?;
        }
        if fallback.sponsors() {
            own.fallback = self.resolve_sponsors(instance, stage, "fallback", fallback).await?;
        }
        let by_themselves = lists.is_self_review();
        if by_themselves {
            self.resolve_self(instance, stage).await?;
            own.primary = own.primary.max(1);
        }
        let (primary, fallback) = (by_themselves || primary.managers(), fallback.managers());
        if instance.scope.form.has_direct_connect() && (primary || fallback) {
            let owners = self.resolve_direct_connect(instance, stage, primary, fallback).await?;
            own.primary = own.primary.max(if primary { owners } else { 0 });
            own.fallback = own.fallback.max(if fallback { owners } else { 0 });
        }
        // Somebody who is both counts twice in the sum; only where that matters every item is looked at.
        let mut found = (fixed.primary + own.primary).max(fixed.fallback + own.fallback);
        if found > most {
            found = self.most_of_one_item(instance, stage).await?;
        }
        if found > most {
            self.forget_reviewers(instance.id, stage.stage.ordinal).await?;
            return Ok(Resolution::TooMany { found });
        }
        let items_without_reviewer = self.resolve_rest(instance, stage, fixed).await?;
        Ok(Resolution::Resolved { items_without_reviewer })
    }

    async fn named_by_more(
        &mut self,
        lists: &[ReviewerListId],
        resource: Option<ObjectId>,
        most: i64,
    ) -> Result<Vec<NamedByMore>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let lists: Vec<_> = lists.iter().map(|list| list.as_uuid()).collect();
        let rows = sqlx::query!(
            r#"
            select list.position as "position!", named.role as "role!", count(*) as "people!"
              from unnest($2::uuid[]) with ordinality as list (id, position)
             cross join lateral named_reviewers($1, list.id, $3) as named
             group by list.position, named.role
            having count(*) > $4
             order by list.position, named.role desc
            "#,
            tenant,
            &lists,
            resource.map(ObjectId::as_uuid),
            most,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| NamedByMore {
                position: usize::try_from(row.position - 1).unwrap_or_default(),
                fallback: row.role == "fallback",
                people: row.people,
            })
            .collect())
    }

    async fn contact_newcomers(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        mail: Option<MailKind>,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let newcomers = sqlx::query_scalar!(
            r#"
            with people as (
                select reviewer_id
                  from stage_reviewers
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3
                 union
                select f.reviewer_id
                  from stage_fallbacks f
                 where f.tenant_id = $1
                   and f.instance_id = $2
                   and f.ordinal = $3
                   and f.cohort = 0
                   and exists (
                           select
                             from stage_unassigned_cohorts u
                            where u.tenant_id = $1
                              and u.instance_id = $2
                              and u.ordinal = $3)
                 union
                select f.reviewer_id
                  from stage_fallbacks f
                 where f.tenant_id = $1
                   and f.instance_id = $2
                   and f.ordinal = $3
                   and (f.cohort in (
                           select u.cohort
                             from stage_unassigned_cohorts u
                            where u.tenant_id = $1
                              and u.instance_id = $2
                              and u.ordinal = $3)) is true
                 union
                select candidate.reviewer_id
                  from (select x.seq, x.cohort
                          from decision_items x
                         where x.tenant_id = $1
                           and x.instance_id = $2
                           and exists (
                                   select
                                     from item_overrides o
                                    where o.tenant_id = $1
                                      and o.instance_id = $2
                                      and o.ordinal = $3)
                           and (x.seq in (
                                   select o.seq
                                     from item_overrides o
                                    where o.tenant_id = $1
                                      and o.instance_id = $2
                                      and o.ordinal = $3)) is true) as i
                 cross join lateral (
                           select o.reviewer_id
                             from item_overrides o
                            where o.tenant_id = $1
                              and o.instance_id = $2
                              and o.ordinal = $3
                              and o.seq = i.seq
                              and o.reviewer_id <> '00000000-0000-0000-0000-000000000000'
                            union
                           select f.reviewer_id
                             from stage_fallbacks f
                            where f.tenant_id = $1
                              and f.instance_id = $2
                              and f.ordinal = $3
                              and f.cohort in (0, i.cohort)) as candidate
                 where reviews_item($1, $2, $3, i.seq, i.cohort, candidate.reviewer_id)
            )
            select contact_people($1, $2, $3, array(select reviewer_id from people), $4, $5) as "count!"
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
            now,
            mail.map(MailKind::key),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(newcomers)
    }

    async fn mark_mailed(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        person: ObjectId,
    ) -> Result<(), StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        sqlx::query!(
            r#"
            update contacted_reviewers
               set mailed_at = $5
             where tenant_id = $1
               and instance_id = $2
               and reviewer_id = $3
               and ordinal = $4
               and mailed_at is null
            "#,
            tenant,
            instance.as_uuid(),
            person.as_uuid(),
            ordinal,
            now,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn reviews_in_stage(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        person: ObjectId,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let reviews = sqlx::query_scalar!(
            r#"select reviews_in_stage($1, $2, $3, $4) as "reviews!""#,
            tenant,
            instance.as_uuid(),
            ordinal,
            person.as_uuid(),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(reviews)
    }

    async fn ties(
        &mut self,
        definition: DefinitionId,
        instance: Option<InstanceId>,
        person: ObjectId,
    ) -> Result<Ties, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            with reviewed as (
                select r.instance_id
                  from stage_reviewers r
                 where r.tenant_id = $1
                   and r.reviewer_id = $4
                 union all
                select f.instance_id
                  from stage_fallbacks f
                  join stage_unassigned_cohorts u
                    on u.tenant_id = f.tenant_id
                   and u.instance_id = f.instance_id
                   and u.ordinal = f.ordinal
                   and f.cohort in (0, u.cohort)
                 where f.tenant_id = $1
                   and f.reviewer_id = $4
                 union all
                select o.instance_id
                  from item_overrides o
                  join decision_items i
                    on i.tenant_id = o.tenant_id
                   and i.instance_id = o.instance_id
                   and i.seq = o.seq
                 where o.tenant_id = $1
                   and o.reviewer_id = $4
                   and reviews_item($1, o.instance_id, o.ordinal, i.seq, i.cohort, $4)
                 union all
                select f.instance_id
                  from stage_fallbacks f
                  join item_overrides o
                    on o.tenant_id = f.tenant_id
                   and o.instance_id = f.instance_id
                   and o.ordinal = f.ordinal
                   and o.role = 'primary'
                   and o.reviewer_id = '00000000-0000-0000-0000-000000000000'
                  join decision_items i
                    on i.tenant_id = o.tenant_id
                   and i.instance_id = o.instance_id
                   and i.seq = o.seq
                   and f.cohort in (0, i.cohort)
                 where f.tenant_id = $1
                   and f.reviewer_id = $4
                   and reviews_item($1, o.instance_id, o.ordinal, i.seq, i.cohort, $4)
            )
            select exists (
                       select
                         from definitions
                        where tenant_id = $1
                          and definition_id = $2
                          and created_by_id = $4) as "is_creator!",
                   exists (
                       select
                         from reviewed
                         join instances i on i.tenant_id = $1 and i.instance_id = reviewed.instance_id
                        where i.definition_id = $2) as "reviews_in_definition!",
                   exists (
                       select
                         from definitions d
                         join group_owners o on o.tenant_id = $1 and o.group_id = d.group_id and o.owner_id = $4
                         join users u on u.tenant_id = $1 and u.user_id = o.owner_id and u.account_enabled
                         join review_settings s on s.tenant_id = $1 and s.group_owners_may_review
                        where d.tenant_id = $1
                          and d.definition_id = $2) as "owns_group!",
                   exists (
                       select
                         from reviewed
                        where instance_id = $3) as "reviews_in_instance!"
            "#,
            tenant,
            definition.as_uuid(),
            instance.map(InstanceId::as_uuid),
            person.as_uuid(),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(Ties {
            is_creator: row.is_creator,
            owns_group: row.owns_group,
            reviews_in_definition: row.reviews_in_definition,
            reviews_in_instance: row.reviews_in_instance,
        })
    }

    async fn reaches(&mut self, instance: InstanceId, person: ObjectId) -> Result<Vec<StageReach>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query_as!(
            ReachRow,
            r#"
            select ordinal as "ordinal!", entry as "entry!", every_item as "every_item!", cohorts as "cohorts!",
                   items as "items!", excepted as "excepted!"
              from reviewer_reaches($1, $2, $3)
            "#,
            tenant,
            instance.as_uuid(),
            person.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        let reaches = rows.into_iter().map(|row| row.reach(instance)).collect::<Result<Vec<_>, _>>()?;
        Ok(reaches.into_iter().flatten().collect())
    }

    async fn reviews_item(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        seq: ItemSeq,
        person: ObjectId,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let reviews = sqlx::query_scalar!(
            r#"
            select reviews_item($1, $2, $3, i.seq, i.cohort, $5)
                   and stage_holds_item($1, $2, $3, s.entry, i.seq) as "reviews!"
              from decision_items i
              join stages s on s.tenant_id = i.tenant_id and s.instance_id = i.instance_id and s.ordinal = $3
             where i.tenant_id = $1
               and i.instance_id = $2
               and i.seq = $4
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
            seq,
            person.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(reviews.unwrap_or(false))
    }
}
