//! The entries of lists that are objects of their own: assignments, roles of an application, policies, shared channels.

use super::{
    Element, Faults, Fields, LONGEST_ENTRY_ID, LONGEST_TEXT, Lenient, List, MOST_FAULTS, Scalar, Shape, any_uuid,
    each_once, object_id,
};
use crate::domain::{
    directory::{
        AppRole, AppRoleAssignment, ApplicationSignIn, AssignmentPolicy, PackageAssignment, Property, SharedChannel,
    },
    ids::ObjectId,
    violation::Violation,
};
use serde::de::MapAccess;

impl Element for AppRoleAssignment {
    type Read = Fields;

    fn check(read: Fields) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        let [id, principal_id, app_role_id] = faults.pick(["id", "principalId", "appRoleId"], members(read)?);
        let id = faults.entry_id(id);
        let principal_id = faults.member_id("principalId", principal_id, object_id);
        let app_role_id = faults.member_id("appRoleId", app_role_id, any_uuid);
        match (id, principal_id, app_role_id) {
            (Some(id), Some(principal_id), Some(app_role_id)) if faults.0.is_empty() => {
                Ok(Self { id, principal_id, app_role_id })
            }
            _ => Err(faults.0),
        }
    }
}

impl Element for AppRole {
    type Read = Fields;

    fn check(read: Fields) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        let [id, display_name, value] = faults.pick(["id", "displayName", "value"], members(read)?);
        let id = faults.member_id("id", id, any_uuid);
        let display_name = faults.member_text("displayName", display_name, LONGEST_TEXT);
        let value = match faults.text("value", value, LONGEST_TEXT) {
            Property::Value(value) => Some(value),
            Property::Absent | Property::Null => None,
        };
        match (id, display_name) {
            (Some(id), Some(display_name)) if faults.0.is_empty() => Ok(Self { id, display_name, value }),
            _ => Err(faults.0),
        }
    }
}

impl Element for ApplicationSignIn {
    type Read = Fields;

    fn check(read: Fields) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        let [user_id, last] = faults.pick(["userId", "lastSignInDateTime"], members(read)?);
        let user_id = faults.member_id("userId", user_id, object_id);
        if last.is_none() {
            faults.add("lastSignInDateTime", "is required; null is known, and never signed in");
        }
        let last_sign_in_at = match faults.moment("lastSignInDateTime", last) {
            Property::Value(at) => Some(at),
            Property::Absent | Property::Null => None,
        };
        match user_id {
            Some(user_id) if faults.0.is_empty() => Ok(Self { user_id, last_sign_in_at }),
            _ => Err(faults.0),
        }
    }
}

impl Element for AssignmentPolicy {
    type Read = Fields;

    fn check(read: Fields) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        let [id, display_name] = faults.pick(["id", "displayName"], members(read)?);
        let id = faults.member_id("id", id, object_id);
        let display_name = faults.member_text("displayName", display_name, LONGEST_TEXT);
        match (id, display_name) {
            (Some(id), Some(display_name)) if faults.0.is_empty() => Ok(Self { id, display_name }),
            _ => Err(faults.0),
        }
    }
}

impl Element for PackageAssignment {
    type Read = Fields;

    fn check(read: Fields) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        let [id, policy_id, target_id] = faults.pick(["id", "assignmentPolicyId", "targetId"], members(read)?);
        let id = faults.entry_id(id);
        let policy_id = faults.member_id("assignmentPolicyId", policy_id, object_id);
        let target_id = faults.member_id("targetId", target_id, object_id);
        match (id, policy_id, target_id) {
            (Some(id), Some(policy_id), Some(target_id)) if faults.0.is_empty() => {
                Ok(Self { id, policy_id, target_id })
            }
            _ => Err(faults.0),
        }
    }
}

/// The one entry that has a list inside.
pub(super) enum Channel {
    Object { fields: Vec<(String, Scalar)>, members: Vec<List<ObjectId>> },
    Other(&'static str),
}

impl Shape for Channel {
    fn other(found: &'static str) -> Self {
        Self::Other(found)
    }

    fn object<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        let mut fields = Vec::new();
        let mut members = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            if name == "members" {
                let Lenient(list) = entries.next_value()?;
                if members.len() < 2 {
                    members.push(list);
                }
            } else {
                let Lenient(value) = entries.next_value()?;
                if fields.len() <= MOST_FAULTS {
                    fields.push((name, value));
                }
            }
        }
        Ok(Self::Object { fields, members })
    }
}

impl Element for SharedChannel {
    type Read = Channel;

    fn check(read: Channel) -> Result<Self, Vec<Violation>> {
        let (fields, members) = match read {
            Channel::Object { fields, members } => (fields, members),
            Channel::Other(found) => return Err(vec![not_an_object(found)]),
        };
        let mut faults = Faults::default();
        let [id, display_name] = faults.pick(["id", "displayName"], fields);
        let id = faults.entry_id(id);
        let display_name = faults.member_text("displayName", display_name, LONGEST_TEXT);
        if members.len() > 1 {
            faults.add("members", "is given twice");
        }
        let members = faults.list("members", members.into_iter().next()).map(each_once).unwrap_or_default();
        match (id, display_name) {
            (Some(id), Some(display_name)) if faults.0.is_empty() => Ok(Self { id, display_name, members }),
            _ => Err(faults.0),
        }
    }
}

/// What every entry of a list is told apart by.
pub(super) trait Entry {
    type Id: Ord + ToString;

    fn id(&self) -> &Self::Id;
}

impl Entry for AppRoleAssignment {
    type Id = String;

    fn id(&self) -> &String {
        &self.id
    }
}

impl Entry for AppRole {
    type Id = ObjectId;

    fn id(&self) -> &ObjectId {
        &self.id
    }
}

impl Entry for ApplicationSignIn {
    type Id = ObjectId;

    fn id(&self) -> &ObjectId {
        &self.user_id
    }
}

impl Entry for AssignmentPolicy {
    type Id = ObjectId;

    fn id(&self) -> &ObjectId {
        &self.id
    }
}

impl Entry for PackageAssignment {
    type Id = String;

    fn id(&self) -> &String {
        &self.id
    }
}

impl Entry for SharedChannel {
    type Id = String;

    fn id(&self) -> &String {
        &self.id
    }
}

impl Faults {
    fn entry_id(&mut self, value: Option<Scalar>) -> Option<String> {
        self.member_text("id", value, LONGEST_ENTRY_ID)
    }

    fn member_text(&mut self, path: &str, value: Option<Scalar>, longest: usize) -> Option<String> {
        match value {
            Some(value) => self.required_text(path, Some(value), longest),
            None => self.missing(path),
        }
    }

    fn member_id(
        &mut self,
        path: &str,
        value: Option<Scalar>,
        parse: fn(&str) -> Result<ObjectId, String>,
    ) -> Option<ObjectId> {
        match value {
            Some(value) => self.required_id(path, value, parse),
            None => self.missing(path),
        }
    }
}

fn members(read: Fields) -> Result<Vec<(String, Scalar)>, Vec<Violation>> {
    match read {
        Fields::Object(fields) => Ok(fields),
        Fields::Null => Err(vec![not_an_object("null")]),
        Fields::Other(found) => Err(vec![not_an_object(found)]),
    }
}

fn not_an_object(found: &str) -> Violation {
    Violation::new("", format!("must be an object, not {found}"))
}
