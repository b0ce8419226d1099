//! A report's text, for whoever holds a link to it. The link was checked before anybody comes here.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::{Refused, Services},
    domain::{
        event::{Activity, Event},
        history::FinishedReport,
        ids::{HistoryInstanceId, TenantId},
    },
    store::Actor,
};

/// What a download will hand out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    pub tenant: TenantId,
    pub instance: HistoryInstanceId,
    /// For the name of the file.
    pub display_name: String,
    pub report: FinishedReport,
    /// Recorded with the event of the download.
    pub request_id: Option<Uuid>,
}

/// Finds the report that a link names until `link_ends`.
///
/// [`Refused::Gone`] when the link's time is over, [`Refused::NotFound`] when the report was deleted.
pub async fn open_download(
    services: &Services,
    tenant: TenantId,
    instance: HistoryInstanceId,
    link_ends: DateTime<Utc>,
    request_id: Option<Uuid>,
) -> Result<Download, Refused> {
    let mut uow = services.begin(tenant).await?;
    if link_ends <= uow.now() {
        return Err(Refused::Gone("the download link has expired; call generateDownloadUri for a new one".to_owned()));
    }
    let found = uow.history().find_instance(instance).await?.ok_or(Refused::NotFound)?;
    let definition = uow.history().find(found.definition_id).await?.ok_or(Refused::NotFound)?;
    let report = found.finished.ok_or(Refused::NotFound)?;
    Ok(Download { tenant, instance, display_name: definition.draft.display_name, report, request_id })
}

/// One piece of the text, in a transaction of its own: nothing is held while the client reads. Who gets the first one has
/// downloaded the report, which leaves an event. LC-AUD-01
///
/// [`Refused::NotFound`] when the report was deleted meanwhile.
pub async fn read_piece(services: &Services, download: &Download, number: i32) -> Result<Vec<u8>, Refused> {
    let mut uow = services.begin_bulk(download.tenant).await?;
    let piece = uow.history().piece(download.instance, number).await?.ok_or(Refused::NotFound)?;
    if number == 0 {
        // A link says what, not who: whoever holds it.
        let actor =
            Actor { name: "Holder of a download link".to_owned(), request_id: download.request_id, ..Actor::system() };
        let downloaded = Event {
            after: Some(json!({
                "historyInstance": download.instance,
                "displayName": download.display_name,
                "rows": download.report.rows,
            })),
            ..Event::new(Activity::ReportDownloaded)
        };
        uow.events().append(&actor, &[downloaded]).await?;
        uow.commit().await?;
    }
    Ok(piece)
}
