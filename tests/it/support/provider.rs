//! A real OpenID provider (`oidc-provider`) in a process of its own; see `tests/openid_provider/main.mjs`.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A provider that runs until it is dropped, or its test dies.
pub struct Provider {
    process: Child,
    /// It ends when this is closed.
    _input: ChildStdin,
    pub issuer: String,
    control: String,
    http: reqwest::Client,
}

/// What the tokens of tests are for.
pub const AUDIENCE: &str = "api://attestry";

impl Provider {
    /// Starts one. Without Node.js or the packages of `tests/openid_provider` the test fails.
    pub fn start() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/openid_provider");
        let mut process = Command::new("node")
            .arg("main.mjs")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Node.js runs the provider; `./dev test` installs it");
        let input = process.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line)
            .expect("the provider says where it is; `npm ci` in tests/openid_provider installs what it needs");
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let http = super::client::http().build().unwrap();
        Self { process, _input: input, issuer: text("issuer"), control: text("control"), http }
    }

    /// A token of a user, with these claims besides.
    pub async fn user_token(&self, user: &str, claims: &Value) -> String {
        self.token(&[
            ("grant_type", "urn:attestry:test:as-user"),
            ("client_id", "portal"),
            ("user", user),
            ("scope", "openid AccessReview.ReadWrite.All"),
            ("resource", AUDIENCE),
            ("claims", &claims.to_string()),
        ])
        .await
    }

    /// A token of a user that expired an hour ago.
    pub async fn expired_token(&self, user: &str) -> String {
        self.token(&[
            ("grant_type", "urn:attestry:test:as-user"),
            ("client_id", "portal"),
            ("user", user),
            ("scope", "openid AccessReview.ReadWrite.All"),
            ("resource", AUDIENCE),
            ("expired", "yes"),
        ])
        .await
    }

    /// A token of an application by itself, for this audience.
    pub async fn client_token(&self, client: &str, audience: &str, scope: &str) -> String {
        self.token(&[
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", scope),
            ("resource", audience),
        ])
        .await
    }

    async fn token(&self, parameters: &[(&str, &str)]) -> String {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .append_pair("client_secret", "secret")
            .finish();
        let request = self.http.post(format!("{}/token", self.control)).body(form);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Signs with a new key from now on; the old ones stay among the keys, or go.
    pub async fn rotate(&self, keep: bool) {
        self.control(&format!("rotate?keep={}", if keep { "yes" } else { "no" })).await;
    }

    /// How its documents are answered from now on: well, silent, failing, redirecting, gone.
    pub async fn be(&self, mood: &str) {
        assert_eq!(self.control(&format!("mood?is={mood}")).await["mood"], mood);
    }

    /// How often its keys were asked for.
    pub async fn asked(&self) -> u64 {
        self.control("asked").await["/jwks"].as_u64().unwrap()
    }

    /// How often its discovery document was asked for.
    pub async fn documents_asked(&self) -> u64 {
        self.control("asked").await["/.well-known/openid-configuration"].as_u64().unwrap()
    }

    async fn control(&self, path: &str) -> Value {
        let answer = self.http.post(format!("{}/{path}", self.control)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Its public keys, as anybody gets them.
    pub async fn keys(&self) -> Value {
        self.http.get(format!("{}/jwks", self.issuer)).send().await.unwrap().json().await.unwrap()
    }

    /// A registration: users by `preferred_username`, administrators and readers by their groups.
    pub fn registration(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "audiences": [AUDIENCE],
            "claims": { "user": { "claim": "preferred_username", "matches": "userPrincipalName" } },
            "grants": [
                { "claim": "groups", "value": "g-admins", "directoryRole": "Identity Governance Administrator" },
                { "claim": "groups", "value": "g-readers", "directoryRole": "Global Reader" },
                { "claim": "scope", "value": "reviews", "applicationPermission": "AccessReview.Read.All" },
            ],
        })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// A token's header and claims.
pub fn parts(token: &str) -> (Value, Value) {
    let mut parts =
        token.split('.').map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()));
    (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap())
}

/// A part of a token, not signed by anybody.
pub fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}
