//! The routes: one handler per operation of the API, registered once for actix and for the API document.

mod bodies;
mod bulk;
mod decisions;
mod definitions;
mod extract;
mod history;
mod history_bodies;
mod history_download;
mod history_link;
mod instances;
mod lists;
mod sandbox;
mod schema;
mod stages;
mod view;

use actix_web::http::Method;
pub use extract::DirectoryRoles;
pub use lists::PageKeys;
use schema::BearerToken;
use utoipa::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    app::Refused,
    http::{error::ApiError, request_ids::other_methods},
    store::StoreError,
};

/// Below this everything of Graph's access reviews lives.
const ROOT: &str = "/v1.0/identityGovernance/accessReviews";

/// The API document without its paths, which come from the registration in [`routes`].
#[derive(OpenApi)]
#[openapi(
    info(
        title = "attestry",
        description = "Access reviews, wire-compatible with Microsoft Graph v1.0 /identityGovernance/accessReviews."
    ),
    components(schemas(schema::ErrorBody)),
    modifiers(&BearerToken),
    security(("bearer" = []))
)]
pub struct Document;

/// Registers every operation.
pub fn routes(config: &mut ServiceConfig) {
    // Functions and `$count` come before keys, with all their verbs: they would pass for ids.
    config
        .service(definitions::list_mine)
        .service(instances::list_mine)
        .service(stages::list_mine)
        .service(decisions::list_mine)
        .service(decisions::list_stage_mine)
        .service(definitions::count_mine)
        .service(instances::count_mine)
        .service(stages::count_mine)
        .service(decisions::count_mine)
        .service(decisions::count_stage_mine)
        .service(definitions::count)
        .service(instances::count)
        .service(stages::count)
        .service(decisions::count)
        .service(decisions::count_stage)
        .map(function_refusals)
        .service(definitions::list)
        .service(definitions::create)
        .service(definitions::get)
        .service(definitions::delete)
        .service(instances::list)
        .service(instances::get)
        .service(instances::stop)
        .service(stages::list)
        .service(stages::get)
        .service(stages::update)
        .service(stages::stop)
        .service(decisions::list)
        .service(decisions::get)
        .service(decisions::update)
        .service(decisions::list_stage)
        .service(decisions::get_stage)
        .service(decisions::update_stage)
        .service(bulk::batch_instance)
        .service(bulk::batch_stage)
        .service(bulk::accept_instance)
        .service(bulk::accept_stage)
        .service(bulk::reset)
        .service(sandbox::advance_clock)
        .service(history::count)
        .service(history::count_instances)
        .map(history_refusals)
        .service(history::list)
        .service(history::create)
        .service(history::get)
        .service(history::update)
        .service(history::delete)
        .service(history::list_instances)
        .service(history::get_instance)
        .service(history::generate_link)
        .service(history_download::download);
}

/// Answers 405 with `Allow` to all verbs but GET on the functions and the counts.
fn function_refusals(config: &mut actix_web::web::ServiceConfig) -> &mut actix_web::web::ServiceConfig {
    let definitions = format!("{ROOT}/definitions");
    let instances = format!("{definitions}/{{definition}}/instances");
    let instance = format!("{instances}/{{instance}}");
    for collection in [
        definitions,
        instances,
        format!("{instance}/stages"),
        format!("{instance}/decisions"),
        format!("{instance}/stages/{{stage}}/decisions"),
    ] {
        let function = format!("{collection}/filterByCurrentUser(on='reviewer')");
        for path in [format!("{function}/$count"), function, format!("{collection}/$count")] {
            config.service(other_methods(&path, &[Method::GET]));
        }
    }
    config
}

/// The same on the counts of reports.
fn history_refusals(config: &mut actix_web::web::ServiceConfig) -> &mut actix_web::web::ServiceConfig {
    let definitions = format!("{ROOT}/historyDefinitions");
    for path in [format!("{definitions}/$count"), format!("{definitions}/{{historyDefinition}}/instances/$count")] {
        config.service(other_methods(&path, &[Method::GET]));
    }
    config
}

/// Answers 405 with `Allow` to the verbs that [`routes`] does not offer. To be registered after them.
pub fn refusals(config: &mut actix_web::web::ServiceConfig) {
    const READ: &[Method] = &[Method::GET];
    const COLLECTION: &[Method] = &[Method::GET, Method::POST];
    const DELETABLE: &[Method] = &[Method::GET, Method::DELETE];
    const PATCHABLE: &[Method] = &[Method::GET, Method::PATCH];
    const ACTION: &[Method] = &[Method::POST];
    const WHOLE: &[Method] = &[Method::GET, Method::PATCH, Method::DELETE];
    let history = format!("{ROOT}/historyDefinitions/{{historyDefinition}}");
    let definition = format!("{ROOT}/definitions/{{definition}}");
    let instance = format!("{definition}/instances/{{instance}}");
    let stage = format!("{instance}/stages/{{stage}}");
    for (path, offered) in [
        (format!("{ROOT}/definitions"), COLLECTION),
        (definition.clone(), DELETABLE),
        (format!("{definition}/instances"), READ),
        (instance.clone(), READ),
        (format!("{instance}/stop"), ACTION),
        (format!("{instance}/batchRecordDecisions"), ACTION),
        (format!("{instance}/acceptRecommendations"), ACTION),
        (format!("{instance}/resetDecisions"), ACTION),
        (format!("{instance}/stages"), READ),
        (stage.clone(), PATCHABLE),
        (format!("{stage}/stop"), ACTION),
        (format!("{stage}/batchRecordDecisions"), ACTION),
        (format!("{stage}/acceptRecommendations"), ACTION),
        (format!("{instance}/decisions"), READ),
        (format!("{instance}/decisions/{{item}}"), PATCHABLE),
        (format!("{stage}/decisions"), READ),
        (format!("{stage}/decisions/{{item}}"), PATCHABLE),
        ("/attestry/v1/sandbox/clock".to_owned(), ACTION),
        (format!("{ROOT}/historyDefinitions"), COLLECTION),
        (history.clone(), WHOLE),
        (format!("{history}/instances"), READ),
        (format!("{history}/instances/{{historyInstance}}"), READ),
        (format!("{history}/instances/{{historyInstance}}/generateDownloadUri"), ACTION),
        (format!("{}/{{link}}", history_link::DOWNLOADS), READ),
    ] {
        config.service(other_methods(&path, offered));
    }
}

/// Seconds after which a busy or unreachable database may be asked again.
const RETRY_AFTER_SECONDS: u32 = 2;

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound => Self::not_found(),
            Refused::Forbidden(reason) => Self::forbidden(reason.to_string()),
            Refused::InvalidState(message) => Self::invalid_review_state(message),
            Refused::Invalid(violations) => Self::bad_request(violations),
            Refused::Unsupported { target, message } => Self::unsupported_query(message).with_target(target),
            Refused::Conflict(message) => Self::conflict(message),
            Refused::Gone(message) => Self::gone(message),
            Refused::PreconditionFailed(_) => Self::precondition_failed(),
            // Nothing was written, so the client may repeat what it did. CL-27
            Refused::Store(StoreError::Busy(_) | StoreError::Unavailable(_)) => {
                Self::service_unavailable(RETRY_AFTER_SECONDS)
            }
            Refused::Store(
                error @ (StoreError::Unknown(_)
                | StoreError::Refused { .. }
                | StoreError::Corrupt { .. }
                | StoreError::LeaseLost
                | StoreError::Other(_)),
            ) => Self::internal(error),
        }
    }
}
