//! Lists: query options in, a page of rows out, with the link to the next one.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::extract::{edge, run};
use crate::{
    app::{self, Call, list_definitions::ListRequest},
    domain::ids::TenantId,
    http::{
        error::ApiError,
        odata::{
            collections::Allowed,
            options::QueryOptions,
            render::{collection, json_response, project},
            skip_token::{TokenBinding, next_link, open, seal},
        },
    },
    store::{
        Page,
        filter::{FilterExpression, FilterValue, OrderBy},
    },
};

/// A list request, read and checked, with what is needed to answer it.
pub(super) struct ListCall<P> {
    pub options: QueryOptions<P>,
    tenant: TenantId,
    caller: String,
    path: String,
    key: Vec<u8>,
    public_url: String,
}

impl<P: Copy> ListCall<P> {
    /// Reads the query options against what the collection offers.
    pub(super) async fn read(request: &HttpRequest, call: &Call, allowed: &Allowed<P>) -> Result<Self, ApiError> {
        let edge = edge(request)?;
        let options = QueryOptions::parse(request.query_string(), allowed)?;
        let tenant = call.caller.tenant_id;
        Ok(Self {
            options,
            tenant,
            caller: call.caller.identity.id.to_string(),
            path: request.path().to_owned(),
            key: edge.page_keys.of(&edge.services, tenant).await?,
            public_url: edge.public_url.clone(),
        })
    }

    fn binding(&self) -> TokenBinding<'_> {
        TokenBinding {
            tenant: self.tenant,
            caller: &self.caller,
            path: &self.path,
            parameters: &self.options.parameters,
        }
    }

    /// The page the client asked for.
    pub(super) fn page<C: DeserializeOwned>(&self) -> Result<Page<C>, ApiError> {
        let after =
            self.options.skip_token.as_deref().map(|token| open(&self.key, &self.binding(), token)).transpose()?;
        Ok(Page { limit: i64::from(self.options.page_size()), skip: i64::from(self.options.skip), after })
    }

    /// The one order a collection is sorted by.
    pub(super) fn order(&self) -> Result<Option<OrderBy<P>>, ApiError> {
        match self.options.order_by.as_slice() {
            [] => Ok(None),
            [order] => Ok(Some(*order)),
            _ => Err(ApiError::unsupported_query("$orderby takes one property here").with_target("$orderby")),
        }
    }

    /// What a use case needs to list.
    pub(super) fn request<C: DeserializeOwned>(&self) -> Result<ListRequest<P, C>, ApiError> {
        Ok(ListRequest {
            expression: self.options.filter.clone(),
            order: self.order()?,
            page: self.page()?,
            count: self.options.count,
        })
    }

    /// The answer: rows as selected, and the link when more follow.
    pub(super) fn answer<C: Serialize>(
        &self,
        context: String,
        rows: Vec<Map<String, Value>>,
        count: Option<i64>,
        next: Option<&C>,
    ) -> Result<HttpResponse, ApiError> {
        let link = match next {
            None => None,
            Some(cursor) => {
                let token = seal(&self.key, &self.binding(), cursor).map_err(ApiError::internal)?;
                Some(next_link(&self.public_url, &self.path, &self.options.parameters, &token))
            }
        };
        let select = self.options.select.as_deref();
        let values = rows.into_iter().map(|row| Value::Object(project(row, select))).collect();
        Ok(json_response(StatusCode::OK, &collection(context, values, count, link)))
    }

    /// Filters, orders and pages rows that are all at hand, and answers.
    pub(super) fn answer_in_memory<T>(
        &self,
        context: String,
        mut rows: Vec<T>,
        value_of: impl Fn(&T, P) -> FilterValue,
        sort_key: impl Fn(&T, P) -> String,
        render: impl Fn(&T) -> Map<String, Value>,
    ) -> Result<HttpResponse, ApiError> {
        if let Some(filter) = &self.options.filter {
            let filter: &FilterExpression<P> = filter;
            rows.retain(|row| filter.matches(&|property| value_of(row, property)));
        }
        if let Some(order) = self.order()? {
            rows.sort_by(|left, right| {
                let ordering = sort_key(left, order.property).cmp(&sort_key(right, order.property));
                if order.descending { ordering.reverse() } else { ordering }
            });
        }
        let page: Page<usize> = self.page()?;
        let first = page.after.unwrap_or(usize::try_from(page.skip).unwrap_or(usize::MAX));
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let count = self.options.count.then(|| i64::try_from(rows.len()).unwrap_or(i64::MAX));
        let end = first.saturating_add(limit);
        let next = (end < rows.len()).then_some(end);
        let shown = rows.iter().skip(first).take(limit).map(render).collect();
        self.answer(context, shown, count, next.as_ref())
    }
}

/// The tenants' page keys; they never change.
#[derive(Default)]
pub struct PageKeys(std::sync::Mutex<std::collections::HashMap<TenantId, Vec<u8>>>);

impl PageKeys {
    async fn of(&self, services: &app::Services, tenant: TenantId) -> Result<Vec<u8>, ApiError> {
        if let Some(key) = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&tenant) {
            return Ok(key.clone());
        }
        let services = services.clone();
        let key = run(async move { app::page_key::page_key(&services, tenant).await }).await?;
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(tenant, key.clone());
        Ok(key)
    }
}
