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
mod shapes;
mod stages;
mod view;

use actix_web::http::Method;
pub use callers::Callers;
pub use lists::PageKeys;
use schema::BearerToken;
use shapes::{Offers, answer_all};
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
    // A path is compared with one shape after the other, so what is asked most often comes first: single items, then lists of them, in
    // instances and in stages. Within a collection functions and `$count` come before keys, with all their verbs: they would pass for ids.
    config
        .offer(definitions::list)
        .offer(definitions::create)
        .offer(decisions::list_mine)
        .offer(decisions::count_mine)
        .offer(decisions::count)
        .map(|config| function_refusals(config, &[DECISIONS]))
        .offer(decisions::get)
        .offer(decisions::update)
        .offer(decisions::list)
        .offer(decisions::list_stage_mine)
        .offer(decisions::count_stage_mine)
        .offer(decisions::count_stage)
        .map(|config| function_refusals(config, &[STAGE_DECISIONS]))
        .offer(decisions::get_stage)
        .offer(decisions::update_stage)
        .offer(decisions::list_stage)
        .offer(definitions::list_mine)
        .offer(instances::list_mine)
        .offer(stages::list_mine)
        .offer(definitions::count_mine)
        .offer(instances::count_mine)
        .offer(stages::count_mine)
        .offer(definitions::count)
        .offer(instances::count)
        .offer(stages::count)
        .offer(contacted_reviewers::count)
        .offer(insights::count)
        .offer(insights::count_stage)
        .map(|config| function_refusals(config, &["", INSTANCES, STAGES]))
        .map(count_refusals)
        .offer(review_set::get)
        .offer(definitions::get)
        .offer(definitions::replace)
        .offer(definitions::update)
        .offer(definitions::stop)
        .offer(definitions::delete)
        .offer(instances::list)
        .offer(instances::get)
        .offer(instances::replace)
        .offer(instances::update)
        .offer(instances::remind)
        .offer(instances::stop)
        .offer(contacted_reviewers::list)
        .offer(contacted_reviewers::get)
        .offer(stages::list)
        .offer(stages::get)
        .offer(stages::update)
        .offer(stages::stop)
        .offer(batch::batch)
        .offer(bulk::batch_instance)
        .offer(bulk::batch_stage)
        .offer(bulk::accept_instance)
        .offer(bulk::accept_stage)
        .offer(bulk::reset)
        .offer(bulk::apply)
        .offer(insights::list)
        .offer(insights::get)
        .offer(insights::list_stage)
        .offer(insights::get_stage)
        .offer(sandbox::advance_clock)
        .offer(issuers::list)
        .offer(issuers::add)
        .offer(issuers::get)
        .offer(issuers::update)
        .offer(issuers::remove)
        .offer(review_settings::get)
        .offer(review_settings::update)
        .offer(mail::list_templates)
        .offer(mail::get_template)
        .offer(mail::set_template)
        .offer(mail::remove_template)
        .offer(mail::get_settings)
        .offer(mail::update_settings)
        .offer(history::count)
        .offer(history::count_instances)
        .map(history_refusals)
        .offer(history::list)
        .offer(history::create)
        .offer(history::get)
        .offer(history::update)
        .offer(history::delete)
        .offer(history::list_instances)
        .offer(history::get_instance)
        .offer(history::generate_link)
        .offer(history_download::download);
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
            answer_all(config, &path, other_methods(&path, &[Method::GET]));
        }
    }
    config
}

/// The same on the counts of what has no functions.
fn count_refusals(config: &mut actix_web::web::ServiceConfig) -> &mut actix_web::web::ServiceConfig {
    let instance = format!("{ROOT}/definitions/{{definition}}/instances/{{instance}}");
    for path in ["contactedReviewers", "decisions/{item}/insights", "stages/{stage}/decisions/{item}/insights"] {
        let path = format!("{instance}/{path}/$count");
        answer_all(config, &path, other_methods(&path, &[Method::GET]));
    }
    config
}

/// The same on the counts of reports.
fn history_refusals(config: &mut actix_web::web::ServiceConfig) -> &mut actix_web::web::ServiceConfig {
    let definitions = format!("{ROOT}/historyDefinitions");
    for path in [format!("{definitions}/$count"), format!("{definitions}/{{historyDefinition}}/instances/$count")] {
        answer_all(config, &path, other_methods(&path, &[Method::GET]));
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
        answer_all(config, &path, other_methods_because(&path, offered, reason));
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
