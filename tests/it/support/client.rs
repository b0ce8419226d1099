//! Calls over HTTP, and what came back.

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

/// Below this everything of access reviews lives.
const ROOT: &str = "/v1.0/identityGovernance/accessReviews";

/// A client of ours to be. The library is built for TLS without choosing who does the cryptography, and insists.
pub fn http() -> reqwest::ClientBuilder {
    let _chosen_already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// Somebody who calls the service.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    authorization: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Value::Null` when there was no body, the text when it was no JSON.
    pub body: Value,
}

impl Client {
    pub fn new(base_url: &str, authorization: Option<String>) -> Self {
        // A kept connection may be closed by the server in the very moment it is used again.
        let http = http().pool_max_idle_per_host(0).build().unwrap();
        Self { http, base_url: base_url.to_owned(), authorization }
    }

    /// The same caller at another address.
    pub fn at(&self, base_url: &str) -> Self {
        Self { base_url: base_url.to_owned(), ..self.clone() }
    }

    /// GET below the root of access reviews, or of any path that begins with `//`, or of a whole URL.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// POST without a body, as actions are called.
    pub async fn act(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// A request to be completed by the test.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = if let Some(path) = path.strip_prefix("https://reviews.example") {
            format!("{}{path}", self.base_url)
        } else if let Some(path) = path.strip_prefix('/').filter(|path| path.starts_with('/')) {
            format!("{}{path}", self.base_url)
        } else {
            format!("{}{ROOT}{path}", self.base_url)
        };
        let mut request = self.http.request(method, url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request
    }

    /// Every row of a list, following the links to the end, and how many pages there were.
    pub async fn all(&self, path: &str) -> (Vec<Value>, usize) {
        let mut rows = Vec::new();
        let mut pages = 0;
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.get(&path).await.ok();
            let page = answer.body["value"].as_array().unwrap().clone();
            assert!(pages == 0 || !page.is_empty(), "an empty page follows a link");
            rows.extend(page);
            pages += 1;
            next = answer.body["@odata.nextLink"].as_str().map(str::to_owned);
        }
        (rows, pages)
    }
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap();
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        Self { status, headers, body }
    }

    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {:#}", self.status, self.body);
        self
    }

    /// Asserts this very status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// Asserts an error in Graph's form with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{:#}", self.body);
        let error = &self.body["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{:#}", self.body);
        for member in ["date", "request-id", "client-request-id"] {
            assert!(error["innerError"][member].is_string(), "{member} is missing: {:#}", self.body);
        }
        self
    }

    /// Asserts 400 and that this path of the body is told to be at fault, in the target or the details.
    #[track_caller]
    pub fn faults(self, path: &str) -> Self {
        let error = &self.body["error"];
        let told = self.status == 400
            && (error["target"] == path
                || error["details"]
                    .as_array()
                    .is_some_and(|details| details.iter().any(|fault| fault["target"] == path)));
        assert!(told, "{path} is not told to be at fault: {} {:#}", self.status, self.body);
        let code = if self.code() == "UnsupportedQuery" { "UnsupportedQuery" } else { "BadRequest" };
        self.refused(400, code)
    }

    /// The error's code; empty when there is none.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The error's message; empty when there is none.
    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    /// The rows of a list.
    #[track_caller]
    pub fn rows(&self) -> &Vec<Value> {
        self.body["value"].as_array().unwrap_or_else(|| panic!("no list: {:#}", self.body))
    }

    /// A text member of the body.
    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member}: {:#}", self.body)).to_owned()
    }
}
