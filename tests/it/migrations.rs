//! The schema: made from nothing, once, by one runner at a time, and never by a program that is too old for it.

use std::path::PathBuf;

use attestry::store::{
    LaneSizes, Readiness, Store,
    pg::{
        PgStore,
        migrate::{self, MigrateError},
    },
};
use serde_json::Value;

use crate::support::Database;

async fn history(database: &Database) -> Vec<Value> {
    database.rows("select to_jsonb(h) as row from refinery_schema_history h order by version").await
}

async fn readiness(database: &Database) -> Readiness {
    PgStore::connect(&database.url, LaneSizes::each(1)).unwrap().ready().await.unwrap()
}

/// Pretends that a program of tomorrow was here.
async fn record_a_newer_migration(database: &Database) -> u32 {
    let newer = migrate::wanted_version() + 1;
    database
        .execute(&format!(
            "insert into refinery_schema_history (version, name, applied_on, checksum)
             select {newer}, 'tomorrow', applied_on, checksum from refinery_schema_history where version = 1"
        ))
        .await;
    newer
}

fn files() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_file_is_named_by_its_number_and_numbers_follow_each_other() {
    for (position, name) in files().iter().enumerate() {
        let (number, rest) = name.split_once("__").unwrap_or_else(|| panic!("{name} has no __"));
        assert_eq!(number, format!("V{:04}", position + 1), "{name}");
        let word = rest.strip_suffix(".sql").unwrap_or_else(|| panic!("{name} is no .sql"));
        assert!(
            !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_empty_database_gets_every_file_and_is_ready() {
    let database = Database::empty().await;

    let applied = migrate::apply(&database.url).await.unwrap();

    assert_eq!(applied, files().len());
    assert_eq!(history(&database).await.len(), files().len());
    assert_eq!(usize::try_from(migrate::wanted_version()).unwrap(), files().len());
    assert_eq!(readiness(&database).await, Readiness::Ready);
}

#[tokio::test]
async fn applying_again_does_nothing() {
    let database = Database::own().await;
    let before = history(&database).await;

    assert_eq!(migrate::apply(&database.url).await.unwrap(), 0);

    assert_eq!(history(&database).await, before);
}

#[tokio::test]
async fn two_runners_at_once_both_succeed_and_every_file_is_applied_once() {
    let database = Database::empty().await;

    let (one, other) = tokio::join!(migrate::apply(&database.url), migrate::apply(&database.url));

    assert_eq!(one.unwrap() + other.unwrap(), files().len());
    assert_eq!(history(&database).await.len(), files().len());
    assert_eq!(readiness(&database).await, Readiness::Ready);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let database = Database::own().await;
    let newer = record_a_newer_migration(&database).await;
    let before = history(&database).await;

    let error = migrate::apply(&database.url).await.unwrap_err();

    let wanted = migrate::wanted_version();
    assert!(
        matches!(error, MigrateError::Newer { found, wanted: known } if found == newer && known == wanted),
        "{error:?}"
    );
    assert_eq!(history(&database).await, before);
}

#[tokio::test]
async fn a_schema_of_another_version_is_not_ready() {
    let wanted = migrate::wanted_version();

    let empty = Database::empty().await;
    assert_eq!(readiness(&empty).await, Readiness::SchemaMismatch { found: 0, wanted });

    let newer = Database::own().await;
    let found = record_a_newer_migration(&newer).await;
    assert_eq!(readiness(&newer).await, Readiness::SchemaMismatch { found, wanted });

    let older = Database::own().await;
    older.execute(&format!("delete from refinery_schema_history where version = {wanted}")).await;
    assert_eq!(readiness(&older).await, Readiness::SchemaMismatch { found: wanted - 1, wanted });
}
