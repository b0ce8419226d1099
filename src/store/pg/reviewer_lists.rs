//! Reviewer lists: ordered primary and fallback scopes of one owner.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::Deserialize;
use uuid::Uuid;

use super::{PgUnitOfWork, error::corrupt};
use crate::{
    domain::{
        ids::{ObjectId, ReviewerListId},
        reviewer_scope::{ReviewerForm, ReviewerLists, ReviewerScope, ReviewerScopeType, TypedReviewer},
    },
    store::{ReviewerListRepository, StoreError},
};

/// A stored scope; functions that answer with several write them as JSON.
#[derive(Debug, Deserialize)]
pub(super) struct ScopeRow {
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
    rows: Vec<ScopeRow>,
    wanted: &[ReviewerListId],
) -> Result<Vec<ReviewerLists>, StoreError> {
    let mut found = HashMap::<Uuid, ReviewerLists>::new();
    for row in rows {
        let list = row.reviewer_list_id;
        row.push_to(found.entry(list).or_default())?;
    }
    Ok(wanted.iter().map(|id| found.get(&id.as_uuid()).cloned().unwrap_or_default()).collect())
}

impl ScopeRow {
    /// Puts the scope behind those of its role.
    fn push_to(self, lists: &mut ReviewerLists) -> Result<(), StoreError> {
        let list = self.reviewer_list_id;
        let form = ReviewerForm::from_parts(
            &self.form,
            self.object_id.map(ObjectId::new),
            self.owner_user_type,
            self.owner_country,
        )
        .ok_or_else(|| corrupt("reviewer_scopes", "form", list))?;
        let typed = self.scope_type.map(|text| {
            let scope_type =
                ReviewerScopeType::parse(&text).ok_or_else(|| corrupt("reviewer_scopes", "scope_type", list))?;
            Ok::<_, StoreError>(TypedReviewer {
                scope_type,
                reviewer_id: self.reviewer_id,
                beside_query: self.query_sent,
            })
        });
        let scope = ReviewerScope {
            query: self.query,
            query_type: self.query_type,
            query_root: self.query_root,
            form,
            typed: typed.transpose()?,
        };
        match self.role.as_str() {
            "primary" => lists.reviewers.push(scope),
            _ => lists.fallback_reviewers.push(scope),
        }
        Ok(())
    }
}

/// The scopes of both lists, column by column.
pub(super) struct ScopeColumns {
    pub(super) roles: Vec<String>,
    pub(super) ordinals: Vec<i32>,
    pub(super) queries: Vec<String>,
    pub(super) query_types: Vec<String>,
    pub(super) query_roots: Vec<Option<String>>,
    pub(super) normalised: Vec<String>,
    pub(super) forms: Vec<String>,
    pub(super) objects: Vec<Option<Uuid>>,
    pub(super) user_types: Vec<Option<String>>,
    pub(super) countries: Vec<Option<String>>,
    pub(super) scope_types: Vec<Option<String>>,
    pub(super) reviewers: Vec<Option<String>>,
    pub(super) queries_sent: Vec<bool>,
}

impl ScopeColumns {
    pub(super) fn of(lists: &ReviewerLists) -> Self {
        let scopes: Vec<_> = lists
            .reviewers
            .iter()
            .enumerate()
            .map(|scope| ("primary", scope))
            .chain(lists.fallback_reviewers.iter().enumerate().map(|scope| ("fallback", scope)))
            .collect();
        fn column<T>(scopes: &[(&str, (usize, &ReviewerScope))], of: impl Fn(&ReviewerScope) -> T) -> Vec<T> {
            scopes.iter().map(|(_, (_, scope))| of(scope)).collect()
        }
        Self {
            roles: scopes.iter().map(|(role, _)| (*role).to_owned()).collect(),
            ordinals: scopes.iter().map(|(_, (ordinal, _))| i32::try_from(*ordinal).unwrap_or(i32::MAX)).collect(),
            queries: column(&scopes, |scope| scope.query.clone()),
            query_types: column(&scopes, |scope| scope.query_type.clone()),
            query_roots: column(&scopes, |scope| scope.query_root.clone()),
            normalised: column(&scopes, |scope| scope.form.normalised()),
            forms: column(&scopes, |scope| scope.form.kind().to_owned()),
            objects: column(&scopes, |scope| scope.form.object_id().map(ObjectId::as_uuid)),
            user_types: column(&scopes, |scope| scope.form.owner_filter().and_then(|filter| filter.user_type.clone())),
            countries: column(&scopes, |scope| scope.form.owner_filter().and_then(|filter| filter.country.clone())),
            scope_types: column(&scopes, |scope| {
                scope.typed.as_ref().map(|typed| typed.scope_type.as_str().to_owned())
            }),
            reviewers: column(&scopes, |scope| scope.typed.as_ref().and_then(|typed| typed.reviewer_id.clone())),
            queries_sent: column(&scopes, |scope| scope.typed.as_ref().is_none_or(|typed| typed.beside_query)),
        }
    }
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
            ScopeRow,
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
        let columns = ScopeColumns::of(lists);
        sqlx::query!(
            "insert into reviewer_lists (tenant_id, reviewer_list_id) values ($1, $2) on conflict do nothing",
            tenant,
            id.as_uuid(),
        )
        .execute(self.connection()?)
        .await?;
        sqlx::query!(
            "select from replace_reviewer_scopes($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            tenant,
            id.as_uuid(),
            &columns.roles,
            &columns.ordinals,
            &columns.queries,
            &columns.query_types,
            &columns.query_roots as &[Option<String>],
            &columns.normalised,
            &columns.forms,
            &columns.objects as &[Option<Uuid>],
            &columns.user_types as &[Option<String>],
            &columns.countries as &[Option<String>],
            &columns.scope_types as &[Option<String>],
            &columns.reviewers as &[Option<String>],
            &columns.queries_sent,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }
}
