//! The people behind the reviewer scopes of an instance.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    filters::{self, Column},
};
use crate::{
    domain::ids::{InstanceId, ObjectId},
    store::{
        ContactedReviewer, ContactedReviewerCursor, ContactedReviewerFilter, ContactedReviewerRepository, CursorKeys,
        Page, Slice, StoreError, filter::ContactedReviewerProperty,
    },
};

#[derive(sqlx::FromRow)]
struct ContactedReviewerRow {
    reviewer_id: Uuid,
    display_name: String,
    user_principal_name: String,
    contacted_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct KeyedRow {
    sort_keys: CursorKeys,
    #[sqlx(flatten)]
    row: ContactedReviewerRow,
}

impl From<ContactedReviewerRow> for ContactedReviewer {
    fn from(row: ContactedReviewerRow) -> Self {
        Self {
            id: ObjectId::new(row.reviewer_id),
            display_name: row.display_name,
            user_principal_name: row.user_principal_name,
            contacted_at: row.contacted_at,
        }
    }
}

const fn column(property: ContactedReviewerProperty) -> Column {
    match property {
        ContactedReviewerProperty::Id => Column::id("r.reviewer_id"),
        ContactedReviewerProperty::DisplayName => Column::text("r.display_name"),
        ContactedReviewerProperty::UserPrincipalName => Column::text("r.user_principal_name"),
        ContactedReviewerProperty::CreatedDateTime => Column::instant("r.contacted_at"),
    }
}

/// Names are ordered as they are compared: without regard to case.
const fn sort_column(property: ContactedReviewerProperty) -> Column {
    match property {
        ContactedReviewerProperty::DisplayName => Column::text("lower(r.display_name)"),
        ContactedReviewerProperty::UserPrincipalName => Column::text("lower(r.user_principal_name)"),
        other => column(other),
    }
}

/// ` from (one row per person) r where true`, with the filter. Somebody who left the directory keeps his row, without a name.
fn push_people(
    query: &mut QueryBuilder<Postgres>,
    tenant: Uuid,
    instance: InstanceId,
    filter: &ContactedReviewerFilter,
) {
    query
        .push(
            " from (select c.reviewer_id, coalesce(u.display_name, '') as display_name, \
             coalesce(u.user_principal_name, '') as user_principal_name, c.contacted_at \
             from (select tenant_id, reviewer_id, min(contacted_at) as contacted_at from contacted_reviewers \
             where tenant_id = ",
        )
        .push_bind(tenant)
        .push(" and instance_id = ")
        .push_bind(instance.as_uuid())
        .push(
            " group by tenant_id, reviewer_id) c \
             left join users u on u.tenant_id = c.tenant_id and u.user_id = c.reviewer_id) r where true",
        );
    if let Some(expression) = &filter.expression {
        query.push(" and ");
        filters::push_expression(query, expression, &|query, property, test| {
            filters::push_test(query, column(property), test);
        });
    }
}

#[async_trait]
impl ContactedReviewerRepository for PgUnitOfWork {
    async fn find(&mut self, instance: InstanceId, id: ObjectId) -> Result<Option<ContactedReviewer>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            ContactedReviewerRow,
            r#"
            select c.reviewer_id, coalesce(u.display_name, '') as "display_name!",
                   coalesce(u.user_principal_name, '') as "user_principal_name!", c.contacted_at as "contacted_at!"
              from (select reviewer_id, min(contacted_at) as contacted_at
                      from contacted_reviewers
                     where tenant_id = $1
                       and instance_id = $2
                       and reviewer_id = $3
                     group by reviewer_id) as c
              left join users u on u.tenant_id = $1 and u.user_id = c.reviewer_id
            "#,
            tenant,
            instance.as_uuid(),
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(ContactedReviewer::from))
    }

    async fn page(
        &mut self,
        instance: InstanceId,
        filter: &ContactedReviewerFilter,
        page: &Page<ContactedReviewerCursor>,
    ) -> Result<Slice<ContactedReviewer, ContactedReviewerCursor>, StoreError> {
        let keys = filters::sort_keys(&filter.order, sort_column, &[]);
        let mut query = QueryBuilder::<Postgres>::new("select r.*, ");
        filters::push_sort_keys(&mut query, &keys);
        push_people(&mut query, self.tenant.as_uuid(), instance, filter);
        if let Some(after) = &page.after {
            filters::push_keyset(&mut query, &keys, &after.keys, "r.reviewer_id", after.id.as_uuid());
        }
        filters::push_order(&mut query, &keys, "r.reviewer_id");
        filters::push_limit(&mut query, page.limit, page.skip);
        let rows: Vec<KeyedRow> = query.build_query_as().fetch_all(self.connection()?).await?;
        let (rows, next) = filters::slice(rows, page.limit, |row| ContactedReviewerCursor {
            keys: row.sort_keys.clone(),
            id: ObjectId::new(row.row.reviewer_id),
        });
        Ok(Slice { rows: rows.into_iter().map(|row| row.row.into()).collect(), next })
    }

    async fn count(&mut self, instance: InstanceId, filter: &ContactedReviewerFilter) -> Result<i64, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select count(*)");
        push_people(&mut query, self.tenant.as_uuid(), instance, filter);
        Ok(query.build_query_scalar().fetch_one(self.connection()?).await?)
    }
}
