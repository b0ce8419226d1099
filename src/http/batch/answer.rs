//! The answers of a batch. CL-30

use actix_web::{
    HttpResponse,
    body::BoxBody,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderMap},
    },
    web::Bytes,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

/// Headers that mean the connection, or stand on the batch's own answer.
const NOT_TOLD: [&str; 6] =
    ["connection", "content-length", "date", "keep-alive", "transfer-encoding", "access-control-allow-origin"];

/// Spellings that are not each word with a capital.
const SPELLINGS: [(&str, &str); 5] = [
    ("client-request-id", "client-request-id"),
    ("etag", "ETag"),
    ("odata-entityid", "OData-EntityId"),
    ("odata-version", "OData-Version"),
    ("request-id", "request-id"),
];

/// The answer to one request.
pub struct Answered {
    id: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    /// Takes the answer apart.
    ///
    /// # Errors
    /// When the body cannot be read to its end.
    pub async fn of(id: String, response: HttpResponse<BoxBody>) -> Result<Self, actix_web::Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = actix_web::body::to_bytes(response.into_body()).await.map_err(actix_web::Error::from)?;
        Ok(Self { id, status, headers, body })
    }

    /// Whether what depends on it may run.
    pub fn is_good(&self) -> bool {
        !self.status.is_client_error() && !self.status.is_server_error()
    }

    fn told(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            let (name, Ok(value)) = (name.as_str(), value.to_str()) else { continue };
            if NOT_TOLD.contains(&name) {
                continue;
            }
            match headers.entry(spelled(name)) {
                serde_json::map::Entry::Vacant(entry) => {
                    entry.insert(value.into());
                }
                serde_json::map::Entry::Occupied(mut entry) => {
                    let joined = format!("{}, {value}", entry.get().as_str().unwrap_or_default());
                    entry.insert(joined.into());
                }
            }
        }
        let mut told = Map::new();
        told.insert("id".to_owned(), self.id.as_str().into());
        told.insert("status".to_owned(), self.status.as_u16().into());
        told.insert("headers".to_owned(), headers.into());
        if !self.body.is_empty() {
            told.insert("body".to_owned(), self.body());
        }
        told.into()
    }

    /// JSON as JSON, text as text, everything else as base64.
    fn body(&self) -> Value {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if content_type.starts_with("application/json")
            && let Ok(body) = serde_json::from_slice(&self.body)
        {
            return body;
        }
        match std::str::from_utf8(&self.body) {
            Ok(text) if content_type.starts_with("text/") || content_type.starts_with("application/xml") => text.into(),
            _ => STANDARD.encode(&self.body).into(),
        }
    }
}

fn spelled(name: &str) -> String {
    if let Some((_, spelling)) = SPELLINGS.into_iter().find(|(lower, _)| *lower == name) {
        return spelling.to_owned();
    }
    let words = name.split('-').map(|word| {
        let (head, tail) = word.split_at_checked(1).unwrap_or((word, ""));
        head.to_ascii_uppercase() + tail
    });
    words.collect::<Vec<_>>().join("-")
}

/// `{"responses":[…]}`.
pub fn answers(answered: &[Answered]) -> Value {
    json!({ "responses": answered.iter().map(Answered::told).collect::<Vec<_>>() })
}
