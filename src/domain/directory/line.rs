//! One line of a directory file: from text to a record, or to everything that is wrong with it.
//!
//! The line is read in one pass into small shapes that accept any JSON, so that a wrong type is a fault with a path and not
//! an end, and so that a list of a million members costs sixteen bytes each.

mod entries;

use std::{fmt, marker::PhantomData};

use chrono::{DateTime, SubsecRound, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use uuid::Uuid;

use crate::domain::{
    directory::{
        AccessPackageRecord, AppRole, AppRoleAssignment, ApplicationSignIn, AssignmentPolicy, DirectoryRecord,
        DirectoryRoleRecord, ExternalUserState, GroupRecord, ObjectKind, PackageAssignment, Property,
        ServicePrincipalRecord, SharedChannel, SignIn, UserRecord, UserType, line::entries::Entry,
    },
    ids::ObjectId,
    violation::Violation,
};

/// The longest line that is accepted, in bytes: a group of about 1.6 million members.
pub const LONGEST_LINE: usize = 64 * 1024 * 1024;

/// The longest text of a property, in characters.
const LONGEST_TEXT: usize = 1024;
/// The longest user principal name or mail address, in characters. The name is an index key, which has a limit of its own.
const LONGEST_ADDRESS: usize = 320;
/// The longest id of an assignment or a channel, in characters.
const LONGEST_ENTRY_ID: usize = 255;
/// How many faults of one line are told.
const MOST_FAULTS: usize = 20;

const USER_MEMBERS: &[&str] = &[
    "type",
    "id",
    "userPrincipalName",
    "displayName",
    "mail",
    "userType",
    "accountEnabled",
    "department",
    "jobTitle",
    "country",
    "manager",
    "sponsors",
    "createdDateTime",
    "signInActivity",
    "externalUserState",
];
const GROUP_MEMBERS: &[&str] = &[
    "type",
    "id",
    "displayName",
    "groupTypes",
    "resourceProvisioningOptions",
    "isAssignableToRole",
    "onPremisesSyncEnabled",
    "mailEnabled",
    "securityEnabled",
    "privilegedAccess",
    "members",
    "owners",
    "eligibleOwners",
    "sharedChannels",
];
const SERVICE_PRINCIPAL_MEMBERS: &[&str] =
    &["type", "id", "appId", "displayName", "owners", "appRoles", "appRoleAssignedTo", "signIns"];
const DIRECTORY_ROLE_MEMBERS: &[&str] = &["type", "id", "displayName", "roleTemplateId", "members", "eligibleMembers"];
const ACCESS_PACKAGE_MEMBERS: &[&str] =
    &["type", "id", "displayName", "catalogId", "catalogDisplayName", "assignmentPolicies", "assignments"];

const fn members_of(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::User => USER_MEMBERS,
        ObjectKind::Group => GROUP_MEMBERS,
        ObjectKind::ServicePrincipal => SERVICE_PRINCIPAL_MEMBERS,
        ObjectKind::DirectoryRole => DIRECTORY_ROLE_MEMBERS,
        ObjectKind::AccessPackage => ACCESS_PACKAGE_MEMBERS,
    }
}

/// Reads one line of a directory file.
///
/// Members of the line that its `type` does not have, wrong JSON types, malformed ids and dates are faults, each with the
/// path of the property (an empty path is the line itself); at most twenty are told. Ids are hyphenated UUIDs in any letter
/// case, not the zero UUID; dates have any offset; a blank text counts as `null`; the same id twice in a list counts once.
/// References are not checked here: they may point forwards.
pub fn parse_line(text: &str) -> Result<DirectoryRecord, Vec<Violation>> {
    if text.len() > LONGEST_LINE {
        return Err(vec![Violation::new("", format!("is longer than {LONGEST_LINE} bytes"))]);
    }
    match serde_json::from_str::<Lenient<Line>>(text) {
        Ok(Lenient(Line::Object(members))) => members.into_record(),
        Ok(Lenient(Line::Other(found))) => Err(vec![Violation::new("", format!("must be a JSON object, not {found}"))]),
        Err(error) => {
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            Err(vec![Violation::new("", format!("is not JSON at column {}: {message}", error.column()))])
        }
    }
}

/// A type that can be made of any JSON value, if only as "something else".
trait Shape: Sized {
    fn other(found: &'static str) -> Self;

    fn null() -> Self {
        Self::other("null")
    }

    fn boolean(_: bool) -> Self {
        Self::other("a boolean")
    }

    fn text(_: &str) -> Self {
        Self::other("a string")
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::other("an array"))
    }

    fn object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::other("an object"))
    }
}

/// Reads a [`Shape`] from whatever comes.
struct Lenient<S>(S);

impl<'de, S: Shape> Deserialize<'de> for Lenient<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyJson<S>(PhantomData<S>);

        impl<'de, S: Shape> Visitor<'de> for AnyJson<S> {
            type Value = S;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_unit<E>(self) -> Result<S, E> {
                Ok(S::null())
            }

            fn visit_bool<E>(self, value: bool) -> Result<S, E> {
                Ok(S::boolean(value))
            }

            fn visit_i64<E>(self, _: i64) -> Result<S, E> {
                Ok(S::other("a number"))
            }

            fn visit_u64<E>(self, _: u64) -> Result<S, E> {
                Ok(S::other("a number"))
            }

            fn visit_f64<E>(self, _: f64) -> Result<S, E> {
                Ok(S::other("a number"))
            }

            fn visit_str<E>(self, value: &str) -> Result<S, E> {
                Ok(S::text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<S, A::Error> {
                S::array(items)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<S, A::Error> {
                S::object(members)
            }
        }

        deserializer.deserialize_any(AnyJson(PhantomData)).map(Lenient)
    }
}

/// A value without inner structure.
enum Scalar {
    Null,
    Boolean(bool),
    Text(String),
    Other(&'static str),
}

impl Scalar {
    const fn found(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Text(_) => "a string",
            Self::Other(found) => found,
        }
    }
}

impl Shape for Scalar {
    fn other(found: &'static str) -> Self {
        Self::Other(found)
    }

    fn null() -> Self {
        Self::Null
    }

    fn boolean(value: bool) -> Self {
        Self::Boolean(value)
    }

    fn text(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// An id, parsed where it stands.
struct Id(Result<ObjectId, String>);

impl Shape for Id {
    fn other(found: &'static str) -> Self {
        Self(Err(format!("must be a UUID in a string, not {found}")))
    }

    fn text(value: &str) -> Self {
        Self(object_id(value))
    }
}

/// A list, or what stands in its place.
enum List<T> {
    Null,
    Items { items: Vec<T>, faults: Vec<Violation> },
    Other(&'static str),
}

/// What can be an element of a [`List`]; `faults` have paths relative to the element.
trait Element: Sized {
    type Read: Shape;

    fn check(read: Self::Read) -> Result<Self, Vec<Violation>>;
}

impl<T: Element> Shape for List<T> {
    fn other(found: &'static str) -> Self {
        Self::Other(found)
    }

    fn null() -> Self {
        Self::Null
    }

    fn array<'de, A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        let mut items = Vec::new();
        let mut faults = Vec::new();
        let mut position = 0;
        while let Some(Lenient(read)) = array.next_element::<Lenient<T::Read>>()? {
            match T::check(read) {
                Ok(item) => items.push(item),
                Err(wrong) if faults.len() < MOST_FAULTS => {
                    faults.extend(wrong.into_iter().map(|fault| below(&format!("[{position}]"), fault)));
                }
                Err(_) => {}
            }
            position += 1;
        }
        Ok(Self::Items { items, faults })
    }
}

impl Element for ObjectId {
    type Read = Id;

    fn check(Id(read): Id) -> Result<Self, Vec<Violation>> {
        read.map_err(|reason| vec![Violation::new("", reason)])
    }
}

impl Element for String {
    type Read = Scalar;

    fn check(read: Scalar) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        match faults.required_text("", Some(read), LONGEST_TEXT) {
            Some(text) if faults.0.is_empty() => Ok(text),
            _ => Err(faults.0),
        }
    }
}

/// A small object of scalar members, such as `signInActivity`.
enum Fields {
    Null,
    Object(Vec<(String, Scalar)>),
    Other(&'static str),
}

impl Shape for Fields {
    fn other(found: &'static str) -> Self {
        Self::Other(found)
    }

    fn null() -> Self {
        Self::Null
    }

    fn object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, Lenient(value))) = members.next_entry::<String, Lenient<Scalar>>()? {
            if fields.len() <= MOST_FAULTS {
                fields.push((name, value));
            }
        }
        Ok(Self::Object(fields))
    }
}

/// The line as a whole.
enum Line {
    Object(Box<Members>),
    Other(&'static str),
}

impl Shape for Line {
    fn other(found: &'static str) -> Self {
        Self::Other(found)
    }

    fn object<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        let mut members = Box::<Members>::default();
        while let Some(name) = entries.next_key::<String>()? {
            members.take(name, &mut entries)?;
        }
        Ok(Self::Object(members))
    }
}

/// The members of all kinds of record: which of them may be there is known only once `type` was seen.
#[derive(Default)]
struct Members {
    names: Vec<String>,
    unread: usize,
    kind: Option<Scalar>,
    id: Option<Id>,
    user_principal_name: Option<Scalar>,
    display_name: Option<Scalar>,
    mail: Option<Scalar>,
    user_type: Option<Scalar>,
    account_enabled: Option<Scalar>,
    department: Option<Scalar>,
    job_title: Option<Scalar>,
    country: Option<Scalar>,
    manager: Option<Scalar>,
    sponsors: Option<List<ObjectId>>,
    created_date_time: Option<Scalar>,
    sign_in_activity: Option<Fields>,
    group_types: Option<List<String>>,
    resource_provisioning_options: Option<List<String>>,
    is_assignable_to_role: Option<Scalar>,
    on_premises_sync_enabled: Option<Scalar>,
    members: Option<List<ObjectId>>,
    owners: Option<List<ObjectId>>,
    app_id: Option<Scalar>,
    app_role_assigned_to: Option<List<AppRoleAssignment>>,
    sign_ins: Option<List<ApplicationSignIn>>,
    role_template_id: Option<Scalar>,
    external_user_state: Option<Scalar>,
    mail_enabled: Option<Scalar>,
    security_enabled: Option<Scalar>,
    privileged_access: Option<Scalar>,
    eligible_owners: Option<List<ObjectId>>,
    shared_channels: Option<List<SharedChannel>>,
    app_roles: Option<List<AppRole>>,
    eligible_members: Option<List<ObjectId>>,
    catalog_id: Option<Scalar>,
    catalog_display_name: Option<Scalar>,
    assignment_policies: Option<List<AssignmentPolicy>>,
    assignments: Option<List<PackageAssignment>>,
}

impl Members {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, entries: &mut A) -> Result<(), A::Error> {
        fn read<'de, S: Shape, A: MapAccess<'de>>(slot: &mut Option<S>, entries: &mut A) -> Result<(), A::Error> {
            let Lenient(value) = entries.next_value()?;
            *slot = Some(value);
            Ok(())
        }

        match name.as_str() {
            "type" => read(&mut self.kind, entries)?,
            "id" => read(&mut self.id, entries)?,
            "userPrincipalName" => read(&mut self.user_principal_name, entries)?,
            "displayName" => read(&mut self.display_name, entries)?,
            "mail" => read(&mut self.mail, entries)?,
            "userType" => read(&mut self.user_type, entries)?,
            "accountEnabled" => read(&mut self.account_enabled, entries)?,
            "department" => read(&mut self.department, entries)?,
            "jobTitle" => read(&mut self.job_title, entries)?,
            "country" => read(&mut self.country, entries)?,
            "manager" => read(&mut self.manager, entries)?,
            "sponsors" => read(&mut self.sponsors, entries)?,
            "createdDateTime" => read(&mut self.created_date_time, entries)?,
            "signInActivity" => read(&mut self.sign_in_activity, entries)?,
            "groupTypes" => read(&mut self.group_types, entries)?,
            "resourceProvisioningOptions" => read(&mut self.resource_provisioning_options, entries)?,
            "isAssignableToRole" => read(&mut self.is_assignable_to_role, entries)?,
            "onPremisesSyncEnabled" => read(&mut self.on_premises_sync_enabled, entries)?,
            "members" => read(&mut self.members, entries)?,
            "owners" => read(&mut self.owners, entries)?,
            "appId" => read(&mut self.app_id, entries)?,
            "appRoleAssignedTo" => read(&mut self.app_role_assigned_to, entries)?,
            "signIns" => read(&mut self.sign_ins, entries)?,
            "roleTemplateId" => read(&mut self.role_template_id, entries)?,
            "externalUserState" => read(&mut self.external_user_state, entries)?,
            "mailEnabled" => read(&mut self.mail_enabled, entries)?,
            "securityEnabled" => read(&mut self.security_enabled, entries)?,
            "privilegedAccess" => read(&mut self.privileged_access, entries)?,
            "eligibleOwners" => read(&mut self.eligible_owners, entries)?,
            "sharedChannels" => read(&mut self.shared_channels, entries)?,
            "appRoles" => read(&mut self.app_roles, entries)?,
            "eligibleMembers" => read(&mut self.eligible_members, entries)?,
            "catalogId" => read(&mut self.catalog_id, entries)?,
            "catalogDisplayName" => read(&mut self.catalog_display_name, entries)?,
            "assignmentPolicies" => read(&mut self.assignment_policies, entries)?,
            "assignments" => read(&mut self.assignments, entries)?,
            _ => {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        // every known name once fits; beyond that the line is wrong anyway
        if self.names.len() < 2 * MOST_FAULTS + USER_MEMBERS.len() {
            self.names.push(name);
        } else {
            self.unread += 1;
        }
        Ok(())
    }

    fn into_record(self) -> Result<DirectoryRecord, Vec<Violation>> {
        let mut faults = Faults::default();
        let kind = match &self.kind {
            Some(Scalar::Text(name)) => ObjectKind::from_name(name),
            _ => None,
        };
        let Some(kind) = kind else {
            return Err(vec![Violation::new(
                "type",
                "must be user, group, servicePrincipal, directoryRole or accessPackage",
            )]);
        };
        faults.names(kind, &self.names, self.unread);
        let id = match self.id {
            Some(Id(Ok(id))) => Some(id),
            Some(Id(Err(reason))) => faults.fault("id", reason),
            None => faults.missing("id"),
        };
        let id = id.unwrap_or(ObjectId::NOBODY);
        let display_name = faults.required_text("displayName", self.display_name, LONGEST_TEXT);

        let record = match kind {
            ObjectKind::User => {
                let manager = faults.id("manager", self.manager, object_id);
                if manager.value() == Some(&id) && id != ObjectId::NOBODY {
                    faults.add("manager", "must be another user: nobody is the manager of himself");
                }
                let sponsors = faults.list("sponsors", self.sponsors).map(each_once);
                if sponsors.as_ref().is_some_and(|sponsors| sponsors.contains(&id)) && id != ObjectId::NOBODY {
                    faults.add("sponsors", "must be other users: nobody is a sponsor of himself");
                }
                DirectoryRecord::User(Box::new(UserRecord {
                    id,
                    user_principal_name: faults.user_principal_name(self.user_principal_name),
                    display_name,
                    mail: faults.mail(self.mail),
                    user_type: faults.user_type(self.user_type),
                    account_enabled: faults.flag("accountEnabled", self.account_enabled, true),
                    department: faults.text("department", self.department, LONGEST_TEXT),
                    job_title: faults.text("jobTitle", self.job_title, LONGEST_TEXT),
                    country: faults.text("country", self.country, LONGEST_TEXT),
                    manager,
                    sponsors,
                    created_at: faults.moment("createdDateTime", self.created_date_time),
                    sign_in: faults.sign_in(self.sign_in_activity),
                    external_user_state: faults.external_user_state(self.external_user_state),
                }))
            }
            ObjectKind::Group => DirectoryRecord::Group(GroupRecord {
                id,
                display_name,
                group_types: faults.list("groupTypes", self.group_types),
                resource_provisioning_options: faults
                    .list("resourceProvisioningOptions", self.resource_provisioning_options),
                is_assignable_to_role: faults.flag("isAssignableToRole", self.is_assignable_to_role, false),
                on_premises_sync_enabled: faults.flag("onPremisesSyncEnabled", self.on_premises_sync_enabled, false),
                mail_enabled: faults.flag("mailEnabled", self.mail_enabled, false),
                security_enabled: faults.flag("securityEnabled", self.security_enabled, true),
                privileged_access: faults.flag("privilegedAccess", self.privileged_access, false),
                members: faults.list("members", self.members).map(each_once),
                owners: faults.list("owners", self.owners).map(each_once),
                eligible_owners: faults.list("eligibleOwners", self.eligible_owners).map(each_once),
                shared_channels: faults.entries("sharedChannels", self.shared_channels),
            }),
            ObjectKind::ServicePrincipal => DirectoryRecord::ServicePrincipal(ServicePrincipalRecord {
                id,
                app_id: faults.id("appId", self.app_id, any_uuid),
                display_name,
                owners: faults.list("owners", self.owners).map(each_once),
                app_roles: faults.entries("appRoles", self.app_roles),
                app_role_assigned_to: faults.entries("appRoleAssignedTo", self.app_role_assigned_to),
                sign_ins: faults.entries("signIns", self.sign_ins),
            }),
            ObjectKind::DirectoryRole => DirectoryRecord::DirectoryRole(DirectoryRoleRecord {
                id,
                display_name,
                role_template_id: faults.id("roleTemplateId", self.role_template_id, any_uuid),
                members: faults.list("members", self.members).map(each_once),
                eligible_members: faults.list("eligibleMembers", self.eligible_members).map(each_once),
            }),
            ObjectKind::AccessPackage => DirectoryRecord::AccessPackage(AccessPackageRecord {
                id,
                display_name,
                catalog_id: faults.id("catalogId", self.catalog_id, any_uuid),
                catalog_display_name: faults.text("catalogDisplayName", self.catalog_display_name, LONGEST_TEXT),
                assignment_policies: faults.entries("assignmentPolicies", self.assignment_policies),
                assignments: faults.entries("assignments", self.assignments),
            }),
        };
        faults.0.truncate(MOST_FAULTS);
        if faults.0.is_empty() { Ok(record) } else { Err(faults.0) }
    }
}

/// Collects what is wrong while values are taken out of their shapes.
#[derive(Default)]
struct Faults(Vec<Violation>);

impl Faults {
    fn add(&mut self, path: &str, reason: impl Into<String>) {
        self.0.push(Violation::new(path, reason));
    }

    fn fault<T>(&mut self, path: &str, reason: impl Into<String>) -> Option<T> {
        self.add(path, reason);
        None
    }

    fn missing<T>(&mut self, path: &str) -> Option<T> {
        self.fault(path, "is required")
    }

    fn names(&mut self, kind: ObjectKind, names: &[String], unread: usize) {
        let known = members_of(kind);
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if !known.contains(&name.as_str()) {
                self.add(&shortened(name), format!("is not a member of a {kind}; it has {}", known.join(", ")));
            } else if seen.contains(&name.as_str()) {
                self.add(name, "is given twice");
            }
            seen.push(name);
        }
        if unread > 0 {
            self.add("", format!("has {unread} members too many"));
        }
    }

    /// Sorts the members of a small object into their places.
    fn pick<const N: usize>(&mut self, known: [&str; N], fields: Vec<(String, Scalar)>) -> [Option<Scalar>; N] {
        let mut picked = [const { None }; N];
        for (name, value) in fields {
            match known.iter().position(|known| *known == name) {
                Some(place) if picked[place].is_some() => self.add(&name, "is given twice"),
                Some(place) => picked[place] = Some(value),
                None => self.add(&shortened(&name), format!("is not a member here; there is {}", known.join(", "))),
            }
        }
        picked
    }

    fn checked_text(&mut self, path: &str, text: String, longest: usize) -> Option<String> {
        if text.contains('\0') {
            return self.fault(path, "must not contain the character U+0000");
        }
        // bytes first: counting characters is only needed for what could be too long
        if text.len() > longest && text.chars().count() > longest {
            return self.fault(path, format!("must not be longer than {longest} characters"));
        }
        Some(text)
    }

    fn text(&mut self, path: &str, value: Option<Scalar>, longest: usize) -> Property<String> {
        match value {
            None => Property::Absent,
            Some(Scalar::Null) => Property::Null,
            Some(Scalar::Text(text)) if text.trim().is_empty() => Property::Null,
            Some(Scalar::Text(text)) => {
                self.checked_text(path, text, longest).map_or(Property::Absent, Property::Value)
            }
            Some(other) => {
                self.add(path, format!("must be a string or null, not {}", other.found()));
                Property::Absent
            }
        }
    }

    fn required_text(&mut self, path: &str, value: Option<Scalar>, longest: usize) -> Option<String> {
        match value? {
            Scalar::Text(text) if text.trim().is_empty() => self.fault(path, "must not be blank"),
            Scalar::Text(text) => self.checked_text(path, text, longest),
            other => self.fault(path, format!("must be a string, not {}", other.found())),
        }
    }

    fn user_principal_name(&mut self, value: Option<Scalar>) -> Option<String> {
        let name = self.required_text("userPrincipalName", value, LONGEST_ADDRESS)?;
        if name.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return self.fault("userPrincipalName", "must not contain spaces or control characters");
        }
        Some(name)
    }

    fn mail(&mut self, value: Option<Scalar>) -> Property<String> {
        let mail = self.text("mail", value, LONGEST_ADDRESS);
        if mail.value().is_some_and(|mail| mail.contains(char::is_control)) {
            self.add("mail", "must not contain control characters");
        }
        mail
    }

    fn flag(&mut self, path: &str, value: Option<Scalar>, default: bool) -> Option<bool> {
        match value? {
            Scalar::Boolean(flag) => Some(flag),
            Scalar::Null => Some(default),
            other => self.fault(path, format!("must be true, false or null, not {}", other.found())),
        }
    }

    fn user_type(&mut self, value: Option<Scalar>) -> Option<UserType> {
        match value? {
            Scalar::Null => Some(UserType::Member),
            Scalar::Text(name) if name == UserType::Member.name() => Some(UserType::Member),
            Scalar::Text(name) if name == UserType::Guest.name() => Some(UserType::Guest),
            _ => self.fault("userType", "must be Member, Guest or null"),
        }
    }

    fn external_user_state(&mut self, value: Option<Scalar>) -> Property<ExternalUserState> {
        let state = match value {
            None => return Property::Absent,
            Some(Scalar::Null) => return Property::Null,
            Some(Scalar::Text(name)) => ExternalUserState::from_name(&name),
            Some(_) => None,
        };
        match state {
            Some(state) => Property::Value(state),
            None => {
                self.add("externalUserState", "must be PendingAcceptance, Accepted or null");
                Property::Absent
            }
        }
    }

    fn required_id(
        &mut self,
        path: &str,
        value: Scalar,
        parse: fn(&str) -> Result<ObjectId, String>,
    ) -> Option<ObjectId> {
        match value {
            Scalar::Text(text) => parse(&text).map_err(|reason| self.add(path, reason)).ok(),
            other => self.fault(path, format!("must be a UUID in a string, not {}", other.found())),
        }
    }

    fn id(
        &mut self,
        path: &str,
        value: Option<Scalar>,
        parse: fn(&str) -> Result<ObjectId, String>,
    ) -> Property<ObjectId> {
        match value {
            None => Property::Absent,
            Some(Scalar::Null) => Property::Null,
            Some(value) => self.required_id(path, value, parse).map_or(Property::Absent, Property::Value),
        }
    }

    fn moment(&mut self, path: &str, value: Option<Scalar>) -> Property<DateTime<Utc>> {
        match value {
            None => Property::Absent,
            Some(Scalar::Null) => Property::Null,
            Some(Scalar::Text(text)) => match DateTime::parse_from_rfc3339(&text) {
                // the database keeps microseconds
                Ok(moment) => Property::Value(moment.with_timezone(&Utc).trunc_subsecs(6)),
                Err(_) => {
                    self.add(path, "must be a date and time with an offset, such as 2026-03-01T08:00:00Z");
                    Property::Absent
                }
            },
            Some(other) => {
                self.add(path, format!("must be a date and time in a string, or null, not {}", other.found()));
                Property::Absent
            }
        }
    }

    fn sign_in(&mut self, value: Option<Fields>) -> Option<SignIn> {
        const LAST: &str = "lastSignInDateTime";
        let fields = match value? {
            Fields::Null => return Some(SignIn::Unknown),
            Fields::Other(found) => {
                return self.fault("signInActivity", format!("must be an object or null, not {found}"));
            }
            Fields::Object(fields) => fields,
        };
        let mut inner = Self::default();
        let [last] = inner.pick([LAST], fields);
        let sign_in = match inner.moment(LAST, last) {
            Property::Value(at) => Some(SignIn::At(at)),
            Property::Null => Some(SignIn::Never),
            // an empty object could mean either, so it means neither
            Property::Absent if inner.0.is_empty() => inner.missing(LAST),
            Property::Absent => None,
        };
        self.0.extend(inner.0.into_iter().map(|fault| below("signInActivity.", fault)));
        sign_in
    }

    fn list<T>(&mut self, path: &str, value: Option<List<T>>) -> Option<Vec<T>> {
        match value? {
            List::Null => Some(Vec::new()),
            List::Items { items, faults } => {
                self.0.extend(faults.into_iter().map(|fault| below(path, fault)));
                Some(items)
            }
            List::Other(found) => self.fault(path, format!("must be an array or null, not {found}")),
        }
    }

    /// A list of objects, by ascending id; each id stands there once.
    fn entries<T: Entry>(&mut self, path: &str, value: Option<List<T>>) -> Option<Vec<T>> {
        let mut entries = self.list(path, value)?;
        entries.sort_by(|one, other| one.id().cmp(other.id()));
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].id() == pair[1].id()) {
            let id = shortened(&twice[0].id().to_string());
            self.add(path, format!("has two entries with the id {id}"));
        }
        Some(entries)
    }
}

/// A fault of an inner value, seen from the value around it.
fn below(parent: &str, fault: Violation) -> Violation {
    let path = match fault.path.as_str() {
        "" => parent.to_owned(),
        inner if parent.ends_with('.') || inner.starts_with('[') => format!("{parent}{inner}"),
        inner => format!("{parent}.{inner}"),
    };
    Violation { path, ..fault }
}

fn each_once(mut ids: Vec<ObjectId>) -> Vec<ObjectId> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What a client sent, short enough to be repeated to it.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn any_uuid(text: &str) -> Result<ObjectId, String> {
    // the other spellings the parser knows (braces, no hyphens, urn) are not Graph's
    let hyphenated = text.len() == 36;
    let id = Uuid::try_parse(text).ok().filter(|_| hyphenated);
    id.map(ObjectId::new).ok_or_else(|| format!("must be a hyphenated UUID, not {:?}", shortened(text)))
}

fn object_id(text: &str) -> Result<ObjectId, String> {
    match any_uuid(text)? {
        ObjectId::NOBODY => Err("must not be the zero UUID, which stands for nobody".to_owned()),
        id => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const ADA: &str = "11111111-1111-4111-8111-111111111111";
    const BOB: &str = "22222222-2222-4222-8222-222222222222";

    fn id(text: &str) -> ObjectId {
        text.parse().unwrap()
    }

    fn user(extra: Value) -> Result<UserRecord, Vec<Violation>> {
        let mut line = json!({"type": "user", "id": ADA});
        line.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        match parse_line(&line.to_string())? {
            DirectoryRecord::User(user) => Ok(*user),
            other => panic!("{other:?}"),
        }
    }

    fn group(extra: Value) -> Result<GroupRecord, Vec<Violation>> {
        let mut line = json!({"type": "group", "id": ADA});
        line.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        match parse_line(&line.to_string())? {
            DirectoryRecord::Group(group) => Ok(group),
            other => panic!("{other:?}"),
        }
    }

    fn paths<T: fmt::Debug>(read: Result<T, Vec<Violation>>) -> Vec<String> {
        read.unwrap_err().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn every_member_of_a_user_is_read() {
        let read = user(json!({
            "userPrincipalName": "ada@acme.example", "displayName": "Ada Byron", "mail": "ada@acme.example",
            "userType": "Guest", "accountEnabled": false, "department": "R&D", "jobTitle": "Engineer",
            "country": "GB", "manager": BOB, "createdDateTime": "2024-02-01T02:00:00.1234567+02:00",
            "signInActivity": {"lastSignInDateTime": "2026-11-01T08:00:00Z"},
            "externalUserState": "PendingAcceptance"
        }))
        .unwrap();

        assert_eq!(
            read,
            UserRecord {
                id: id(ADA),
                user_principal_name: Some("ada@acme.example".into()),
                display_name: Some("Ada Byron".into()),
                mail: Property::Value("ada@acme.example".into()),
                user_type: Some(UserType::Guest),
                account_enabled: Some(false),
                department: Property::Value("R&D".into()),
                job_title: Property::Value("Engineer".into()),
                country: Property::Value("GB".into()),
                manager: Property::Value(id(BOB)),
                sponsors: None,
                created_at: Property::Value("2024-02-01T00:00:00.123456Z".parse().unwrap()),
                sign_in: Some(SignIn::At("2026-11-01T08:00:00Z".parse().unwrap())),
                external_user_state: Property::Value(ExternalUserState::PendingAcceptance),
            }
        );
    }

    #[test]
    fn a_user_of_whom_nothing_is_said_changes_nothing() {
        let read = user(json!({})).unwrap();

        assert_eq!(read.display_name, None);
        assert_eq!(read.mail, Property::Absent);
        assert_eq!(read.manager, Property::Absent);
        assert_eq!(read.account_enabled, None);
        assert_eq!(read.sign_in, None);
    }

    #[test]
    fn null_clears_or_goes_back_to_the_default() {
        let read = user(json!({
            "mail": null, "userType": null, "accountEnabled": null, "manager": null, "createdDateTime": null,
            "signInActivity": null, "department": "  "
        }))
        .unwrap();

        assert_eq!(read.mail, Property::Null);
        assert_eq!(read.department, Property::Null);
        assert_eq!(read.user_type, Some(UserType::Member));
        assert_eq!(read.account_enabled, Some(true));
        assert_eq!(read.manager, Property::Null);
        assert_eq!(read.created_at, Property::Null);
        assert_eq!(read.sign_in, Some(SignIn::Unknown));

        let read = group(json!({
            "members": null, "owners": null, "eligibleOwners": null, "groupTypes": null, "onPremisesSyncEnabled": null,
            "privilegedAccess": null
        }));
        let read = read.unwrap();
        assert_eq!((read.eligible_owners, read.privileged_access), (Some(vec![]), Some(false)));
        assert_eq!(read.members, Some(vec![]));
        assert_eq!(read.owners, Some(vec![]));
        assert_eq!(read.group_types, Some(vec![]));
        assert_eq!(read.on_premises_sync_enabled, Some(false));
    }

    /// LC-RCM-05
    #[test]
    fn a_null_last_sign_in_means_known_and_never_signed_in() {
        let read = user(json!({"signInActivity": {"lastSignInDateTime": null}})).unwrap();

        assert_eq!(read.sign_in, Some(SignIn::Never));
    }

    #[test]
    fn a_sign_in_activity_that_says_nothing_is_refused() {
        assert_eq!(paths(user(json!({"signInActivity": {}}))), ["signInActivity.lastSignInDateTime"]);
        assert_eq!(
            paths(user(json!({"signInActivity": {"lastSignInDateTime": 5, "last": 1}}))),
            ["signInActivity.last", "signInActivity.lastSignInDateTime"]
        );
    }

    #[test]
    fn names_that_everybody_has_cannot_be_cleared() {
        assert_eq!(
            paths(user(json!({"userPrincipalName": null, "displayName": " "}))),
            ["displayName", "userPrincipalName"]
        );
        assert_eq!(paths(group(json!({"displayName": null}))), ["displayName"]);
    }

    #[test]
    fn a_member_that_the_type_does_not_have_is_refused_by_name() {
        assert_eq!(paths(user(json!({"members": [], "fallbackReviewer": 1}))), ["members", "fallbackReviewer"]);
        assert_eq!(paths(group(json!({"mail": "x"}))), ["mail"]);
        assert_eq!(paths(group(json!({"Members": []}))), ["Members"]);
    }

    #[test]
    fn a_type_that_is_missing_or_unknown_is_refused() {
        for line in [r#"{"id":"x"}"#, r#"{"type":"device"}"#, r#"{"type":7}"#, r#"{"type":"User"}"#] {
            assert_eq!(paths(parse_line(line)), ["type"]);
        }
    }

    #[test]
    fn a_member_given_twice_is_refused() {
        let line = format!(r#"{{"type":"group","id":"{ADA}","displayName":"a","displayName":"b"}}"#);

        assert_eq!(paths(parse_line(&line)), ["displayName"]);
    }

    #[test]
    fn wrong_json_types_are_refused_each_with_its_path() {
        assert_eq!(
            paths(user(
                json!({"mail": 1, "accountEnabled": "yes", "manager": [], "createdDateTime": {}, "userType": "guest"})
            )),
            ["manager", "mail", "userType", "accountEnabled", "createdDateTime"]
        );
        assert_eq!(
            paths(group(
                json!({"members": BOB, "owners": [BOB, 4, "x"], "eligibleOwners": ["x"], "privilegedAccess": 1})
            )),
            ["privilegedAccess", "members", "owners[1]", "owners[2]", "eligibleOwners[0]"]
        );
    }

    #[test]
    fn ids_are_hyphenated_uuids_in_any_letter_case_and_not_zero() {
        let upper = "ABCDEFAB-CDEF-4ABC-8DEF-ABCDEFABCDEF";
        let read = group(json!({"members": [upper, upper.to_lowercase(), BOB]})).unwrap();
        assert_eq!(read.members, Some(vec![id(BOB), id(upper)]));

        let zero = "00000000-0000-0000-0000-000000000000";
        assert_eq!(
            paths(group(json!({"members": [BOB.replace('-', ""), format!("{{{BOB}}}"), zero]}))),
            ["members[0]", "members[1]", "members[2]"]
        );
        assert_eq!(paths(parse_line(&format!(r#"{{"type":"user","id":"{zero}"}}"#))), ["id"]);
        assert_eq!(paths(parse_line(r#"{"type":"user"}"#)), ["id"]);
    }

    #[test]
    fn dates_without_an_offset_are_refused() {
        assert_eq!(paths(user(json!({"createdDateTime": "2024-02-01T00:00:00"}))), ["createdDateTime"]);
        assert_eq!(paths(user(json!({"createdDateTime": "2024-02-30T00:00:00Z"}))), ["createdDateTime"]);
    }

    #[test]
    fn nobody_is_his_own_manager() {
        assert_eq!(paths(user(json!({"manager": ADA.to_uppercase()}))), ["manager"]);
    }

    #[test]
    fn texts_that_cannot_be_stored_are_refused() {
        assert_eq!(paths(user(json!({"department": "a\0b"}))), ["department"]);
        assert_eq!(paths(user(json!({"jobTitle": "x".repeat(1025)}))), ["jobTitle"]);
        assert_eq!(paths(user(json!({"userPrincipalName": "é".repeat(321)}))), ["userPrincipalName"]);
        assert_eq!(paths(user(json!({"userPrincipalName": "ada byron"}))), ["userPrincipalName"]);
        assert_eq!(paths(user(json!({"mail": "a@b.example\r\nBcc: c"}))), ["mail"]);
        assert!(user(json!({"userPrincipalName": "é".repeat(320), "jobTitle": "é".repeat(1024)})).is_ok());
    }

    #[test]
    fn app_role_assignments_need_all_their_members() {
        let line = json!({"type": "servicePrincipal", "id": ADA, "appRoleAssignedTo": [
            {"id": "b", "principalId": BOB, "appRoleId": "00000000-0000-0000-0000-000000000000"},
            {"id": "a", "principalId": BOB, "appRoleId": ADA},
        ]});
        let Ok(DirectoryRecord::ServicePrincipal(read)) = parse_line(&line.to_string()) else { panic!("{line}") };
        let assignments = read.app_role_assigned_to.unwrap();
        assert_eq!(assignments.iter().map(|assignment| assignment.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);

        let line = json!({"type": "servicePrincipal", "id": ADA, "appRoleAssignedTo": [
            {"id": "", "principalId": 1, "role": 3},
            null,
        ]});
        assert_eq!(
            paths(parse_line(&line.to_string())),
            [
                "appRoleAssignedTo[0].role",
                "appRoleAssignedTo[0].id",
                "appRoleAssignedTo[0].principalId",
                "appRoleAssignedTo[0].appRoleId",
                "appRoleAssignedTo[1]"
            ]
        );
    }

    /// LC-RCM-04
    #[test]
    fn sign_ins_to_an_application_are_read_by_user_and_null_means_known_and_never() {
        let application = |sign_ins: serde_json::Value| {
            parse_line(&json!({"type": "servicePrincipal", "id": ADA, "signIns": sign_ins}).to_string())
        };
        let Ok(DirectoryRecord::ServicePrincipal(read)) = application(json!([
            {"userId": BOB, "lastSignInDateTime": "2026-11-01T09:00:00.123456789+01:00"},
            {"userId": ADA, "lastSignInDateTime": null},
        ])) else {
            panic!("refused")
        };
        let never = ApplicationSignIn { user_id: id(ADA), last_sign_in_at: None };
        let last = Some("2026-11-01T08:00:00.123456Z".parse().unwrap());
        assert_eq!(read.sign_ins.unwrap(), [never, ApplicationSignIn { user_id: id(BOB), last_sign_in_at: last }]);

        assert_eq!(
            paths(application(json!([{"userId": "x", "at": 1}, {"lastSignInDateTime": "noon"}, 3]))),
            [
                "signIns[0].at",
                "signIns[0].userId",
                "signIns[0].lastSignInDateTime",
                "signIns[1].userId",
                "signIns[1].lastSignInDateTime",
                "signIns[2]"
            ]
        );
        let never = json!({"userId": BOB, "lastSignInDateTime": null});
        assert_eq!(paths(application(json!([never, never]))), ["signIns"]);
    }

    #[test]
    fn an_assignment_id_stands_once_in_a_service_principal() {
        let one = json!({"id": "a", "principalId": BOB, "appRoleId": BOB});
        let line = json!({"type": "servicePrincipal", "id": ADA, "appRoleAssignedTo": [one, one]});

        assert_eq!(paths(parse_line(&line.to_string())), ["appRoleAssignedTo"]);
    }

    #[test]
    fn shared_channels_are_read_with_their_members() {
        let read = group(json!({"sharedChannels": [
            {"id": "19:b@thread.tacv2", "displayName": "Beta", "members": [BOB, ADA, BOB]},
            {"id": "19:a@thread.tacv2", "displayName": "Alpha"},
        ]}))
        .unwrap();
        let channels = read.shared_channels.unwrap();
        assert_eq!(channels.iter().map(|channel| channel.display_name.as_str()).collect::<Vec<_>>(), ["Alpha", "Beta"]);
        assert_eq!(channels[1].members, [id(ADA), id(BOB)]);

        assert_eq!(
            paths(group(json!({"sharedChannels": [{"displayName": 1, "members": [BOB, "x"], "kind": "shared"}, 7]}))),
            [
                "sharedChannels[0].kind",
                "sharedChannels[0].id",
                "sharedChannels[0].displayName",
                "sharedChannels[0].members[1]",
                "sharedChannels[1]"
            ]
        );
    }

    #[test]
    fn an_access_package_is_read_with_its_policies_and_assignments() {
        let line = json!({"type": "accessPackage", "id": ADA, "displayName": "Starter kit", "catalogId": BOB,
            "catalogDisplayName": "Sales", "assignmentPolicies": [{"id": BOB, "displayName": "Everybody"}],
            "assignments": [{"id": "1", "assignmentPolicyId": BOB, "targetId": BOB}]});
        let Ok(DirectoryRecord::AccessPackage(read)) = parse_line(&line.to_string()) else { panic!("{line}") };

        assert_eq!(read.catalog_id, Property::Value(id(BOB)));
        assert_eq!(read.assignment_policies.unwrap()[0].display_name, "Everybody");
        assert_eq!(read.assignments.unwrap()[0].target_id, id(BOB));
    }

    #[test]
    fn what_is_not_one_json_object_is_refused_with_its_column() {
        let faults = parse_line(r#"{"type":"user",}"#).unwrap_err();
        assert_eq!(faults[0].path, "");
        assert!(faults[0].reason.starts_with("is not JSON at column 16: "), "{}", faults[0].reason);
        assert!(!faults[0].reason.contains("line"), "{}", faults[0].reason);

        assert!(parse_line("{}{}").is_err());
        assert!(parse_line("").is_err());
        assert_eq!(parse_line("[1,{}]").unwrap_err()[0].reason, "must be a JSON object, not an array");
        assert!(parse_line(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_line_with_many_faults_tells_the_first_twenty() {
        let members: Vec<u32> = (0..1000).collect();
        assert_eq!(paths(group(json!({"members": members}))).len(), 20);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_with_a_reason(text in "\\PC*") {
            if let Err(faults) = parse_line(&text) {
                prop_assert!(!faults.is_empty());
            }
        }

        #[test]
        fn any_value_of_any_member_is_read_or_refused_below_that_member(
            kind in prop::sample::select(ObjectKind::ALL.to_vec()),
            pick in any::<prop::sample::Index>(),
            value in prop::sample::select(vec![
                json!(null), json!(true), json!(1), json!(1.5), json!(-1), json!("x"), json!(BOB), json!([]), json!([BOB]),
                json!([null]), json!({}), json!({"id": BOB}), json!([[{}]]), json!("2024-02-01T00:00:00Z"),
            ]),
        ) {
            let name = members_of(kind)[2 + pick.index(members_of(kind).len() - 2)];
            let mut line = json!({"type": kind.name(), "id": ADA});
            line[name] = value;

            match parse_line(&line.to_string()) {
                Ok(record) => {
                    prop_assert_eq!(record.kind(), kind);
                    prop_assert_eq!(record.id(), id(ADA));
                }
                Err(faults) => prop_assert!(faults.iter().all(|fault| fault.path.starts_with(name)), "{:?}", faults),
            }
        }
    }
}
