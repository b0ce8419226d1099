//! `attestry settings`: how a tenant handles reviews, where it may choose.

use attestry::{
    app::review_settings::{change_review_settings, review_settings_of},
    config::Config,
    http::review_settings::{parse_change, render},
    store::Actor,
};
use serde_json::{Map, Value};

use super::{
    SettingsCommand,
    database::Database,
    print,
    service::{self, Wired},
};

pub async fn run(config: &Config, database: &Database, command: SettingsCommand) -> anyhow::Result<()> {
    database.prepare(false).await?;
    let Wired { services, store } = service::wire(config, database)?;
    let answer = async {
        let settings = match command {
            SettingsCommand::Show(arguments) => {
                let tenant = database.tenant(&arguments.tenant).await?.id;
                review_settings_of(&services, tenant).await
            }
            SettingsCommand::Set(arguments) => {
                let tenant = database.tenant(&arguments.tenant).await?.id;
                let mut body = Map::new();
                if let Some(may) = arguments.group_owners_may_review {
                    body.insert("groupOwnersMayReview".to_owned(), Value::Bool(may));
                }
                let wanted = parse_change(&Value::Object(body)).map_err(|faults| service::told_faults(&faults))?;
                change_review_settings(&services, tenant, &Actor::system(), wanted).await
            }
        };
        anyhow::Ok(render(&settings.map_err(service::told)?))
    };
    let answer = answer.await;
    store.close().await;
    print(&answer?.to_string())
}
