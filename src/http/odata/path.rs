//! One spelling for every path that means the same. Sections 1 of the OData digest and 3.1 of the API, CL-01, CL-04

use std::borrow::Cow;

/// A path below `/v1.0` that names something, but not in a form that is offered. 400 on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `filterByCurrentUser` without its argument, or with another one.
    #[error("filterByCurrentUser takes one argument, whose only value is reviewer: filterByCurrentUser(on='reviewer')")]
    FilterByCurrentUser,
    /// `definitions()`.
    #[error("{0}() needs a key between its parentheses, as in {0}('id')")]
    EmptyKey(&'static str),
}

/// Segments that are followed by a key, by `$count` or by a function.
const COLLECTIONS: &[&str] = &[
    "definitions",
    "instances",
    "stages",
    "decisions",
    "contactedReviewers",
    "historyDefinitions",
    "insights",
    "users",
    "groups",
];

/// Operations that may be qualified with `microsoft.graph.`.
const ACTIONS: &[&str] = &[
    "stop",
    "sendReminder",
    "acceptRecommendations",
    "applyDecisions",
    "stopApplyDecisions",
    "batchRecordDecisions",
    "recordAllDecisions",
    "resetDecisions",
    "batchApplyCustomDataProvidedResourceDecisions",
    "generateDownloadUri",
];

/// All other segments with a fixed spelling.
const OTHERS: &[&str] =
    &["identityGovernance", "accessReviews", "unified", "me", "members", "owners", "$count", "$batch", "$metadata"];

const FUNCTION: &str = "filterByCurrentUser";
const CANONICAL_FUNCTION: &str = "filterByCurrentUser(on='reviewer')";
const NAMESPACE: &str = "microsoft.graph.";
const SERVICE_ROOT: &str = "v1.0";

/// Rewrites a raw (percent-encoded) path to the spelling that the routes are registered under.
///
/// Repeated slashes collapse everywhere. Below `/v1.0`, in any letter case, percent-encoded once or not: known
/// segments get their
/// contract spelling, `microsoft.graph.stop` becomes `stop`, `definitions('id')` becomes `definitions/id`, and a slash
/// at
/// the end is dropped. Keys stay as they came, encoded or not: what stands where a key is expected is never respelled.
///
/// # Errors
/// A function or a key in parentheses in a form that is not offered.
pub fn canonical_path(raw: &str) -> Result<String, PathError> {
    let mut segments = raw.split('/').filter(|segment| !segment.is_empty());
    let below_root = raw.starts_with('/');
    let is_service_root = |first: &str| decode(first).eq_ignore_ascii_case(SERVICE_ROOT);
    if !below_root || !segments.next().is_some_and(is_service_root) {
        return Ok(collapse_slashes(raw));
    }

    let mut path = format!("/{SERVICE_ROOT}");
    let mut push = |segment: &str| {
        path.push('/');
        path.push_str(segment);
    };
    let mut key_expected = false;
    for segment in segments {
        let text = decode(segment);
        if is_function(&text)? {
            push(CANONICAL_FUNCTION);
            key_expected = false;
        } else if key_expected {
            push(if text.eq_ignore_ascii_case("$count") { "$count" } else { segment });
            key_expected = false;
        } else if let Some(name) = spelling(COLLECTIONS, &text) {
            push(name);
            key_expected = true;
        } else if let Some((name, key)) = key_in_parentheses(&text)? {
            push(name);
            push(&key);
        } else if let Some(name) = spelling(ACTIONS, unqualified(&text)).or_else(|| spelling(OTHERS, &text)) {
            push(name);
        } else {
            push(segment);
        }
    }
    Ok(path)
}

fn collapse_slashes(raw: &str) -> String {
    let mut path = String::with_capacity(raw.len());
    for character in raw.chars() {
        if character != '/' || !path.ends_with('/') {
            path.push(character);
        }
    }
    path
}

/// The segment decoded once; as it came when it is not the encoding of a text.
fn decode(segment: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment))
}

fn spelling(known: &[&'static str], text: &str) -> Option<&'static str> {
    known.iter().copied().find(|name| name.eq_ignore_ascii_case(text))
}

fn unqualified(text: &str) -> &str {
    strip_prefix_any_case(text, NAMESPACE).unwrap_or(text)
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Whether the segment calls `filterByCurrentUser`; an error when it does so in a way that is not offered.
fn is_function(text: &str) -> Result<bool, PathError> {
    let Some(rest) = strip_prefix_any_case(unqualified(text), FUNCTION) else { return Ok(false) };
    if !rest.is_empty() && !rest.starts_with('(') {
        return Ok(false);
    }
    let argument = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or_default();
    match argument.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("on") && value.trim() == "'reviewer'" => Ok(true),
        _ => Err(PathError::FilterByCurrentUser),
    }
}

/// `definitions('id')`, `definitions(id)` or `definitions(id='id')` as name and key.
///
/// Only keys that mean the same encoded and decoded are taken out; everything an id of ours can be is such a key.
fn key_in_parentheses(text: &str) -> Result<Option<(&'static str, String)>, PathError> {
    let Some((name, rest)) = text.split_once('(') else { return Ok(None) };
    let Some(name) = spelling(COLLECTIONS, name) else { return Ok(None) };
    let Some(inner) = rest.strip_suffix(')') else { return Ok(None) };
    let inner = inner.trim();
    let key = strip_prefix_any_case(inner, "id=").unwrap_or(inner).trim();
    let key = key.strip_prefix('\'').and_then(|key| key.strip_suffix('\'')).unwrap_or(key);
    if key.is_empty() {
        return Err(PathError::EmptyKey(name));
    }
    is_function(key)?;
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.~@".contains(character);
    Ok(key.chars().all(plain).then(|| (name, key.to_owned())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = "/v1.0/identityGovernance/accessReviews";

    fn canonical(raw: &str) -> String {
        canonical_path(raw).expect("an offered path")
    }

    /// CL-01
    #[test]
    fn repeated_and_trailing_slashes_mean_nothing() {
        assert_eq!(canonical("//v1.0//identityGovernance/accessReviews///definitions/"), format!("{ROOT}/definitions"));
        assert_eq!(canonical("/v1.0/"), "/v1.0");
    }

    #[test]
    fn known_segments_are_accepted_in_any_letter_case() {
        assert_eq!(
            canonical("/V1.0/IDENTITYGOVERNANCE/accessreviews/Definitions/a/INSTANCES/b/Stages/c/STOP"),
            format!("{ROOT}/definitions/a/instances/b/stages/c/stop")
        );
        assert_eq!(canonical("/v1.0/$BATCH"), "/v1.0/$batch");
        assert_eq!(
            canonical(&format!("{ROOT}/historydefinitions/%24COUNT")),
            format!("{ROOT}/historyDefinitions/$count")
        );
    }

    #[test]
    fn a_key_is_never_respelled() {
        assert_eq!(canonical(&format!("{ROOT}/definitions/STOP/stop")), format!("{ROOT}/definitions/STOP/stop"));
        assert_eq!(
            canonical(&format!("{ROOT}/definitions/a%20b%2Fc%27d")),
            format!("{ROOT}/definitions/a%20b%2Fc%27d")
        );
    }

    /// CL-04
    #[test]
    fn filter_by_current_user_is_accepted_literal_encoded_and_qualified() {
        for call in [
            "filterByCurrentUser(on='reviewer')",
            "filterByCurrentUser%28on%3D%27reviewer%27%29",
            "filterbycurrentuser(on='reviewer')",
            "microsoft.graph.filterByCurrentUser(on='reviewer')",
            "Microsoft.Graph.filterByCurrentUser( on = 'reviewer' )".replace(' ', "%20").as_str(),
        ] {
            assert_eq!(
                canonical(&format!("{ROOT}/definitions/{call}")),
                format!("{ROOT}/definitions/filterByCurrentUser(on='reviewer')")
            );
        }
    }

    #[test]
    fn filter_by_current_user_takes_reviewer_and_nothing_else() {
        for call in [
            "filterByCurrentUser",
            "filterByCurrentUser()",
            "filterByCurrentUser(on='owner')",
            "filterByCurrentUser(on=reviewer)",
        ] {
            let refusal = canonical_path(&format!("{ROOT}/definitions/{call}"));
            assert_eq!(refusal, Err(PathError::FilterByCurrentUser), "{call}");
        }
    }

    #[test]
    fn what_is_encoded_twice_is_not_guessed_at() {
        let path = format!("{ROOT}/definitions/filterByCurrentUser%2528on%253D%2527reviewer%2527%2529");
        assert_eq!(canonical(&path), path);
    }

    #[test]
    fn actions_may_be_qualified() {
        assert_eq!(
            canonical(&format!("{ROOT}/definitions/d/instances/i/microsoft.graph.batchRecordDecisions")),
            format!("{ROOT}/definitions/d/instances/i/batchRecordDecisions")
        );
    }

    #[test]
    fn a_key_may_stand_in_parentheses() {
        for form in ["definitions('d')", "Definitions(d)", "definitions(id='d')", "definitions%28%27d%27%29"] {
            assert_eq!(canonical(&format!("{ROOT}/{form}/instances")), format!("{ROOT}/definitions/d/instances"));
        }
        assert_eq!(canonical_path(&format!("{ROOT}/definitions()")), Err(PathError::EmptyKey("definitions")));
    }

    #[test]
    fn a_key_in_parentheses_that_would_change_the_path_stays_where_it_is() {
        for key in ["a%2Fb", "a%3Fb", "$COUNT", "a%20b", "a%2520b", "é"] {
            let path = format!("{ROOT}/definitions('{key}')");
            assert_eq!(canonical(&path), path);
        }
    }

    #[test]
    fn other_paths_only_lose_repeated_slashes() {
        assert_eq!(canonical("/healthz"), "/healthz");
        assert_eq!(canonical("//attestry//v1/Definitions/"), "/attestry/v1/Definitions/");
        assert_eq!(canonical("*"), "*");
        assert_eq!(canonical(""), "");
    }

    /// Paths that are made of the pieces that mean something, next to arbitrary ones.
    fn paths() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("v1.0".to_owned()),
            prop::sample::select(COLLECTIONS).prop_map(str::to_uppercase),
            prop::sample::select(ACTIONS).prop_map(|action| format!("microsoft.graph.{action}")),
            prop::sample::select(OTHERS).prop_map(str::to_owned),
            Just("filterByCurrentUser(on='reviewer')".to_owned()),
            "(definitions|STAGES)\\('?(STOP|\\$COUNT|a%2Fb|%24count|definitions\\(x\\)|filterByCurrentUser|a%2528b|d)'?\\)",
            "[a-zA-Z%0-9()'$=.]{0,12}",
            Just(String::new()),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/v1.0/{}", pieces.join("/")))
    }

    proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_path(raw in paths()) {
            if let Ok(path) = canonical_path(&raw) {
                prop_assert_eq!(canonical_path(&path), Ok(path.clone()));
            }
        }

        #[test]
        fn no_path_makes_the_canonicalisation_panic(raw in ".{0,60}") {
            if let Ok(path) = canonical_path(&raw) {
                prop_assert_eq!(canonical_path(&path), Ok(path.clone()));
            }
        }
    }
}
