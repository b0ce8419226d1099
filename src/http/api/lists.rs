//! Collections: query options in, a page of rows out with the link to the next one, and the number of rows.
//!
//! Everything that lists have in common is here; what one has of its own is its [`Collection`]. To offer another one:
//!
//! 1. In `http/odata/collections.rs`: an `Allowed` that says what can be filtered, ordered, selected and expanded, over an enum
//!    of properties in `store/filter.rs` (`NoProperty` when there are none).
//! 2. A use case that takes a [`ListRequest`] and answers [`Listed`] rows: from storage with a keyset cursor, or
//!    `app::listing::list_in_memory` with its `Position` for what is small by nature.
//! 3. A struct with the ids of the path, and its [`Collection`].
//! 4. Two handlers, each one line: [`list`] at the collection's path and [`count`] at `…/$count`; and their registration, before
//!    the routes that end in a key.

use std::future::Future;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::CONTENT_TYPE},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::extract::{AnyCaller, edge, run};
use crate::{
    app::{
        self, Call, Refused, Services,
        listing::{ListRequest, Listed},
    },
    domain::ids::TenantId,
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::Allowed,
            options::{Expand, Parameters, QueryOptions},
            prefer::{PREFERENCE_APPLIED, max_page_size},
            render::{
                begin_text, collection, collection_context, function_context, json_response, json_text_response,
                project,
            },
            skip_token::{TokenBinding, next_link, open, seal},
        },
    },
    store::Page,
};

/// What a handler answers.
pub(super) type Answer = Result<HttpResponse, ApiError>;

/// One collection, or a function that answers one, with the ids of its path.
pub(super) trait Collection: Send + Sync + 'static {
    /// What can be filtered and ordered by.
    type Property: Copy + Send + Sync + 'static;
    /// The place of a row in the list, which a continuation holds.
    type Cursor: Serialize + DeserializeOwned + Send + Sync + 'static;
    type Row: Send + 'static;

    /// What it offers of the query options.
    fn allowed(&self) -> Allowed<Self::Property>;

    /// What `@odata.context` names.
    fn context(&self) -> Context;

    /// The one use case. `expand` names only what [`Collection::allowed`] offers; what it asks for is loaded here for the whole
    /// page, never row by row.
    fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<Self::Property, Self::Cursor>,
        expand: &[Expand],
    ) -> impl Future<Output = Result<Listed<Self::Row, Self::Cursor>, Refused>> + Send;

    /// Writes a page of whole rows as text behind `out`, with commas between them; `false`, and nothing written, where they can only be
    /// rendered.
    ///
    /// For the longest lists only: what it writes is what [`Collection::render`] renders.
    fn write(&self, _: &Links, _: &[Self::Row], _: &mut Vec<u8>) -> Result<bool, ApiError> {
        Ok(false)
    }

    /// A row with all its properties; `$select` is applied afterwards. Expanded collections are added with
    /// [`Links::put_expanded`].
    fn render(&self, links: &Links, row: &Self::Row, expand: &[Expand]) -> Result<Map<String, Value>, ApiError>;
}

/// What the context URL of a list names. Section 5 of the OData digest
pub(super) enum Context {
    /// `definitions('{id}')/instances`: the collections above with their keys, and the name.
    Contained(Vec<(&'static str, String)>, &'static str),
    /// `Collection(accessReviewStage)`: the type that a function answers.
    Function(&'static str),
}

/// Answers a page of a collection.
pub(super) async fn list<C: Collection>(target: C, AnyCaller(call): AnyCaller, request: HttpRequest) -> Answer {
    let links = Links::of(&request, &call).await?;
    let options = QueryOptions::parse(request.query_string(), &target.allowed())?;
    let path = request.path();
    let preferred = max_page_size(request.headers());
    let after = options.skip_token.as_deref().map(|token| links.open(path, &options.parameters, token)).transpose()?;
    let limit = preferred.map_or(options.page_size(), |size| size.min(options.page_size()));
    let wanted = ListRequest {
        expression: options.filter.clone(),
        order: options.order_by.clone(),
        page: Some(Page { limit: i64::from(limit), skip: i64::from(options.skip), after }),
        count: options.count,
    };
    let (services, expand) = (links.edge.services.clone(), options.expand.clone());
    let (target, listed) = run(async move {
        let listed = target.list(&services, &call, &wanted, &expand).await?;
        Ok((target, listed))
    })
    .await?;

    let members = options.members();
    let next = listed.slice.next.as_ref().map(|cursor| links.next(path, &options.parameters, cursor)).transpose()?;
    let names = options.context_names();
    let context = match target.context() {
        Context::Contained(parents, name) => {
            let parents: Vec<_> = parents.iter().map(|(collection, key)| (*collection, key.as_str())).collect();
            collection_context(&links.edge.public_url, &parents, name, names.as_deref())
        }
        Context::Function(type_name) => function_context(&links.edge.public_url, type_name, names.as_deref()),
    };
    let whole = members.is_none() && options.expand.is_empty();
    let mut response =
        match whole.then(|| text(&target, &links, &context, &listed, next.as_deref())).transpose()?.flatten() {
            Some(text) => json_text_response(StatusCode::OK, text, None),
            None => {
                let rows = listed.slice.rows.iter().map(|row| {
                    let row = target.render(&links, row, &options.expand)?;
                    Ok::<_, ApiError>(Value::Object(project(row, members.as_deref())))
                });
                let rows = rows.collect::<Result<Vec<_>, _>>()?;
                json_response(StatusCode::OK, &collection(context, rows, listed.count, next))
            }
        };
    if let Some(size) = preferred {
        let applied = format!("odata.maxpagesize={size}");
        response.headers_mut().insert(PREFERENCE_APPLIED, applied.try_into().map_err(ApiError::internal)?);
    }
    Ok(response)
}

/// Room for a row, so that a page is not moved while it is written.
const TEXT_OF_A_ROW: usize = 1_280;

/// The collection as text; `None` where its rows can only be rendered.
fn text<C: Collection>(
    target: &C,
    links: &Links,
    context: &str,
    listed: &Listed<C::Row, C::Cursor>,
    next: Option<&str>,
) -> Result<Option<Vec<u8>>, ApiError> {
    let rows = &listed.slice.rows;
    let mut text = begin_text(context, (rows.len() + 1) * TEXT_OF_A_ROW).map_err(ApiError::internal)?;
    if let Some(count) = listed.count {
        text.extend_from_slice(format!(",\"@odata.count\":{count}").as_bytes());
    }
    if let Some(next) = next {
        text.extend_from_slice(b",\"@odata.nextLink\":");
        serde_json::to_writer(&mut text, next).map_err(ApiError::internal)?;
    }
    text.extend_from_slice(b",\"value\":[");
    if !target.write(links, rows, &mut text)? {
        return Ok(None);
    }
    text.extend_from_slice(b"]}");
    Ok(Some(text))
}

/// What [`Collection::write`] mostly is: rows behind `out`, each written by `write`, with commas between them.
pub(super) fn write_rows<R>(
    rows: &[R],
    out: &mut Vec<u8>,
    write: impl Fn(&R, &mut Vec<u8>) -> Result<(), serde_json::Error>,
) -> Result<bool, ApiError> {
    for (position, row) in rows.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(row, out).map_err(ApiError::internal)?;
    }
    Ok(true)
}

/// Answers the number of rows that the filter leaves: digits and nothing else. CL-07
pub(super) async fn count<C: Collection>(target: C, AnyCaller(call): AnyCaller, request: HttpRequest) -> Answer {
    let edge = edge(&request)?;
    let options = QueryOptions::parse(request.query_string(), &target.allowed().count())?;
    let wanted = ListRequest { expression: options.filter, order: Vec::new(), page: None, count: true };
    let services = edge.services.clone();
    let listed = run(async move { target.list(&services, &call, &wanted, &[]).await }).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .body(listed.count.unwrap_or_default().to_string()))
}

/// What links out of an answer are made with, for one caller.
pub(super) struct Links {
    pub edge: actix_web::web::Data<Edge>,
    tenant: TenantId,
    caller: String,
    key: Vec<u8>,
}

impl Links {
    pub(super) async fn of(request: &HttpRequest, call: &Call) -> Result<Self, ApiError> {
        let edge = edge(request)?;
        let tenant = call.caller.tenant_id;
        let key = edge.page_keys.of(&edge.services, tenant).await?;
        Ok(Self { edge, tenant, caller: call.caller.identity.id.to_string(), key })
    }

    /// The tenant whose links these are, and its key.
    pub(super) fn tenant_and_key(&self) -> (TenantId, &[u8]) {
        (self.tenant, &self.key)
    }

    fn binding<'a>(&'a self, path: &'a str, parameters: &'a Parameters) -> TokenBinding<'a> {
        TokenBinding { tenant: self.tenant, caller: &self.caller, path, parameters }
    }

    fn open<C: DeserializeOwned>(&self, path: &str, parameters: &Parameters, token: &str) -> Result<C, ApiError> {
        Ok(open(&self.key, &self.binding(path, parameters), token)?)
    }

    fn next<C: Serialize>(&self, path: &str, parameters: &Parameters, cursor: &C) -> Result<String, ApiError> {
        let token = seal(&self.key, &self.binding(path, parameters), cursor).map_err(ApiError::internal)?;
        Ok(next_link(&self.edge.public_url, path, parameters, &token))
    }

    /// Puts an expanded collection into an object: its rows as selected and, when more follow, the link to them. `path` is the
    /// canonical path of the collection, `cursor` what [`Collection::Cursor`] is there. Section 4 of the OData digest
    pub(super) fn put_expanded<C: Serialize>(
        &self,
        object: &mut Map<String, Value>,
        expand: &Expand,
        path: &str,
        rows: Vec<Map<String, Value>>,
        cursor: Option<&C>,
    ) -> Result<(), ApiError> {
        if let Some(cursor) = cursor {
            let link = self.next(path, &expand.parameters, cursor)?;
            object.insert(format!("{}@odata.nextLink", expand.name), link.into());
        }
        let below = expand.expand.iter().map(|below| below.name.to_owned());
        let members: Option<Vec<String>> =
            expand.select.as_ref().map(|select| select.iter().cloned().chain(below).collect());
        let rows = rows.into_iter().map(|row| Value::Object(project(row, members.as_deref()))).collect();
        object.insert(expand.name.to_owned(), Value::Array(rows));
        Ok(())
    }
}

/// The tenants' page keys; they never change.
#[derive(Default)]
pub struct PageKeys(std::sync::Mutex<std::collections::HashMap<TenantId, Vec<u8>>>);

impl PageKeys {
    /// The key of a tenant; 404 when there is no such tenant.
    pub(super) async fn of(&self, services: &app::Services, tenant: TenantId) -> Result<Vec<u8>, ApiError> {
        if let Some(key) = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&tenant) {
            return Ok(key.clone());
        }
        let services = services.clone();
        let key = run(async move { app::page_key::page_key(&services, tenant).await }).await?;
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(tenant, key.clone());
        Ok(key)
    }
}
