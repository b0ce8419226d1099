//! Mail templates and settings as clients write and read them; the command line speaks the same form.

use serde_json::{Value, json};

use crate::{
    app::list_mail_templates::EffectiveTemplate,
    domain::{
        mail::{MailSettings, OwnTemplate},
        violation::Violation,
    },
    http::{
        definitions::view::render_date_time,
        json_reader::{Faults, ObjectReader},
    },
};

/// Members that a client may send back and that the server decides.
const READ_ONLY: [&str; 4] = ["kind", "own", "variables", "lastModifiedDateTime"];

/// A template as clients read it.
pub fn render_template(template: &EffectiveTemplate) -> Value {
    let variables: Vec<_> = template
        .variables
        .iter()
        .map(|variable| json!({ "name": variable.name, "description": variable.description }))
        .collect();
    let own: Vec<_> =
        template.own.iter().flat_map(|stored| stored.own.parts().map(|(part, _)| part.member())).collect();
    json!({
        "kind": template.kind.name(),
        "subject": template.parts.subject,
        "text": template.parts.text,
        "html": template.parts.html,
        "own": own,
        "lastModifiedDateTime": template.own.as_ref().map(|stored| render_date_time(stored.modified_at)),
        "variables": variables,
    })
}

/// Reads a tenant's own template.
///
/// # Errors
/// What is wrong with the form; whether the templates are good is the use case's to say.
pub fn parse_template(body: &Value) -> Result<OwnTemplate, Vec<Violation>> {
    let faults = Faults::default();
    let own = ObjectReader::new("", body, &faults).map(|mut reader| {
        let own = OwnTemplate {
            subject: reader.nullable_text("subject").map(str::to_owned),
            text: reader.nullable_text("text").map(str::to_owned),
            html: reader.nullable_text("html").map(str::to_owned),
        };
        reader.ignore(&READ_ONLY);
        reader.finish();
        own
    });
    match own {
        Some(own) if faults.is_empty() => Ok(own),
        Some(_) | None => Err(faults.into_violations()),
    }
}

/// Settings as clients read them.
pub fn render_settings(settings: MailSettings) -> Value {
    json!({ "remindEveryone": settings.remind_everyone })
}

/// What of the settings is to change; a member that is left out stays.
#[derive(Clone, Copy, Debug)]
pub struct SettingsChange {
    remind_everyone: Option<bool>,
}

impl SettingsChange {
    /// The settings after the change.
    pub fn of(self, before: MailSettings) -> MailSettings {
        MailSettings { remind_everyone: self.remind_everyone.unwrap_or(before.remind_everyone) }
    }
}

/// Reads a change of the settings.
///
/// # Errors
/// What is wrong with the form.
pub fn parse_settings(body: &Value) -> Result<SettingsChange, Vec<Violation>> {
    let faults = Faults::default();
    let change = ObjectReader::new("", body, &faults).map(|mut reader| {
        let change = SettingsChange { remind_everyone: reader.flag("remindEveryone") };
        reader.finish();
        change
    });
    match change {
        Some(change) if faults.is_empty() => Ok(change),
        Some(_) | None => Err(faults.into_violations()),
    }
}
