//! `attestry mail-template`: what a tenant's mails say.

use anyhow::Context;
use attestry::{
    app::{
        Services,
        list_mail_templates::{get_mail_template, list_mail_templates},
        remove_mail_template::remove_mail_template,
        set_mail_template::set_mail_template,
    },
    config::Config,
    domain::mail::MailKind,
    http::mail::{parse_template, render_template},
    store::Actor,
};
use serde_json::{Value, json};

use super::{
    MailTemplateCommand, MailTemplateSetArguments,
    database::Database,
    print, read,
    service::{self, Wired},
};

pub async fn run(config: &Config, database: &Database, command: MailTemplateCommand) -> anyhow::Result<()> {
    database.prepare(false).await?;
    let Wired { services, store } = service::wire(config, database)?;
    let outcome = answer(database, &services, command).await;
    store.close().await;
    print(&outcome?.to_string())
}

async fn answer(database: &Database, services: &Services, command: MailTemplateCommand) -> anyhow::Result<Value> {
    match command {
        MailTemplateCommand::List(arguments) => {
            let tenant = database.tenant(&arguments.tenant).await?.id;
            let templates = list_mail_templates(services, tenant).await.map_err(service::told)?;
            Ok(templates.iter().map(render_template).collect())
        }
        MailTemplateCommand::Show(arguments) => {
            let tenant = database.tenant(&arguments.tenant.tenant).await?.id;
            let template = get_mail_template(services, tenant, kind(&arguments.kind)?).await;
            Ok(render_template(&template.map_err(service::told)?))
        }
        MailTemplateCommand::Set(arguments) => {
            let tenant = database.tenant(&arguments.template.tenant.tenant).await?.id;
            let kind = kind(&arguments.template.kind)?;
            let own = parse_template(&described(arguments)?).map_err(|faults| service::told_faults(&faults))?;
            let set = set_mail_template(services, tenant, &Actor::system(), kind, own).await;
            Ok(render_template(&set.map_err(service::told)?))
        }
        MailTemplateCommand::Remove(arguments) => {
            let tenant = database.tenant(&arguments.tenant.tenant).await?;
            let kind = kind(&arguments.kind)?;
            let removed = remove_mail_template(services, tenant.id, &Actor::system(), kind).await;
            removed.with_context(|| format!("`{}` has no template of its own for {}", tenant.slug, kind.name()))?;
            let template = get_mail_template(services, tenant.id, kind).await.map_err(service::told)?;
            Ok(render_template(&template))
        }
    }
}

fn kind(name: &str) -> anyhow::Result<MailKind> {
    MailKind::from_name(name).with_context(|| {
        let names: Vec<_> = MailKind::ALL.into_iter().map(MailKind::name).collect();
        format!("`{name}` is no mail; there are {}", names.join(", "))
    })
}

/// What the arguments say, in the form of the API.
fn described(arguments: MailTemplateSetArguments) -> anyhow::Result<Value> {
    let MailTemplateSetArguments { template: _, file, subject, text, html } = arguments;
    if let Some(file) = &file {
        return serde_json::from_str(&read(file)?).with_context(|| format!("{} is no JSON", file.display()));
    }
    let content = |file: Option<std::path::PathBuf>| file.map(|file| read(&file)).transpose();
    Ok(json!({ "subject": subject, "text": content(text)?, "html": content(html)? }))
}
