//! What a tenant's mails say, and whom reminders go to. LC-NOTE-02

use actix_web::{
    HttpResponse, delete, get,
    http::StatusCode,
    patch, put,
    web::{Data, Path},
};
use serde_json::json;

use super::{
    extract::{AnyCaller, CallerWithBody, run},
    schema::{ErrorBody, MailSettingsBody, MailTemplateBody},
};
use crate::{
    app::{
        list_mail_templates::{get_own_mail_template, list_own_mail_templates},
        mail_settings::{change_own_mail_settings, get_own_mail_settings},
        remove_mail_template::remove_own_mail_template,
        set_mail_template::set_own_mail_template,
    },
    domain::mail::MailKind,
    http::{
        Edge,
        error::ApiError,
        mail::{parse_settings, parse_template, render_settings, render_template},
        odata::render::json_response,
    },
};

/// What names no mail names nothing.
fn kind(text: &str) -> Result<MailKind, ApiError> {
    MailKind::from_name(text).ok_or_else(ApiError::not_found)
}

/// List the templates of all mails, with the names they may use
#[utoipa::path(
    tag = "mail",
    operation_id = "listMailTemplates",
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/attestry/v1/mailTemplates")]
pub(super) async fn list_templates(edge: Data<Edge>, AnyCaller(call): AnyCaller) -> Result<HttpResponse, ApiError> {
    let services = edge.services.clone();
    let templates = run(async move { list_own_mail_templates(&services, &call).await }).await?;
    let value: Vec<_> = templates.iter().map(render_template).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// Get the template of a mail
#[utoipa::path(
    tag = "mail",
    operation_id = "getMailTemplate",
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/attestry/v1/mailTemplates/{kind}")]
pub(super) async fn get_template(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let kind = kind(&path)?;
    let services = edge.services.clone();
    let template = run(async move { get_own_mail_template(&services, &call, kind).await }).await?;
    Ok(json_response(StatusCode::OK, &render_template(&template)))
}

/// Write a mail oneself; what is left out is the built-in one's
#[utoipa::path(
    tag = "mail",
    operation_id = "setMailTemplate",
    request_body = MailTemplateBody,
    responses(
        (status = 200),
        (status = 400, body = ErrorBody, description = "Names the member and the line"),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)
    )
)]
#[put("/attestry/v1/mailTemplates/{kind}")]
pub(super) async fn set_template(
    edge: Data<Edge>,
    CallerWithBody(call, body): CallerWithBody,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let kind = kind(&path)?;
    let own = parse_template(&body).map_err(ApiError::bad_request)?;
    let services = edge.services.clone();
    let template = run(async move { set_own_mail_template(&services, &call, kind, own).await }).await?;
    Ok(json_response(StatusCode::OK, &render_template(&template)))
}

/// Go back to the built-in mail
#[utoipa::path(
    tag = "mail",
    operation_id = "removeMailTemplate",
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[delete("/attestry/v1/mailTemplates/{kind}")]
pub(super) async fn remove_template(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let kind = kind(&path)?;
    let services = edge.services.clone();
    run(async move { remove_own_mail_template(&services, &call, kind).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Get the settings of mail
#[utoipa::path(
    tag = "mail",
    operation_id = "getMailSettings",
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/attestry/v1/mailSettings")]
pub(super) async fn get_settings(edge: Data<Edge>, AnyCaller(call): AnyCaller) -> Result<HttpResponse, ApiError> {
    let services = edge.services.clone();
    let settings = run(async move { get_own_mail_settings(&services, &call).await }).await?;
    Ok(json_response(StatusCode::OK, &render_settings(settings)))
}

/// Change the settings of mail; what is left out stays
#[utoipa::path(
    tag = "mail",
    operation_id = "updateMailSettings",
    request_body = MailSettingsBody,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[patch("/attestry/v1/mailSettings")]
pub(super) async fn update_settings(
    edge: Data<Edge>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let change = parse_settings(&body).map_err(ApiError::bad_request)?;
    let services = edge.services.clone();
    let settings =
        run(async move { change_own_mail_settings(&services, &call, |before| change.of(before)).await }).await?;
    Ok(json_response(StatusCode::OK, &render_settings(settings)))
}
