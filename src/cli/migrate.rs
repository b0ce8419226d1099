//! `attestry migrate`

use super::database::Database;

pub async fn run(database: &Database) -> anyhow::Result<()> {
    match database.migrate().await? {
        0 => eprintln!("the schema is up to date"),
        1 => eprintln!("applied 1 migration"),
        applied => eprintln!("applied {applied} migrations"),
    }
    Ok(())
}
