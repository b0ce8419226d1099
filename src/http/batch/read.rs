//! The body of a batch. What is wrong with the batch itself refuses all of it; what is wrong with one request is that one's answer.

use actix_web::{
    http::{
        Method, Uri,
        header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
    web::Bytes,
};
use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use super::{MAX_REQUESTS, in_order};
use crate::{
    domain::violation::Violation,
    http::{
        error::{ApiError, ErrorCode},
        json_reader::{Faults, ObjectReader, Sent},
        odata::path::canonical_path,
    },
};

const ROOT: &str = "/v1.0";
const BATCH: &str = "/v1.0/$batch";
/// What a URL cannot hold as it is; `%` stands, for it begins what is encoded already.
const ILLEGAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// Headers of a request that mean the connection, or would change who calls.
const NOT_PASSED_ON: [&str; 8] =
    ["accept-encoding", "connection", "content-length", "expect", "host", "origin", "transfer-encoding", "upgrade"];

/// One request of a batch.
#[derive(Debug)]
pub struct BatchItem {
    /// As sent.
    pub id: String,
    /// Positions of the requests whose success it needs.
    pub depends_on: Vec<usize>,
    /// What to do, or why it cannot be done.
    pub request: Result<ItemRequest, ApiError>,
}

/// A request ready to be made.
#[derive(Clone, Debug)]
pub struct ItemRequest {
    pub method: Method,
    /// Path and query below the service's own address.
    pub uri: Uri,
    /// Those of the item, with the batch's authorization.
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Under which addresses a client may name this service.
pub struct OwnAddress<'a> {
    /// Scheme, host and perhaps a path. CL-02
    pub public_url: &'a str,
    /// The `Host` that the batch was sent to.
    pub host: Option<&'a str>,
}

/// The requests of a batch in the order given, and the order to run them in.
///
/// # Errors
/// Every fault of the batch itself: not 1 to 20 requests, ids missing or used twice (without regard to letter case),
/// dependencies that are not there or go in a circle, unknown members.
pub fn read(
    body: &Value,
    address: &OwnAddress<'_>,
    authorization: Option<&HeaderValue>,
) -> Result<(Vec<BatchItem>, Vec<usize>), Vec<Violation>> {
    let faults = Faults::default();
    let mut items = Vec::new();
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        let requests = match reader.raw("requests") {
            Sent::Value(Value::Array(requests)) => requests.as_slice(),
            _ => &[],
        };
        if !(1..=MAX_REQUESTS).contains(&requests.len()) {
            reader.report("requests", format!("must be a list of 1 to {MAX_REQUESTS} requests"));
        }
        reader.finish();
        if faults.is_empty() {
            items = named(requests, &faults);
        }
    }
    let read: Vec<_> = items
        .into_iter()
        .map(|item| BatchItem {
            id: item.id,
            depends_on: item.depends_on,
            request: item.draft.into_request(address, authorization),
        })
        .collect();
    match faults.is_empty().then(|| in_order(&read, &faults)).flatten() {
        Some(order) => Ok((read, order)),
        None => Err(faults.into_violations()),
    }
}

/// A request as it was sent.
#[derive(Default)]
struct Draft {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Value>,
}

struct Named {
    id: String,
    depends_on: Vec<usize>,
    draft: Draft,
}

fn named(requests: &[Value], faults: &Faults) -> Vec<Named> {
    let mut ids: Vec<String> = Vec::new();
    let mut wanted: Vec<Vec<(String, String)>> = Vec::new();
    let mut drafts = Vec::new();
    for (position, request) in requests.iter().enumerate() {
        let Some(mut reader) = ObjectReader::new(format!("requests[{position}]"), request, faults) else { continue };
        let id = reader.required_text("id").unwrap_or_default();
        if ids.iter().any(|other| !id.is_empty() && other.to_lowercase() == id.to_lowercase()) {
            reader.report("id", "is used by another request; ids differ by more than letter case");
        }
        let mut dependencies = Vec::new();
        // Python's helper writes the name as its own language does. CL-29
        for name in ["dependsOn", "depends_on"] {
            let list = reader.texts(name, MAX_REQUESTS).unwrap_or_default();
            dependencies.extend(list.into_iter().map(|(path, id)| (path, id.to_owned())));
        }
        let headers = match reader.raw("headers") {
            Sent::Value(Value::Object(headers)) => headers
                .iter()
                .filter_map(|(name, value)| match value {
                    Value::String(value) => Some((name.clone(), value.clone())),
                    _ => {
                        reader.report("headers", format!("`{name}` must be a text"));
                        None
                    }
                })
                .collect(),
            Sent::Absent | Sent::Null => Vec::new(),
            Sent::Value(_) => {
                reader.report("headers", "must be an object");
                Vec::new()
            }
        };
        drafts.push(Draft {
            method: reader.required_text("method").unwrap_or_default().to_owned(),
            url: reader.required_text("url").unwrap_or_default().to_owned(),
            headers,
            body: reader.raw("body").value().cloned(),
        });
        reader.finish();
        ids.push(id.to_owned());
        wanted.push(dependencies);
    }
    let mut items = Vec::new();
    for ((id, wanted), draft) in ids.iter().zip(wanted).zip(drafts) {
        let mut depends_on = Vec::new();
        for (path, dependency) in wanted {
            match ids.iter().position(|id| id.to_lowercase() == dependency.to_lowercase()) {
                Some(position) => depends_on.push(position),
                None => faults.report(path, format!("there is no request `{dependency}` in this batch")),
            }
        }
        items.push(Named { id: id.clone(), depends_on, draft });
    }
    items
}

impl Draft {
    fn into_request(
        self,
        address: &OwnAddress<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<ItemRequest, ApiError> {
        let method = Method::from_bytes(self.method.to_ascii_uppercase().as_bytes())
            .map_err(|_| refused("method", "is no method of HTTP"))?;
        let uri = own_uri(&self.url, address)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName =
                name.parse().map_err(|_| refused("headers", &format!("`{name}` is no name of a header")))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| refused("headers", &format!("the value of `{name}` cannot be sent")))?;
            if !NOT_PASSED_ON.contains(&name.as_str()) && name != AUTHORIZATION {
                headers.append(name, value);
            }
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let body = match self.body {
            None => Bytes::new(),
            Some(body) => bytes(body, &headers)?,
        };
        Ok(ItemRequest { method, uri, headers, body })
    }
}

/// A fault of one request, which is that request's answer.
fn refused(target: &str, reason: &str) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, format!("{target}: {reason}")).with_target(target)
}

/// The path and query that a URL of an item means: relative to `/v1.0` with or without slash, with `/v1.0`, or absolute to
/// this service.
fn own_uri(url: &str, address: &OwnAddress<'_>) -> Result<Uri, ApiError> {
    let url = url.trim();
    let local = match url.split_once("://") {
        // A colon further behind is part of a path or a query.
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            local_part(url, rest, address).ok_or_else(|| refused("url", "names another host"))?
        }
        _ => url,
    };
    let local = local.trim_start_matches('/');
    let (path, query) = local.split_once('?').map_or((local, None), |(path, query)| (path, Some(query)));
    let first = path.split('/').next().unwrap_or_default();
    let path = match first.to_ascii_lowercase().as_str() {
        "v1.0" => format!("/{path}"),
        "beta" => return Err(refused("url", "names another version; this batch is for v1.0")),
        _ => format!("{ROOT}/{path}"),
    };
    let canonical = canonical_path(&path).map_err(ApiError::from)?;
    if canonical == BATCH {
        return Err(refused("url", "a batch holds no batch"));
    }
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let encoded = utf8_percent_encode(&text, ILLEGAL).to_string();
    encoded.parse().map_err(|_| refused("url", "is no URL"))
}

/// What stands behind this service's own address; `None` when it is another's.
fn local_part<'a>(url: &'a str, behind_scheme: &'a str, address: &OwnAddress<'_>) -> Option<&'a str> {
    let behind = |text: &'a str, prefix: &str| {
        let head = text.get(..prefix.len())?;
        let rest = text.get(prefix.len()..)?;
        let ends_there = rest.is_empty() || rest.starts_with(['/', '?']);
        (head.eq_ignore_ascii_case(prefix) && ends_there).then_some(rest)
    };
    behind(url, address.public_url).or_else(|| behind(behind_scheme, address.host?))
}

/// The body's bytes: JSON as JSON, text as it stands, everything else from base64.
fn bytes(body: Value, headers: &HeaderMap) -> Result<Bytes, ApiError> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let Some(media_type) = media_type else {
        return Err(refused("headers", "a body needs a Content-Type beside it"));
    };
    let is_json = media_type == "application/json" || media_type.ends_with("+json");
    let packed = headers.contains_key(CONTENT_ENCODING);
    match body {
        Value::String(text) if media_type.starts_with("text/") && !packed => Ok(text.into()),
        Value::String(text) if !is_json || packed => Ok(base64(&text)?.into()),
        body if is_json => Ok(body.to_string().into()),
        _ => Err(refused("body", "must be base64 text, for its Content-Type is not JSON")),
    }
}

fn base64(text: &str) -> Result<Vec<u8>, ApiError> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = match text.contains(['-', '_']) {
        true => &base64::alphabet::URL_SAFE,
        false => &base64::alphabet::STANDARD,
    };
    GeneralPurpose::new(alphabet, lenient)
        .decode(text.trim())
        .map_err(|_| refused("body", "must be base64 text, for its Content-Type is not JSON"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ADDRESS: OwnAddress<'static> =
        OwnAddress { public_url: "https://reviews.example", host: Some("127.0.0.1:8080") };

    fn uri(url: &str) -> Result<String, String> {
        own_uri(url, &ADDRESS).map(|uri| uri.to_string()).map_err(|error| error.message().to_owned())
    }

    fn faults(body: &Value) -> Vec<String> {
        match read(body, &ADDRESS, None) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.into_iter().map(|fault| fault.path).collect(),
        }
    }

    /// CL-29
    #[test]
    fn every_form_of_a_url_that_clients_send_is_read() {
        let expected = Ok("/v1.0/identityGovernance/accessReviews/definitions?%24filter=a%20eq%20'b:c://d'".to_owned());
        let local = "identityGovernance/accessReviews/definitions?%24filter=a eq 'b:c://d'";
        for url in [
            local.to_owned(),
            format!("/{local}"),
            format!("//{local}"),
            format!("/v1.0/{local}"),
            format!("v1.0/{local}"),
            format!("https://reviews.example/v1.0/{local}"),
            format!("HTTPS://Reviews.Example/v1.0/{local}"),
            format!("http://127.0.0.1:8080/v1.0/{local}"),
        ] {
            assert_eq!(uri(&url), expected, "{url}");
        }
        for (url, said) in [
            ("https://graph.example/v1.0/me", "another host"),
            ("https://reviews.example.evil/v1.0/me", "another host"),
            ("https://reviews.example@evil/v1.0/me", "another host"),
            ("ftp:///x", "another host"),
            ("/beta/me", "another version"),
            ("/$batch", "a batch holds no batch"),
            ("/v1.0/%24BATCH/", "a batch holds no batch"),
        ] {
            assert!(uri(url).is_err_and(|error| error.contains(said)), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_batch_itself_is_told_by_path() {
        let get = |id: &str| json!({ "id": id, "method": "GET", "url": "/me" });
        let many: Vec<_> = (0..21).map(|number| get(&number.to_string())).collect();
        for (body, path) in [
            (json!([]), ""),
            (json!({}), "requests"),
            (json!({ "requests": [] }), "requests"),
            (json!({ "requests": "x" }), "requests"),
            (json!({ "requests": many }), "requests"),
            (json!({ "requests": [get("1")], "atomic": true }), "atomic"),
            (json!({ "requests": ["x"] }), "requests[0]"),
            (json!({ "requests": [get("a"), get("A")] }), "requests[1].id"),
            (json!({ "requests": [{ "method": "GET", "url": "/me" }] }), "requests[0].id"),
            (json!({ "requests": [{ "id": "1", "url": "/me" }] }), "requests[0].method"),
            (json!({ "requests": [{ "id": "1", "method": "GET" }] }), "requests[0].url"),
            (
                json!({ "requests": [{ "id": "1", "method": "GET", "url": "/me", "atomicityGroup": "g" }] }),
                "requests[0].atomicityGroup",
            ),
            (
                json!({ "requests": [{ "id": "1", "method": "GET", "url": "/me", "headers": { "a": 1 } }] }),
                "requests[0].headers",
            ),
            (
                json!({ "requests": [{ "id": "1", "method": "GET", "url": "/me", "dependsOn": ["2"] }] }),
                "requests[0].dependsOn[0]",
            ),
            (
                json!({ "requests": [{ "id": "1", "method": "GET", "url": "/me", "depends_on": ["1"] }] }),
                "requests[0].dependsOn",
            ),
        ] {
            assert!(faults(&body).iter().any(|fault| fault == path), "{path}: {:?}", faults(&body));
        }
        assert!(faults(&json!({ "requests": [get("1"), { "id": "2", "method": "get", "url": "me", "depends_on": [], "dependsOn": ["1"], "headers": null }] })).is_empty());
    }

    #[test]
    fn a_body_is_read_as_its_type_says() {
        let read = |content_type: Option<&'static str>, body: Value| {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            bytes(body, &headers).map(|bytes| bytes.to_vec()).ok()
        };
        let object = json!({ "a": 1 });
        assert_eq!(read(Some("application/json; charset=utf-8"), object.clone()), Some(br#"{"a":1}"#.to_vec()));
        assert_eq!(read(Some("text/csv"), json!("a,b")), Some(b"a,b".to_vec()));
        for packed in ["+/+/", "-_-_"] {
            assert_eq!(read(Some("image/png"), json!(packed)), Some(vec![0xfb, 0xff, 0xbf]));
        }
        assert_eq!(read(Some("image/png"), json!("YQ")), Some(b"a".to_vec()));
        assert_eq!(read(Some("image/png"), object.clone()), None);
        assert_eq!(read(Some("image/png"), json!("not base64!")), None);
        assert_eq!(read(None, object), None);
    }

    #[test]
    fn the_batchs_token_counts_and_no_other() {
        let outer = HeaderValue::from_static("Bearer outer");
        let body = json!({ "requests": [
            { "id": "1", "method": "GET", "url": "/me", "headers": { "Authorization": "Bearer inner", "Host": "x", "prefer": "y" } }
        ] });
        let (items, _) = super::read(&body, &ADDRESS, Some(&outer)).expect("a batch");
        let request = items[0].request.as_ref().expect("a request");
        assert_eq!(request.headers.get_all(AUTHORIZATION).collect::<Vec<_>>(), [&outer]);
        assert!(!request.headers.contains_key("host"));
        assert_eq!(request.headers.get("prefer"), Some(&HeaderValue::from_static("y")));
    }

    proptest! {
        #[test]
        fn no_url_leads_elsewhere(url in ".*") {
            if let Ok(uri) = own_uri(&url, &ADDRESS) {
                prop_assert!(uri.path().to_ascii_lowercase().starts_with("/v1.0"));
                prop_assert!(uri.host().is_none());
            }
        }
    }
}
