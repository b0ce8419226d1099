//! Reviewer lists: ordered primary and fallback scopes of one owner.

use std::collections::HashMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{PgUnitOfWork, error::corrupt};
use crate::{
    domain::{
        ids::{ObjectId, ReviewerListId},
        reviewer_scope::{ReviewerForm, ReviewerLists, ReviewerScope, ReviewerScopeType, TypedReviewer},
    },
    store::{ReviewerListRepository, StoreError},
};

#[derive(serde::Deserialize)]
pub(super) struct ReviewerScopeRow {
    reviewer_list_id: Uuid,
    role: String,
    query: String,
    query_type: String,
    query_root: Option<String>,
    form: String,
    object_id: Option<Uuid>,
    owner_user_type: Option<String>,
    owner_country: Option<String>,
    scope_type: Option<String>,
    reviewer_id: Option<String>,
    query_sent: bool,
}

/// The lists of these owners, in their order, out of the scopes of all, which come in the order of their lists.
pub(super) fn lists_from_rows(
    rows: Vec<ReviewerScopeRow>,
    wanted: &[ReviewerListId],
) -> Result<Vec<ReviewerLists>, StoreError> {
    let mut found = HashMap::<Uuid, ReviewerLists>::new();
    for row in rows {
        let form = ReviewerForm::from_parts(
            &row.form,
            row.object_id.map(ObjectId::new),
            row.owner_user_type,
            row.owner_country,
        )
        .ok_or_else(|| corrupt("reviewer_scopes", "form", row.reviewer_list_id))?;
        let typed = row.scope_type.map(|text| {
            let scope_type = ReviewerScopeType::parse(&text)
                .ok_or_else(|| corrupt("reviewer_scopes", "scope_type", row.reviewer_list_id))?;
            Ok::<_, StoreError>(TypedReviewer {
                scope_type,
                reviewer_id: row.reviewer_id,
                beside_query: row.query_sent,
            })
        });
        let scope = ReviewerScope {
            query: row.query,
            query_type: row.query_type,
            query_root: row.query_root,
            form,
            typed: typed.transpose()?,
        };
        let lists = found.entry(row.reviewer_list_id).or_default();
        match row.role.as_str() {
            "primary" => lists.reviewers.push(scope),
            _ => lists.fallback_reviewers.push(scope),
        }
    }
    Ok(wanted.iter().map(|id| found.get(&id.as_uuid()).cloned().unwrap_or_default()).collect())
}

#[async_trait]
impl ReviewerListRepository for PgUnitOfWork {
    async fn find(&mut self, id: ReviewerListId) -> Result<ReviewerLists, StoreError> {
        Ok(self.find_all(&[id]).await?.pop().unwrap_or_default())
    }

    async fn find_all(&mut self, ids: &[ReviewerListId]) -> Result<Vec<ReviewerLists>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let wanted: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
        let rows = sqlx::query_as!(
            ReviewerScopeRow,
            r#"
            select reviewer_list_id, role, query, query_type, query_root, form, object_id, owner_user_type, owner_country,
                   scope_type, reviewer_id, query_sent
              from reviewer_scopes
             where tenant_id = $1
               and reviewer_list_id = any($2)
             order by reviewer_list_id, role, ordinal
            "#,
            tenant,
            &wanted,
        )
        .fetch_all(self.connection()?)
        .await?;
        lists_from_rows(rows, ids)
    }

    async fn replace(&mut self, id: ReviewerListId, lists: &ReviewerLists) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let scopes: Vec<_> = lists
            .reviewers
            .iter()
            .enumerate()
            .map(|scope| ("primary", scope))
            .chain(lists.fallback_reviewers.iter().enumerate().map(|scope| ("fallback", scope)))
            .collect();
        let column = |text: &dyn Fn(&ReviewerScope) -> Option<String>| -> Vec<Option<String>> {
            scopes.iter().map(|(_, (_, scope))| text(scope)).collect()
        };
        let roles: Vec<_> = scopes.iter().map(|(role, _)| (*role).to_owned()).collect();
        let ordinals: Vec<_> =
            scopes.iter().map(|(_, (ordinal, _))| i32::try_from(*ordinal).unwrap_or(i32::MAX)).collect();
        let queries = column(&|scope| Some(scope.query.clone()));
        let query_types = column(&|scope| Some(scope.query_type.clone()));
        let query_roots = column(&|scope| scope.query_root.clone());
        let normalised = column(&|scope| Some(scope.form.normalised()));
        let forms = column(&|scope| Some(scope.form.kind().to_owned()));
        let objects: Vec<_> =
            scopes.iter().map(|(_, (_, scope))| scope.form.object_id().map(ObjectId::as_uuid)).collect();
        let user_types = column(&|scope| scope.form.owner_filter().and_then(|filter| filter.user_type.clone()));
        let countries = column(&|scope| scope.form.owner_filter().and_then(|filter| filter.country.clone()));
        let typed = |scope: &ReviewerScope| scope.typed.clone();
        let scope_types = column(&|scope| typed(scope).map(|typed| typed.scope_type.as_str().to_owned()));
        let reviewers = column(&|scope| typed(scope).and_then(|typed| typed.reviewer_id));
        let queries_sent: Vec<_> =
            scopes.iter().map(|(_, (_, scope))| scope.typed.as_ref().is_none_or(|typed| typed.beside_query)).collect();
        sqlx::query!(
            "insert into reviewer_lists (tenant_id, reviewer_list_id) values ($1, $2) on conflict do nothing",
            tenant,
            id.as_uuid(),
        )
        .execute(self.connection()?)
        .await?;
        // Fallback rows are never deleted while their owner lives (LC-INV-03).
        sqlx::query!(
            r#"
            delete from reviewer_scopes
             where tenant_id = $1
               and reviewer_list_id = $2
               and role = 'primary'
               and not exists (
                       select
                         from unnest($3::text[], $4::text[]) as wanted (role, normalised_form)
                        where wanted.role = 'primary'
                          and wanted.normalised_form = reviewer_scopes.normalised_form)
            "#,
            tenant,
            id.as_uuid(),
            &roles,
            &normalised as &[Option<String>],
        )
        .execute(self.connection()?)
        .await?;
        sqlx::query!(
            r#"
            insert into reviewer_scopes
                (tenant_id, reviewer_list_id, role, ordinal, query, query_type, query_root, normalised_form, form,
                 object_id, owner_user_type, owner_country, scope_type, reviewer_id, query_sent)
            select distinct on (role, normalised_form)
                   $1::uuid, $2::uuid, role, ordinal, query, query_type, query_root, normalised_form, form, object_id,
                   owner_user_type, owner_country, scope_type, reviewer_id, query_sent
              from unnest($3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                          $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::boolean[])
                   as wanted (role, ordinal, query, query_type, query_root, normalised_form, form, object_id,
                              owner_user_type, owner_country, scope_type, reviewer_id, query_sent)
             order by role, normalised_form, ordinal
            on conflict (tenant_id, reviewer_list_id, role, normalised_form)
            do update set ordinal = excluded.ordinal
            "#,
            tenant,
            id.as_uuid(),
            &roles,
            &ordinals,
            &queries as &[Option<String>],
            &query_types as &[Option<String>],
            &query_roots as &[Option<String>],
            &normalised as &[Option<String>],
            &forms as &[Option<String>],
            &objects as &[Option<Uuid>],
            &user_types as &[Option<String>],
            &countries as &[Option<String>],
            &scope_types as &[Option<String>],
            &reviewers as &[Option<String>],
            &queries_sent,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }
}
