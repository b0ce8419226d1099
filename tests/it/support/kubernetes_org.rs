//! The organisation data of the Kubernetes project as a directory: a real one, with its real irregularities.
//!
//! The folder holds `config/<org>/org.yaml` (`admins`, `members`, `teams`) and `config/<org>/**/teams.yaml`. It becomes:
//!
//! * every login, wherever it is named, one user, also when several organisations name it or spell it in other letter case
//!   (GitHub's logins do not differ by case). The first organisation that names it, by alphabet, gives the domain of the user
//!   principal name, the first spelling there the display name;
//! * every team a group: its `members` and its child teams are the members, its `maintainers` the owners *only*. A
//!   maintainer who is not in `members` as well is no member;
//! * `previously`, `privacy`, `repos` and descriptions are left out.
//!
//! [`counts`] reads the same files with code of its own, so that what a service says can be held against it.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The id of a person, whatever the letter case of the login.
pub fn person_id(login: &str) -> Uuid {
    id_of(&format!("person:{}", login.to_lowercase()))
}

/// The id of a team; its name is unique within the organisation.
pub fn team_id(org: &str, team: &str) -> Uuid {
    id_of(&format!("team:{org}/{team}"))
}

fn id_of(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(name)[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    admins: Vec<String>,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    teams: BTreeMap<String, Team>,
}

#[derive(Deserialize)]
struct Team {
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    maintainers: Vec<String>,
    #[serde(default)]
    teams: BTreeMap<String, Team>,
}

/// The lines of a directory file. A parent team stands before its children, and teams before people.
pub fn directory_lines(folder: &Path) -> Vec<String> {
    let mut people = BTreeMap::new();
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    for (org, files) in organisations(folder) {
        let files: Vec<File> = files.iter().map(|file| serde_yaml_ng::from_str(&read(file)).unwrap()).collect();
        for file in &files {
            for login in file.admins.iter().chain(&file.members) {
                name(&mut people, &org, login);
            }
        }
        for file in &files {
            let mut waiting: Vec<(&String, &Team)> = file.teams.iter().collect();
            while let Some((team_name, team)) = waiting.pop() {
                assert!(seen.insert(team_id(&org, team_name)), "{org}/{team_name} is there twice");
                for login in team.members.iter().chain(&team.maintainers) {
                    name(&mut people, &org, login);
                }
                let logins = team.members.iter().map(|login| person_id(login));
                let members: Vec<Uuid> = logins.chain(team.teams.keys().map(|child| team_id(&org, child))).collect();
                let owners: Vec<Uuid> = team.maintainers.iter().map(|login| person_id(login)).collect();
                let line = json!({
                    "type": "group", "id": team_id(&org, team_name), "displayName": format!("{org}/{team_name}"),
                    "members": members, "owners": owners,
                });
                lines.push(line.to_string());
                waiting.extend(&team.teams);
            }
        }
    }
    lines.extend(people.into_values().map(|person| person.to_string()));
    lines
}

fn name(people: &mut BTreeMap<Uuid, Value>, org: &str, login: &str) {
    if let Entry::Vacant(vacant) = people.entry(person_id(login)) {
        let upn = format!("{}@{org}.example", login.to_lowercase());
        vacant.insert(json!({
            "type": "user", "id": person_id(login), "userPrincipalName": upn, "displayName": login,
            "userType": "Member", "accountEnabled": true,
        }));
    }
}

fn organisations(folder: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut organisations = BTreeMap::new();
    for entry in fs::read_dir(folder.join("config")).unwrap() {
        let path = entry.unwrap().path();
        let mut files = Vec::new();
        yaml_files(&path, &mut files);
        files.sort();
        organisations.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), files);
    }
    organisations
}

fn yaml_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, files);
        } else if path.file_name().is_some_and(|name| name == "org.yaml" || name == "teams.yaml") {
            files.push(path);
        }
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// Who belongs to a team, each counted once; logins in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamCount {
    /// The organisation.
    pub org: String,
    /// `<org>/<team>`
    pub team: String,
    /// The id of the group.
    pub id: Uuid,
    /// Its own members.
    pub direct: usize,
    /// Its own members and those of all teams below.
    pub transitive: BTreeSet<String>,
    /// Its maintainers.
    pub maintainers: BTreeSet<String>,
}

/// What the files say of every team, read without the types above, by team.
pub fn counts(folder: &Path) -> Vec<TeamCount> {
    fn descend(org: &str, teams: Option<&Yaml>, counts: &mut Vec<TeamCount>) -> BTreeSet<String> {
        let mut everybody = BTreeSet::new();
        for (name, team) in teams.and_then(Yaml::as_mapping).into_iter().flatten() {
            let name = name.as_str().unwrap();
            let direct = logins(team, "members");
            let mut below = descend(org, team.get("teams"), counts);
            below.extend(direct.iter().cloned());
            counts.push(TeamCount {
                org: org.to_owned(),
                team: format!("{org}/{name}"),
                id: team_id(org, name),
                direct: direct.len(),
                transitive: below.clone(),
                maintainers: logins(team, "maintainers"),
            });
            everybody.append(&mut below);
        }
        everybody
    }

    let mut counts = Vec::new();
    for (org, files) in organisations(folder) {
        for file in files {
            let yaml: Yaml = serde_yaml_ng::from_str(&read(&file)).unwrap();
            descend(&org, yaml.get("teams"), &mut counts);
        }
    }
    counts.sort_by(|one, other| one.team.cmp(&other.team));
    counts
}

/// The admins of every organisation, read without the types above; logins in lower case.
pub fn admins(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    organisations(folder)
        .into_iter()
        .map(|(org, files)| {
            let of = |file: &PathBuf| logins(&serde_yaml_ng::from_str(&read(file)).unwrap(), "admins");
            let admins = files.iter().flat_map(of).collect();
            (org, admins)
        })
        .collect()
}

fn logins(part: &Yaml, key: &str) -> BTreeSet<String> {
    let list = part.get(key).and_then(Yaml::as_sequence).map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|login| login.as_str().unwrap().to_lowercase()).collect()
}
