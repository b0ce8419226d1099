//! What a request costs, in units: the one table. Section 11 of the protocol
//!
//! | request | units |
//! |---|---|
//! | reading one object | 1 |
//! | `/$count` | 2 |
//! | a page of a list | 2, and 1 for every 50 rows asked for (100 unless the request says otherwise) |
//! | `$expand`, `$count=true` | 1 more each |
//! | `$select`, fewer than 20 rows | 1 less each, never below 1 |
//! | changing one object (PATCH, PUT), an action | 2 |
//! | creating, deleting | 5 |
//! | an action on all items: `batchRecordDecisions`, `acceptRecommendations`, `resetDecisions`, `applyDecisions`, `stop` | 10 |
//! | asking for a report, advancing a sandbox's clock | 20 |
//!
//! The cost is known before the work is done and does not depend on what is found, so that clients can reckon with it.

use std::num::NonZeroU32;

use actix_web::http::{Method, header::HeaderMap};

use crate::http::odata::{
    options::{DEFAULT_PAGE_SIZE, MAX_TOP, Parameters, SystemOption},
    prefer::max_page_size,
};

const ONE: u32 = 1;
const COUNT: u32 = 2;
const PAGE: u32 = 2;
const ROWS_PER_UNIT: u32 = 50;
const FEW_ROWS: u32 = 20;
const CHANGE: u32 = 2;
const CREATE_OR_DELETE: u32 = 5;
const BULK: u32 = 10;
const LONG: u32 = 20;

/// The last segments of paths that answer a page.
const LISTS: [&str; 8] = [
    "definitions",
    "instances",
    "stages",
    "decisions",
    "contactedReviewers",
    "insights",
    "historyDefinitions",
    "filterByCurrentUser(on='reviewer')",
];

/// The units that a request costs. `path` is canonical.
pub fn cost(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> NonZeroU32 {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let units = match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => read(name, query, headers),
        Method::POST => match name {
            "definitions" | "issuers" => CREATE_OR_DELETE,
            "historyDefinitions" | "clock" => LONG,
            "batchRecordDecisions" | "acceptRecommendations" | "resetDecisions" | "applyDecisions" | "stop" => BULK,
            _ => CHANGE,
        },
        Method::DELETE => CREATE_OR_DELETE,
        _ => CHANGE,
    };
    NonZeroU32::new(units).unwrap_or(NonZeroU32::MIN)
}

fn read(name: &str, query: &str, headers: &HeaderMap) -> u32 {
    if name == "$count" {
        return COUNT;
    }
    let is_list = LISTS.contains(&name);
    // What cannot be read is refused a little later, and costs as if it asked for nothing special.
    let options = if query.is_empty() { Parameters::default() } else { Parameters::read(query).unwrap_or_default() };
    let more = u32::from(options.get(SystemOption::Expand).is_some())
        + u32::from(options.get(SystemOption::Count).is_some_and(|count| count == "true"));
    let mut less = u32::from(options.get(SystemOption::Select).is_some());
    let mut units = ONE;
    if is_list {
        let top = options.get(SystemOption::Top).and_then(|top| top.parse().ok()).unwrap_or(DEFAULT_PAGE_SIZE);
        let rows = max_page_size(headers).map_or(top, |preferred| preferred.min(top)).min(MAX_TOP);
        units = PAGE + rows / ROWS_PER_UNIT;
        less += u32::from(rows < FEW_ROWS);
    }
    (units + more).saturating_sub(less).max(ONE)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const ROOT: &str = "/v1.0/identityGovernance/accessReviews";

    fn units(method: &Method, path: &str, query: &str) -> u32 {
        cost(method, &format!("{ROOT}{path}"), query, &HeaderMap::new()).get()
    }

    #[test]
    fn reading_costs_by_the_rows_asked_for() {
        let get = |path: &str, query: &str| units(&Method::GET, path, query);
        assert_eq!(get("/definitions/d/instances/i/decisions/x", ""), 1);
        assert_eq!(get("/definitions/d", "$select=id"), 1);
        assert_eq!(get("/definitions/d", "$expand=instances"), 2);
        assert_eq!(get("/definitions/$count", ""), 2);
        assert_eq!(get("/definitions/d/instances/i/decisions", ""), 4);
        assert_eq!(get("/definitions/d/instances/i/decisions", "$select=id"), 3);
        assert_eq!(get("/definitions", "%24top=10&$select=id"), 1);
        assert_eq!(get("/definitions", "$TOP=999&$count=true&$expand=instances"), 23);
        assert_eq!(get("/definitions", "$top=4000000000"), 21);
        assert_eq!(get("/definitions", "$top=1&$top=2"), 4);
        assert_eq!(get("/definitions/d/instances/i/decisions/filterByCurrentUser(on='reviewer')", ""), 4);

        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("prefer"), HeaderValue::from_static("odata.maxpagesize=50"));
        assert_eq!(cost(&Method::GET, "/definitions", "", &headers).get(), 3);
    }

    #[test]
    fn changing_costs_by_what_it_may_touch() {
        assert_eq!(units(&Method::PATCH, "/definitions/d/instances/i/decisions/x", ""), 2);
        assert_eq!(units(&Method::PUT, "/definitions/d", ""), 2);
        assert_eq!(units(&Method::POST, "/definitions/d/instances/i/sendReminder", ""), 2);
        assert_eq!(units(&Method::POST, "/definitions", ""), 5);
        assert_eq!(units(&Method::DELETE, "/definitions/d", ""), 5);
        for action in ["batchRecordDecisions", "acceptRecommendations", "resetDecisions", "applyDecisions", "stop"] {
            assert_eq!(units(&Method::POST, &format!("/definitions/d/instances/i/{action}"), ""), 10);
        }
        assert_eq!(units(&Method::POST, "/historyDefinitions", ""), 20);
        assert_eq!(cost(&Method::POST, "/attestry/v1/sandbox/clock", "", &HeaderMap::new()).get(), 20);
    }
}
