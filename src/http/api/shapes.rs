//! Which paths an operation is asked for at, found without a regular expression.
//!
//! actix compares a path with one resource after the other, each by a regular expression that runs through all that the paths of
//! reviews have in common before it fails: at the fiftieth that was a third of a request. A shape fails after a few comparisons,
//! and only where it fits is the expression asked, for the keys.

use actix_web::{
    dev::HttpServiceFactory,
    guard::{Guard, GuardContext},
    http::Method,
    web,
};
use utoipa::openapi::path::{PathItem, Paths};
use utoipa_actix_web::{OpenApiFactory, scope::scope, service_config::ServiceConfig};

/// Below this every path comes in its one spelling, before it is routed: what is compared here is the path as it was sent.
const CANONICAL: &str = "/v1.0/";

/// A pattern between whose keys stands fixed text, and the verb that is answered there.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    /// `None`: every verb.
    method: Option<Method>,
    /// Before the first key, between keys and behind the last one, where it may be empty.
    texts: Vec<String>,
}

impl Shape {
    /// `None` of what has no key, which costs nothing to compare, and of what is not spelled canonically.
    fn of(pattern: &str, method: Option<Method>) -> Option<Self> {
        let mut pieces = pattern.strip_prefix(CANONICAL)?.split('{');
        let mut texts = vec![format!("{CANONICAL}{}", pieces.next()?)];
        for piece in pieces {
            let (key, text) = piece.split_once('}')?;
            if key.contains(':') {
                // More than one segment.
                return None;
            }
            texts.push(text.to_owned());
        }
        (texts.len() > 1).then_some(Self { method, texts })
    }

    fn fits(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|answered| answered == method) && self.fits_path(path).is_some()
    }

    fn fits_path(&self, path: &str) -> Option<()> {
        let (first, others) = self.texts.split_first()?;
        let mut rest = path.strip_prefix(first.as_str())?;
        for text in others {
            let key = rest.find('/').unwrap_or(rest.len());
            rest = rest[key..].strip_prefix(text.as_str()).filter(|_| key > 0)?;
        }
        rest.is_empty().then_some(())
    }
}

impl Guard for Shape {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        let head = context.head();
        self.fits(&head.method, head.uri.path())
    }
}

/// Registers operations behind their shapes.
pub(super) trait Offers {
    /// Registers the operation, for actix and for the API document.
    fn offer<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, operation: F) -> &mut Self;
}

impl Offers for ServiceConfig<'_> {
    fn offer<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, operation: F) -> &mut Self {
        match shape_of(&operation.paths()) {
            Some(shape) => self.service(scope("").guard(shape).service(operation)),
            None => self.service(operation),
        }
    }
}

/// Registers, behind the shape of its pattern, what answers every verb there.
pub(super) fn answer_all<F: HttpServiceFactory + 'static>(config: &mut web::ServiceConfig, pattern: &str, resource: F) {
    match Shape::of(pattern, None) {
        Some(shape) => config.service(web::scope("").guard(shape).service(resource)),
        None => config.service(resource),
    };
}

/// Of an operation, which has one path and one verb.
fn shape_of(paths: &Paths) -> Option<Shape> {
    let (pattern, item) = paths.paths.first_key_value()?;
    Shape::of(pattern, Some(verb_of(item)?))
}

fn verb_of(item: &PathItem) -> Option<Method> {
    let verbs = [
        (&item.get, Method::GET),
        (&item.patch, Method::PATCH),
        (&item.post, Method::POST),
        (&item.put, Method::PUT),
        (&item.delete, Method::DELETE),
    ];
    verbs.into_iter().find_map(|(operation, verb)| operation.is_some().then_some(verb))
}

#[cfg(test)]
mod tests {
    use actix_web::dev::ResourceDef;

    use super::*;
    use crate::http::{odata::path::canonical_path, server::api_document};

    const INSTANCE: &str = "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}";

    fn shape(pattern: &str) -> Shape {
        Shape::of(pattern, None).expect("a pattern with keys")
    }

    #[test]
    fn a_shape_fits_what_its_pattern_matches() {
        let patterns = patterns();
        let keyed: Vec<_> = patterns.iter().filter(|pattern| Shape::of(pattern, None).is_some()).collect();
        assert!(keyed.len() > 30, "{keyed:?}");

        let keys = ["a", "$count", "stop", "filterByCurrentUser(on='reviewer')", "", "a/b", "%2F", "ä", "a%20b"];
        for path in patterns.iter().flat_map(|pattern| keys.map(|key| with_keys(pattern, key))) {
            for pattern in &keyed {
                let matched = ResourceDef::new(pattern.as_str()).is_match(&path);
                assert_eq!(shape(pattern).fits(&Method::GET, &path), matched, "{path} at {pattern}");
            }
        }
    }

    /// Fixed text that can be spelled otherwise would be missed.
    #[test]
    fn what_is_fixed_in_a_pattern_has_one_spelling() {
        for pattern in patterns().iter().filter(|path| path.starts_with(CANONICAL)) {
            let path = with_keys(pattern, "key");
            assert_eq!(canonical_path(&path), Ok(path.clone()));
            let spelled_otherwise: Vec<_> = path.split('/').map(encoded).collect();
            let canonical = canonical_path(&spelled_otherwise.join("/")).unwrap();
            assert_eq!(canonical.replace(&encoded("key"), "key"), path);
        }
    }

    fn patterns() -> Vec<String> {
        api_document().served_at("")["paths"].as_object().unwrap().keys().cloned().collect()
    }

    fn with_keys(pattern: &str, key: &str) -> String {
        let pieces = pattern.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, text)| text));
        pieces.collect::<Vec<_>>().join(key)
    }

    fn encoded(segment: &str) -> String {
        segment.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn a_shape_answers_its_verb_and_has_keys() {
        let changes = Shape::of(&format!("{INSTANCE}/stages/{{stage}}"), Some(Method::PATCH)).unwrap();
        let path = with_keys(&format!("{INSTANCE}/stages/{{stage}}"), "a");

        assert!(changes.fits(&Method::PATCH, &path));
        assert!(!changes.fits(&Method::GET, &path));
        assert_eq!(Shape::of("/v1.0/identityGovernance/accessReviews/definitions", None), None);
        assert_eq!(Shape::of("/attestry/v1/issuers/{issuer}", None), None);
        assert_eq!(Shape::of("/v1.0/identityGovernance/{rest:.*}", None), None);
    }
}
