//! The token issuers of a tenant.

use actix_web::{
    HttpResponse, delete, get,
    http::{StatusCode, header::LOCATION},
    patch, post,
    web::{Data, Path},
};
use serde_json::json;

use super::{
    extract::{AnyCaller, CallerWithBody, id, run},
    schema::{ErrorBody, TokenIssuerBody},
};
use crate::{
    app::{
        Refused,
        add_issuer::add_own_issuer,
        list_issuers::{get_issuer, list_issuers},
        remove_issuer::remove_own_issuer,
        update_issuer::update_own_issuer,
    },
    http::{
        Edge,
        error::ApiError,
        issuers::{parse_change, parse_new, render},
        odata::render::json_response,
    },
};

/// List the token issuers of the tenant
#[utoipa::path(
    tag = "issuers",
    operation_id = "listTokenIssuers",
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/attestry/v1/issuers")]
pub(super) async fn list(edge: Data<Edge>, AnyCaller(call): AnyCaller) -> Result<HttpResponse, ApiError> {
    let services = edge.services.clone();
    let issuers = run(async move { list_issuers(&services, &call).await }).await?;
    let value: Vec<_> = issuers.iter().map(render).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// Register a token issuer
#[utoipa::path(
    tag = "issuers",
    operation_id = "addTokenIssuer",
    request_body = TokenIssuerBody,
    responses(
        (status = 201),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "This tenant or another one has registered it")
    )
)]
#[post("/attestry/v1/issuers")]
pub(super) async fn add(
    edge: Data<Edge>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let settings = parse_new(&body).map_err(ApiError::bad_request)?;
    let worker = edge.clone();
    let issuer = run(async move {
        let issuer = add_own_issuer(&worker.services, &call, settings, worker.address_policy).await?;
        worker.tokens.forget(&issuer.settings.issuer);
        Ok(issuer)
    })
    .await?;
    let location = format!("{}/attestry/v1/issuers/{}", edge.public_url, issuer.id);
    let mut response = json_response(StatusCode::CREATED, &render(&issuer));
    response.headers_mut().insert(LOCATION, location.try_into().map_err(ApiError::internal)?);
    Ok(response)
}

/// Get a token issuer
#[utoipa::path(
    tag = "issuers",
    operation_id = "getTokenIssuer",
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/attestry/v1/issuers/{issuer}")]
pub(super) async fn get(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let issuer = id(&path)?;
    let services = edge.services.clone();
    let issuer = run(async move { get_issuer(&services, &call, issuer).await }).await?;
    Ok(json_response(StatusCode::OK, &render(&issuer)))
}

/// Change a token issuer; what is verified already is verified anew
#[utoipa::path(
    tag = "issuers",
    operation_id = "updateTokenIssuer",
    request_body = TokenIssuerBody,
    responses(
        (status = 200),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Another tenant's tokens could not be told apart")
    )
)]
#[patch("/attestry/v1/issuers/{issuer}")]
pub(super) async fn update(
    edge: Data<Edge>,
    CallerWithBody(call, body): CallerWithBody,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let issuer = id(&path)?;
    let change = move |before| parse_change(&body, before).map_err(Refused::Invalid);
    let issuer = run(async move {
        let issuer = update_own_issuer(&edge.services, &call, issuer, change, edge.address_policy).await?;
        edge.tokens.forget(&issuer.settings.issuer);
        Ok(issuer)
    })
    .await?;
    Ok(json_response(StatusCode::OK, &render(&issuer)))
}

/// Remove a token issuer; its tokens stop counting at once
#[utoipa::path(
    tag = "issuers",
    operation_id = "removeTokenIssuer",
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[delete("/attestry/v1/issuers/{issuer}")]
pub(super) async fn remove(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let issuer = id(&path)?;
    run(async move {
        let removed = remove_own_issuer(&edge.services, &call, issuer).await?;
        edge.tokens.forget(&removed.settings.issuer);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
