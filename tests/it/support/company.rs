//! The company most tests work with.

use attestry::domain::ids::ObjectId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Tenant;

/// The object id of a short name: the same in every tenant, so that a wall that leaks would show.
pub fn id_of(name: &str) -> ObjectId {
    let digest = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    ObjectId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The only guest of [`Company::finance`].
pub const GUEST: &str = "gus";

/// Directory lines under construction.
#[derive(Default)]
pub struct Company {
    lines: Vec<Value>,
}

impl Company {
    pub fn new() -> Self {
        Self::default()
    }

    /// "Finance-ERP" of the worked example: six members, two owners, managers, a fallback, an admin, a reader.
    ///
    /// `ana` and `ben` report to `mia`, `dan` to `noor`, `cleo` and `eve` to `mia`, `fay` to nobody; `olga` and `pete` own the
    /// group; `sam` and `tom` are fallback reviewers; `gus` is a guest and member of the nested group `contractors`, to which
    /// `dan` belongs too (and nowhere else); `carla` administrates, `rita` reads, `zoe` has nothing to do with it.
    pub fn finance() -> Self {
        let mut company = Self::new();
        for name in ["mia", "noor", "olga", "pete", "sam", "tom", "carla", "rita", "zoe", "fay"] {
            company = company.user(name, None);
        }
        for (name, manager) in [("ana", "mia"), ("ben", "mia"), ("cleo", "mia"), ("eve", "mia"), ("dan", "noor")] {
            company = company.user(name, Some(manager));
        }
        company
            .with(json!({ "type": "user", "id": id_of(GUEST), "userPrincipalName": "gus@partner.example",
                "displayName": "Gus (guest)", "userType": "Guest", "mail": "gus@partner.example" }))
            .group("contractors", &["dan", GUEST], &[])
            .group("finance", &["ana", "ben", "cleo", "eve", "fay", "contractors"], &["olga", "pete"])
            .group("auditors", &["sam", "tom"], &[])
    }

    /// A user with mail `name@acme.example`.
    pub fn user(self, name: &str, manager: Option<&str>) -> Self {
        self.with(json!({
            "type": "user",
            "id": id_of(name),
            "userPrincipalName": format!("{name}@acme.example"),
            "displayName": name,
            "mail": format!("{name}@acme.example"),
            "manager": manager.map(id_of),
        }))
    }

    /// A group of users and groups.
    pub fn group(self, name: &str, members: &[&str], owners: &[&str]) -> Self {
        self.with(json!({
            "type": "group",
            "id": id_of(name),
            "displayName": name,
            "members": members.iter().map(|member| id_of(member)).collect::<Vec<_>>(),
            "owners": owners.iter().map(|owner| id_of(owner)).collect::<Vec<_>>(),
        }))
    }

    /// Any directory object.
    pub fn with(mut self, line: Value) -> Self {
        self.lines.push(line);
        self
    }

    /// One JSON object per line.
    pub fn lines(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Imports it into a tenant.
    pub async fn import(&self, tenant: &Tenant) {
        tenant.import(&self.lines()).await;
    }
}

impl Tenant {
    /// A new tenant with the company of the worked example.
    pub async fn with_finance() -> Self {
        let tenant = Self::new().await;
        Company::finance().import(&tenant).await;
        tenant
    }
}

/// The UUID itself, for SQL.
#[expect(dead_code, reason = "for tests that look into tables")]
pub fn uuid_of(name: &str) -> Uuid {
    id_of(name).as_uuid()
}
