//! Who there is: eight people, the group under review, a group nested in it, an admin and an application.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use attestry::domain::ids::{ObjectId, TenantId};
use proptest::prelude::*;
use uuid::Uuid;

/// An object of the directory. Their ids are the same in every tenant, so that a wall that leaks would show.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u8);

/// The people under review and who reviews them; the last two are guests.
pub const PEOPLE: [Name; 8] = [Name(0), Name(1), Name(2), Name(3), Name(4), Name(5), Name(6), Name(7)];
const GUESTS: [Name; 2] = [Name(6), Name(7)];
/// Identity Governance Administrator; creates every review and is under none.
pub const CARLA: Name = Name(8);
/// The group nested in [`FINANCE`].
pub const CONTRACTORS: Name = Name(9);
/// The group under review.
pub const FINANCE: Name = Name(10);
/// An application with `AccessReview.ReadWrite.All`.
pub const SYNC: Name = Name(11);
/// The system's identity, which is nobody's.
pub const SYSTEM: Name = Name(12);

const NAMES: [&str; 13] =
    ["ana", "ben", "cleo", "dan", "eve", "fay", "gus", "hal", "carla", "contractors", "finance", "sync", "the system"];

impl Name {
    /// One of the people.
    pub fn person(number: u8) -> Self {
        PEOPLE[usize::from(number) % PEOPLE.len()]
    }

    pub fn id(self) -> ObjectId {
        ObjectId::new(self.uuid())
    }

    pub fn uuid(self) -> Uuid {
        match self {
            SYSTEM => Uuid::nil(),
            Self(number) => Uuid::from_u128(0xacce_5500 + u128::from(number)),
        }
    }

    /// Whose id this is.
    pub fn of(id: Uuid) -> Self {
        (0..=12).map(Self).find(|name| name.uuid() == id).unwrap_or_else(|| panic!("nobody has the id {id}"))
    }

    pub fn text(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    pub fn is_guest(self) -> bool {
        GUESTS.contains(&self)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What the directory tells of somebody's activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    NoInformation,
    /// Known, and never; the account is a year old.
    Never,
    /// So many days before the histories begin.
    DaysAgo(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub manager: Option<Name>,
    pub enabled: bool,
    pub sign_in: SignIn,
}

/// The directory as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Who is gone is not in it.
    pub users: BTreeMap<Name, User>,
    /// Direct members of [`FINANCE`]: people, and perhaps [`CONTRACTORS`].
    pub members: BTreeSet<Name>,
    /// Members of [`CONTRACTORS`].
    pub nested: BTreeSet<Name>,
    /// Owners of [`FINANCE`].
    pub owners: BTreeSet<Name>,
}

/// A change of the directory that nobody asked attestry for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Manager { of: Name, is: Option<Name> },
    Owner { is: Name, owns: bool },
    Member { is: Name, belongs: bool },
    Nested { is: Name, belongs: bool },
    Account { of: Name, enabled: bool },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager { of, is: Some(is) } => write!(f, "{is} becomes the manager of {of}"),
            Self::Manager { of, is: None } => write!(f, "{of} loses their manager"),
            Self::Owner { is, owns: true } => write!(f, "{is} becomes an owner of finance"),
            Self::Owner { is, owns: false } => write!(f, "{is} is no owner of finance any more"),
            Self::Member { is, belongs: true } => write!(f, "{is} joins finance"),
            Self::Member { is, belongs: false } => write!(f, "{is} leaves finance"),
            Self::Nested { is, belongs: true } => write!(f, "{is} joins contractors"),
            Self::Nested { is, belongs: false } => write!(f, "{is} leaves contractors"),
            Self::Account { of, enabled: true } => write!(f, "the account of {of} is enabled"),
            Self::Account { of, enabled: false } => write!(f, "the account of {of} is disabled"),
        }
    }
}

impl Directory {
    /// An enabled account. LC-REV-05
    pub fn is_enabled(&self, name: Name) -> bool {
        self.users.get(&name).is_some_and(|user| user.enabled)
    }

    /// The manager who can review, if any.
    pub fn manager_of(&self, name: Name) -> Option<Name> {
        self.users.get(&name)?.manager.filter(|manager| self.is_enabled(*manager))
    }

    /// The users of [`FINANCE`], each once however many paths lead to him. LC-INST-12
    pub fn users_however_nested(&self) -> BTreeSet<Name> {
        let mut users: BTreeSet<_> = self.members.iter().copied().filter(|name| *name != CONTRACTORS).collect();
        if self.members.contains(&CONTRACTORS) {
            users.extend(&self.nested);
        }
        users
    }

    pub fn change(&mut self, change: Change) {
        fn put(set: &mut BTreeSet<Name>, name: Name, belongs: bool) {
            if belongs {
                set.insert(name)
            } else {
                set.remove(&name)
            };
        }
        let (subject, other) = match change {
            Change::Manager { of, is } => (of, is),
            Change::Account { of, .. } => (of, None),
            Change::Owner { is, .. } | Change::Member { is, .. } | Change::Nested { is, .. } => (is, None),
        };
        let there = |name: Name| name == CONTRACTORS || self.users.contains_key(&name);
        if !there(subject) || !other.is_none_or(there) {
            return;
        }
        match change {
            Change::Manager { of, is } => self.users.get_mut(&of).into_iter().for_each(|user| user.manager = is),
            Change::Account { of, enabled } => {
                self.users.get_mut(&of).into_iter().for_each(|user| user.enabled = enabled);
            }
            Change::Owner { is, owns } => put(&mut self.owners, is, owns),
            Change::Member { is, belongs } => put(&mut self.members, is, belongs),
            Change::Nested { is, belongs } => put(&mut self.nested, is, belongs),
        }
    }

    /// The account and everything it had are gone. LC-APPLY-09
    pub fn delete(&mut self, name: Name) {
        self.users.remove(&name);
        for set in [&mut self.members, &mut self.nested, &mut self.owners] {
            set.remove(&name);
        }
        for user in self.users.values_mut().filter(|user| user.manager == Some(name)) {
            user.manager = None;
        }
    }

    /// The statements that make the tenant and this directory in it, for one round trip.
    pub fn statements(&self, tenant: TenantId) -> String {
        let mut sql = format!(
            "begin; set local session_replication_role = replica;
             insert into tenants (tenant_id, slug, display_name, sandbox, page_key)
             values ('{tenant}', 't-{}', 'Acme', true, '\\x{}');
             insert into groups (tenant_id, group_id, display_name)
             values ('{tenant}', '{}', 'finance'), ('{tenant}', '{}', 'contractors');\n",
            tenant.as_uuid().simple(),
            "00".repeat(32),
            FINANCE.id(),
            CONTRACTORS.id(),
        );
        let users: Vec<_> = self.users.iter().map(|(name, user)| user_row(tenant, *name, user)).collect();
        sql += &format!(
            "insert into users (tenant_id, user_id, user_principal_name, display_name, mail, user_type, account_enabled,
                                manager_id, created_at, sign_in_known, last_sign_in_at)
             values {};\n",
            users.join(", ")
        );
        let kind = |name: Name| if name == CONTRACTORS { "group" } else { "user" };
        for (table, column, group, set) in [
            ("group_members", "member", FINANCE, &self.members),
            ("group_members", "member", CONTRACTORS, &self.nested),
            ("group_owners", "owner", FINANCE, &self.owners),
        ] {
            let rows: Vec<_> = set
                .iter()
                .map(|name| format!("('{tenant}', '{}', '{}', '{}')", group.id(), name.id(), kind(*name)))
                .collect();
            if !rows.is_empty() {
                sql += &format!(
                    "insert into {table} (tenant_id, group_id, {column}_id, {column}_type) values {};\n",
                    rows.join(", ")
                );
            }
        }
        sql + "commit"
    }
}

fn user_row(tenant: TenantId, name: Name, user: &User) -> String {
    let (known, last) = match user.sign_in {
        SignIn::NoInformation => (false, "null".to_owned()),
        SignIn::Never => (true, "null".to_owned()),
        SignIn::DaysAgo(days) => (true, format!("now() - interval '{days} days'")),
    };
    let manager = user.manager.map_or("null".to_owned(), |manager| format!("'{}'", manager.id()));
    format!(
        "('{tenant}', '{}', '{name}@acme.example', '{name}', '{name}@acme.example', '{}', {}, {manager},
          now() - interval '365 days', {known}, {last})",
        name.id(),
        if name.is_guest() { "Guest" } else { "Member" },
        user.enabled,
    )
}

impl Change {
    /// The same in the tenant's tables.
    pub fn statement(self, tenant: TenantId) -> String {
        let exists = |name: Name| match name {
            CONTRACTORS => "true".to_owned(),
            _ => format!("exists (select from users where tenant_id = '{tenant}' and user_id = '{}')", name.id()),
        };
        let belong = |table: &str, column: &str, group: Name, name: Name, belongs: bool| match belongs {
            true => format!(
                "insert into {table} (tenant_id, group_id, {column}_id, {column}_type)
                 select '{tenant}', '{}', '{}', '{}' where {} on conflict do nothing",
                group.id(),
                name.id(),
                if name == CONTRACTORS { "group" } else { "user" },
                exists(name),
            ),
            false => format!(
                "delete from {table} where tenant_id = '{tenant}' and group_id = '{}' and {column}_id = '{}'",
                group.id(),
                name.id(),
            ),
        };
        match self {
            Self::Manager { of, is } => {
                let (value, there) = match is {
                    Some(is) => (format!("'{}'", is.id()), exists(is)),
                    None => ("null".to_owned(), "true".to_owned()),
                };
                format!(
                    "update users set manager_id = {value} where tenant_id = '{tenant}' and user_id = '{}' and {there}",
                    of.id()
                )
            }
            Self::Account { of, enabled } => format!(
                "update users set account_enabled = {enabled} where tenant_id = '{tenant}' and user_id = '{}'",
                of.id()
            ),
            Self::Owner { is, owns } => belong("group_owners", "owner", FINANCE, is, owns),
            Self::Member { is, belongs } => belong("group_members", "member", FINANCE, is, belongs),
            Self::Nested { is, belongs } => belong("group_members", "member", CONTRACTORS, is, belongs),
        }
    }
}

pub fn any_person() -> impl Strategy<Value = Name> {
    (0_u8..8).prop_map(Name::person)
}

fn any_people(most: usize) -> impl Strategy<Value = BTreeSet<Name>> {
    prop::collection::btree_set(any_person(), 0..=most)
}

/// Few managers, so that some have several people under review and hand one over.
fn any_manager() -> impl Strategy<Value = Option<Name>> {
    prop_oneof![3 => Just(None), 4 => Just(Some(Name(4))), 3 => Just(Some(Name(5))), 2 => any_person().prop_map(Some)]
}

pub fn any_directory() -> impl Strategy<Value = Directory> {
    let sign_in = prop_oneof![
        1 => Just(SignIn::NoInformation),
        1 => Just(SignIn::Never),
        4 => (0_u8..60).prop_map(SignIn::DaysAgo),
    ];
    let user = (any_manager(), prop::bool::weighted(0.9), sign_in);
    let users = prop::collection::vec(user, PEOPLE.len());
    let members = prop_oneof![1 => any_people(0), 12 => prop::collection::btree_set(any_person(), 2..=6)];
    (users, members, any_people(4), prop::bool::weighted(0.5), prop::bool::weighted(0.3), any_people(3)).prop_map(
        |(users, mut members, nested, contractors, guests, owners)| {
            let mut users: BTreeMap<_, _> = PEOPLE
                .into_iter()
                .zip(users)
                .map(|(name, (manager, enabled, sign_in))| (name, User { manager, enabled, sign_in }))
                .collect();
            users.insert(CARLA, User { manager: None, enabled: true, sign_in: SignIn::NoInformation });
            if guests {
                members.extend(GUESTS);
            }
            if contractors {
                members.insert(CONTRACTORS);
            }
            Directory { users, members, nested, owners }
        },
    )
}

pub fn any_change() -> impl Strategy<Value = Change> {
    let member = prop_oneof![6 => any_person(), 1 => Just(CONTRACTORS)];
    prop_oneof![
        4 => (any_person(), any_manager()).prop_map(|(of, is)| Change::Manager { of, is }),
        2 => (any_person(), any::<bool>()).prop_map(|(is, owns)| Change::Owner { is, owns }),
        2 => (member, any::<bool>()).prop_map(|(is, belongs)| Change::Member { is, belongs }),
        1 => (any_person(), any::<bool>()).prop_map(|(is, belongs)| Change::Nested { is, belongs }),
        3 => (any_person(), any::<bool>()).prop_map(|(of, enabled)| Change::Account { of, enabled }),
    ]
}
