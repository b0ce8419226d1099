//! The routes: one handler per operation of the API, registered once for actix and for the API document.

mod batch;
mod bodies;
mod bulk;
mod callers;
mod contacted_reviewers;
mod decisions;
mod definitions;
pub mod document;
mod extract;
mod history;
mod history_bodies;
mod history_download;
mod history_link;
mod insights;
mod instances;
mod issuers;
mod item_body;
mod lists;
mod mail;
mod review_set;
mod review_settings;
mod sandbox;
mod schema;
mod stages;
mod view;

use actix_web::http::Method;
pub use callers::Callers;
pub use lists::PageKeys;
use schema::BearerToken;
use utoipa::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    app::Refused,
    http::{
        error::ApiError,
        request_ids::{other_methods, other_methods_because},
    },
    store::StoreError,
};

/// Below this everything of Graph's access reviews lives.
const ROOT: &str = "/v1.0/identityGovernance/accessReviews";

/// Its requests are counted one by one instead.
const BATCH: &str = "/v1.0/$batch";

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
    // A path is compared with one resource after the other, each by a regular expression, so what costs nothing to compare and what is
    // asked most often comes first: lists of items, whose comparison is a good part of what a page costs, then single items, in
    // instances and in stages. Within a collection functions and `$count` come before keys, with all their verbs: they would pass for ids.
    config
        .service(definitions::list)
        .service(definitions::create)
        .service(decisions::list)
        .service(decisions::list_mine)
        .service(decisions::count_mine)
        .service(decisions::count)
        .map(|config| function_refusals(config, &[DECISIONS]))
        .service(decisions::get)
        .service(decisions::update)
        .service(decisions::list_stage_mine)
        .service(decisions::count_stage_mine)
        .service(decisions::count_stage)
        .map(|config| function_refusals(config, &[STAGE_DECISIONS]))
        .service(decisions::get_stage)
        .service(decisions::update_stage)
        .service(decisions::list_stage)
        .service(definitions::list_mine)
        .service(instances::list_mine)
        .service(stages::list_mine)
        .service(definitions::count_mine)
        .service(instances::count_mine)
        .service(stages::count_mine)
        .service(definitions::count)
        .service(instances::count)
        .service(stages::count)
        .service(contacted_reviewers::count)
        .service(insights::count)
        .service(insights::count_stage)
        .map(|config| function_refusals(config, &["", INSTANCES, STAGES]))
        .map(count_refusals)
        .service(review_set::get)
        .service(definitions::get)
        .service(definitions::replace)
        .service(definitions::update)
        .service(definitions::stop)
        .service(definitions::delete)
        .service(instances::list)
        .service(instances::get)
        .service(instances::replace)
        .service(instances::update)
        .service(instances::remind)
        .service(instances::stop)
        .service(contacted_reviewers::list)
        .service(contacted_reviewers::get)
        .service(stages::list)
        .service(stages::get)
        .service(stages::update)
        .service(stages::stop)
        .service(batch::batch)
        .service(bulk::batch_instance)
        .service(bulk::batch_stage)
        .service(bulk::accept_instance)
        .service(bulk::accept_stage)
        .service(bulk::reset)
        .service(bulk::apply)
        .service(insights::list)
        .service(insights::get)
        .service(insights::list_stage)
        .service(insights::get_stage)
        .service(sandbox::advance_clock)
        .service(issuers::list)
        .service(issuers::add)
        .service(issuers::get)
        .service(issuers::update)
        .service(issuers::remove)
        .service(review_settings::get)
        .service(review_settings::update)
        .service(mail::list_templates)
        .service(mail::get_template)
        .service(mail::set_template)
        .service(mail::remove_template)
        .service(mail::get_settings)
        .service(mail::update_settings)
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

/// Where collections are, below the definitions.
const INSTANCES: &str = "/{definition}/instances";
const STAGES: &str = "/{definition}/instances/{instance}/stages";
const DECISIONS: &str = "/{definition}/instances/{instance}/decisions";
const STAGE_DECISIONS: &str = "/{definition}/instances/{instance}/stages/{stage}/decisions";

/// Answers 405 with `Allow` to all verbs but GET on the functions and the counts of these collections.
fn function_refusals<'a>(
    config: &'a mut actix_web::web::ServiceConfig,
    collections: &[&str],
) -> &'a mut actix_web::web::ServiceConfig {
    for collection in collections {
        let collection = format!("{ROOT}/definitions{collection}");
        let function = format!("{collection}/filterByCurrentUser(on='reviewer')");
        for path in [format!("{function}/$count"), function, format!("{collection}/$count")] {
            config.service(other_methods(&path, &[Method::GET]));
        }
    }
    config
}

/// The same on the counts of what has no functions.
fn count_refusals(config: &mut actix_web::web::ServiceConfig) -> &mut actix_web::web::ServiceConfig {
    let instance = format!("{ROOT}/definitions/{{definition}}/instances/{{instance}}");
    for path in ["contactedReviewers", "decisions/{item}/insights", "stages/{stage}/decisions/{item}/insights"] {
        config.service(other_methods(&format!("{instance}/{path}/$count"), &[Method::GET]));
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

/// Answers 405 with `Allow` to the verbs that [`routes`] does not offer, and 404 to what is not offered at all. To be registered
/// after them.
pub fn refusals(config: &mut actix_web::web::ServiceConfig) {
    const READ: &[Method] = &[Method::GET];
    const COLLECTION: &[Method] = &[Method::GET, Method::POST];
    const CHANGEABLE: &[Method] = &[Method::GET, Method::PUT, Method::PATCH];
    const DELETABLE: &[Method] = &[Method::GET, Method::PUT, Method::PATCH, Method::DELETE];
    const PATCHABLE: &[Method] = &[Method::GET, Method::PATCH];
    const ACTION: &[Method] = &[Method::POST];
    const WHOLE: &[Method] = &[Method::GET, Method::PATCH, Method::DELETE];
    const SET: &str = "The set of access reviews is the same everywhere and can only be read.";
    const OF_DEFINITIONS: &str = "Definitions are created here, and changed or deleted one by one.";
    const OF_A_DEFINITION: &str = "A definition is read, replaced, changed and deleted.";
    const OF_INSTANCES: &str =
        "Instances are made by the service as their occurrences come; they are not created or deleted by clients.";
    const OF_STAGES: &str =
        "Stages are made by the service, one after the other; they are not created or deleted by clients.";
    const OF_ITEMS: &str = "Decision items are made by the service when a review starts; they are not created or deleted by \
                            clients, only answered.";
    const OF_REVIEWERS: &str = "Contacted reviewers are a record that the service keeps; change the reviewers of the \
                                instance or stage instead.";
    const OF_ACTIONS: &str = "An action is called with POST.";
    const OF_REPORTS: &str = "Reports are asked for here, and renamed or deleted one by one.";
    const OF_RUNS: &str =
        "Runs of a report are made by the service; they are not created, changed or deleted by clients.";
    const OF_A_LINK: &str = "A link is there to read what it leads to.";
    let history = format!("{ROOT}/historyDefinitions/{{historyDefinition}}");
    const OF_SETTINGS: &str = "Review settings are there from the start; they are read, and changed with PATCH.";
    const OF_ISSUERS: &str = "Token issuers are listed, registered, read, changed with PATCH and removed.";
    const OF_TEMPLATES: &str =
        "There is a template for each of the seven mails; one by one they are read, set with PUT and removed.";
    const OF_MAIL: &str = "Settings of mail are read, and changed with PATCH.";
    let definition = format!("{ROOT}/definitions/{{definition}}");
    let instance = format!("{definition}/instances/{{instance}}");
    let stage = format!("{instance}/stages/{{stage}}");
    for (path, offered, reason) in [
        (ROOT.to_owned(), READ, SET),
        (format!("{ROOT}/definitions"), COLLECTION, OF_DEFINITIONS),
        (definition.clone(), DELETABLE, OF_A_DEFINITION),
        (format!("{definition}/stop"), ACTION, OF_ACTIONS),
        (format!("{definition}/instances"), READ, OF_INSTANCES),
        (instance.clone(), CHANGEABLE, OF_INSTANCES),
        (format!("{instance}/stop"), ACTION, OF_ACTIONS),
        (format!("{instance}/sendReminder"), ACTION, OF_ACTIONS),
        (format!("{instance}/batchRecordDecisions"), ACTION, OF_ACTIONS),
        (format!("{instance}/acceptRecommendations"), ACTION, OF_ACTIONS),
        (format!("{instance}/resetDecisions"), ACTION, OF_ACTIONS),
        (format!("{instance}/applyDecisions"), ACTION, OF_ACTIONS),
        (format!("{instance}/contactedReviewers"), READ, OF_REVIEWERS),
        (format!("{instance}/contactedReviewers/{{reviewer}}"), READ, OF_REVIEWERS),
        (format!("{instance}/stages"), READ, OF_STAGES),
        (stage.clone(), PATCHABLE, OF_STAGES),
        (format!("{stage}/stop"), ACTION, OF_ACTIONS),
        (format!("{stage}/batchRecordDecisions"), ACTION, OF_ACTIONS),
        (format!("{stage}/acceptRecommendations"), ACTION, OF_ACTIONS),
        (format!("{instance}/decisions"), READ, OF_ITEMS),
        (format!("{instance}/decisions/{{item}}"), PATCHABLE, OF_ITEMS),
        (format!("{instance}/decisions/{{item}}/insights"), READ, OF_ITEMS),
        (format!("{instance}/decisions/{{item}}/insights/{{insight}}"), READ, OF_ITEMS),
        (format!("{stage}/decisions"), READ, OF_ITEMS),
        (format!("{stage}/decisions/{{item}}"), PATCHABLE, OF_ITEMS),
        (format!("{stage}/decisions/{{item}}/insights"), READ, OF_ITEMS),
        (format!("{stage}/decisions/{{item}}/insights/{{insight}}"), READ, OF_ITEMS),
        (BATCH.to_owned(), ACTION, OF_ACTIONS),
        ("/attestry/v1/sandbox/clock".to_owned(), ACTION, OF_ACTIONS),
        (format!("{ROOT}/historyDefinitions"), COLLECTION, OF_REPORTS),
        (history.clone(), WHOLE, OF_REPORTS),
        (format!("{history}/instances"), READ, OF_RUNS),
        (format!("{history}/instances/{{historyInstance}}"), READ, OF_RUNS),
        (format!("{history}/instances/{{historyInstance}}/generateDownloadUri"), ACTION, OF_ACTIONS),
        (format!("{}/{{link}}", history_link::DOWNLOADS), READ, OF_A_LINK),
        ("/attestry/v1/reviewSettings".to_owned(), PATCHABLE, OF_SETTINGS),
        ("/attestry/v1/issuers".to_owned(), COLLECTION, OF_ISSUERS),
        ("/attestry/v1/issuers/{issuer}".to_owned(), &[Method::GET, Method::PATCH, Method::DELETE], OF_ISSUERS),
        ("/attestry/v1/mailTemplates".to_owned(), READ, OF_TEMPLATES),
        ("/attestry/v1/mailTemplates/{kind}".to_owned(), &[Method::GET, Method::PUT, Method::DELETE], OF_TEMPLATES),
        ("/attestry/v1/mailSettings".to_owned(), PATCHABLE, OF_MAIL),
    ] {
        config.service(other_methods_because(&path, offered, reason));
    }
    for absent in review_set::not_offered() {
        config.service(absent);
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
            Refused::TooOften(too_soon) => {
                Self::too_many_requests(too_soon.retry_after_seconds).saying(too_soon.to_string())
            }
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
