//! Mail: templates and settings of tenants, and who is told of what.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{PgUnitOfWork, error::corrupt};
use crate::{
    domain::{
        ids::{DefinitionId, InstanceId, ObjectId},
        mail::{MailKind, MailSettings, OwnTemplate, StoredTemplate, Tally},
    },
    store::{
        StoreError,
        mail::{MailRepository, ReviewedInstance, ReviewedTogether},
    },
};

struct TemplateRow {
    kind: String,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    modified_at: DateTime<Utc>,
}

impl TryFrom<TemplateRow> for StoredTemplate {
    type Error = StoreError;

    fn try_from(row: TemplateRow) -> Result<Self, StoreError> {
        Ok(Self {
            kind: MailKind::from_key(&row.kind).ok_or_else(|| corrupt("mail_templates", "kind", &row.kind))?,
            own: OwnTemplate { subject: row.subject, text: row.text, html: row.html },
            modified_at: row.modified_at,
        })
    }
}

#[async_trait]
impl MailRepository for PgUnitOfWork {
    async fn templates(&mut self) -> Result<Vec<StoredTemplate>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query_as!(
            TemplateRow,
            "select kind, subject, text, html, modified_at from mail_templates where tenant_id = $1",
            tenant,
        )
        .fetch_all(self.connection()?)
        .await?
        .into_iter()
        .map(StoredTemplate::try_from)
        .collect()
    }

    async fn template(&mut self, kind: MailKind) -> Result<Option<StoredTemplate>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query_as!(
            TemplateRow,
            "select kind, subject, text, html, modified_at from mail_templates where tenant_id = $1 and kind = $2",
            tenant,
            kind.key(),
        )
        .fetch_optional(self.connection()?)
        .await?
        .map(StoredTemplate::try_from)
        .transpose()
    }

    async fn lock_template(&mut self, kind: MailKind) -> Result<Option<StoredTemplate>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query_as!(
            TemplateRow,
            r#"
            select kind, subject, text, html, modified_at
              from mail_templates
             where tenant_id = $1
               and kind = $2
               for update
            "#,
            tenant,
            kind.key(),
        )
        .fetch_optional(self.connection()?)
        .await?
        .map(StoredTemplate::try_from)
        .transpose()
    }

    async fn set_template(&mut self, template: &StoredTemplate) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            insert into mail_templates (tenant_id, kind, subject, text, html, modified_at)
            values ($1, $2, $3, $4, $5, $6)
            on conflict (tenant_id, kind)
            do update set subject = excluded.subject,
                          text = excluded.text,
                          html = excluded.html,
                          modified_at = excluded.modified_at
            "#,
            tenant,
            template.kind.key(),
            template.own.subject,
            template.own.text,
            template.own.html,
            template.modified_at,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn remove_template(&mut self, kind: MailKind) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let removed = sqlx::query!("delete from mail_templates where tenant_id = $1 and kind = $2", tenant, kind.key())
            .execute(self.connection()?)
            .await?;
        Ok(removed.rows_affected() == 1)
    }

    async fn settings(&mut self) -> Result<MailSettings, StoreError> {
        let tenant = self.tenant.as_uuid();
        let remind_everyone =
            sqlx::query_scalar!("select remind_everyone from mail_settings where tenant_id = $1", tenant)
                .fetch_optional(self.connection()?)
                .await?;
        Ok(remind_everyone.map_or_else(MailSettings::default, |remind_everyone| MailSettings { remind_everyone }))
    }

    async fn set_settings(&mut self, settings: MailSettings) -> Result<(), StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        sqlx::query!(
            r#"
            insert into mail_settings (tenant_id, remind_everyone, modified_at)
            values ($1, $2, $3)
            on conflict (tenant_id)
            do update set remind_everyone = excluded.remind_everyone,
                          modified_at = excluded.modified_at
            "#,
            tenant,
            settings.remind_everyone,
            now,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn tally(&mut self, instance: InstanceId) -> Result<Tally, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            with newest as (
                select distinct on (d.seq) d.decision
                  from decisions d
                 where d.tenant_id = $1
                   and d.instance_id = $2
                   and not exists (
                           select
                             from removed_items r
                            where r.tenant_id = $1
                              and r.instance_id = $2
                              and r.seq = d.seq)
                 order by d.seq, d.ordinal desc
            )
            select count(*) filter (where decision = 'Approve') as "kept!",
                   count(*) filter (where decision = 'Deny') as "removed!",
                   count(*) filter (where decision = 'DontKnow') as "dont_know!",
                   coalesce((select item_count from instances where tenant_id = $1 and instance_id = $2), 0)
                       - (select count(*) from removed_items where tenant_id = $1 and instance_id = $2)
                       - count(*) as "not_reviewed!"
              from newest
            "#,
            tenant,
            instance.as_uuid(),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(Tally {
            kept: row.kept,
            removed: row.removed,
            dont_know: row.dont_know,
            not_reviewed: row.not_reviewed.max(0),
        })
    }

    async fn occurrence_opens(&mut self, definition: DefinitionId, occurrence: i32) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let opens = sqlx::query_scalar!(
            r#"
            select exists (
                       select
                         from instances
                        where tenant_id = $1
                          and definition_id = $2
                          and status in ('NotStarted', 'Initializing')
                          and occurrence = $3) as "opens!"
            "#,
            tenant,
            definition.as_uuid(),
            occurrence,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(opens)
    }

    async fn occurrence_opened_at(
        &mut self,
        definition: DefinitionId,
        occurrence: i32,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let opened_at = sqlx::query_scalar!(
            r#"
            select opened_at
              from enumerated_occurrences
             where tenant_id = $1
               and definition_id = $2
               and occurrence = $3
            "#,
            tenant,
            definition.as_uuid(),
            occurrence,
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(opened_at)
    }

    async fn occurrence_is_told(&mut self, definition: DefinitionId, occurrence: i32) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let told = sqlx::query_scalar!(
            r#"
            select told_at is not null as "told!"
              from enumerated_occurrences
             where tenant_id = $1
               and definition_id = $2
               and occurrence = $3
            "#,
            tenant,
            definition.as_uuid(),
            occurrence,
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(told.unwrap_or(false))
    }

    async fn tell_occurrence(&mut self, definition: DefinitionId, occurrence: i32) -> Result<i64, StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        let told = sqlx::query!(
            r#"
            with told as (
                update enumerated_occurrences
                   set told_at = $4
                 where tenant_id = $1
                   and definition_id = $2
                   and occurrence = $3
                   and told_at is null
                returning 1
            )
            insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
            select $1, gen_random_uuid(), 'send_combined_mail', concat_ws('/', $2::uuid, $3::integer, reviewer_id),
                   jsonb_build_object('kind', 'send_combined_mail', 'definition', $2::uuid, 'occurrence', $3::integer,
                                      'recipient', reviewer_id),
                   $4, now()
              from (select distinct c.reviewer_id
                      from told
                      join instances i
                        on i.tenant_id = $1
                       and i.definition_id = $2
                       and i.occurrence = $3
                      join contacted_reviewers c
                        on c.tenant_id = $1
                       and c.instance_id = i.instance_id
                       and c.ordinal = 1
                       and c.mailed_at is null) as people
            on conflict do nothing
            "#,
            tenant,
            definition.as_uuid(),
            occurrence,
            now,
        )
        .execute(self.connection()?)
        .await?;
        Ok(i64::try_from(told.rows_affected()).unwrap_or(i64::MAX))
    }

    async fn reviewed_together(
        &mut self,
        definition: DefinitionId,
        occurrence: i32,
        person: ObjectId,
        limit: i64,
    ) -> Result<ReviewedTogether, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query!(
            r#"
            select i.instance_id, i.resource_name, s.end_at, count(*) over () as "total!"
              from instances i
              join contacted_reviewers c
                on c.tenant_id = $1
               and c.instance_id = i.instance_id
               and c.reviewer_id = $4
               and c.ordinal = 1
              join stages s
                on s.tenant_id = $1
               and s.instance_id = i.instance_id
               and s.ordinal = 1
               and s.status = 'InProgress'
             where i.tenant_id = $1
               and i.definition_id = $2
               and i.occurrence = $3
               and reviews_in_stage($1, i.instance_id, 1::smallint, $4)
             order by i.resource_name, i.instance_id
             limit $5
            "#,
            tenant,
            definition.as_uuid(),
            occurrence,
            person.as_uuid(),
            limit,
        )
        .fetch_all(self.connection()?)
        .await?;
        let total = rows.first().map_or(0, |row| row.total);
        let instances = rows
            .into_iter()
            .map(|row| ReviewedInstance {
                id: InstanceId::new(row.instance_id),
                resource: row.resource_name,
                ends_at: row.end_at,
            })
            .collect();
        Ok(ReviewedTogether { instances, total })
    }

    async fn mark_mailed_together(
        &mut self,
        definition: DefinitionId,
        occurrence: i32,
        person: ObjectId,
    ) -> Result<(), StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        sqlx::query!(
            r#"
            update contacted_reviewers c
               set mailed_at = $5
              from instances i
             where i.tenant_id = $1
               and i.definition_id = $2
               and i.occurrence = $3
               and c.tenant_id = $1
               and c.instance_id = i.instance_id
               and c.reviewer_id = $4
               and c.ordinal = 1
               and c.mailed_at is null
            "#,
            tenant,
            definition.as_uuid(),
            occurrence,
            person.as_uuid(),
            now,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }
}
