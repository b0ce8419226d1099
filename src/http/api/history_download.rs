//! The text of a finished report, for whoever holds a link to it: no token, one object, until the link ends. LC-HIST-06, LC-HIST-09

use std::sync::Arc;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::SizedStream,
    get,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue},
    web::{Bytes, Data, Path},
};
use futures_util::{Stream, stream};
use tokio::task::JoinHandle;

use super::{extract::run, history_link::SealedLink, schema::ErrorBody};
use crate::{
    app::{
        Services,
        history::download::{Download, open_download, read_piece},
    },
    http::{Edge, error::ApiError, request_ids::RequestIds},
};

/// Characters of a file name at most.
const NAME_LENGTH: usize = 80;

/// Download a finished report as CSV; the link is made by generateDownloadUri and needs no token
#[utoipa::path(
    tag = "history",
    operation_id = "downloadHistoryReport",
    params(("link" = String, Path)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 404, body = ErrorBody), (status = 410, body = ErrorBody)),
    security(())
)]
#[get("/attestry/v1/historyReports/{link}")]
pub(super) async fn download(
    edge: Data<Edge>,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let sealed = SealedLink::read(&path).ok_or_else(ApiError::not_found)?;
    // Nothing is looked up but the key of the tenant that the link claims, before the link has proved to be ours.
    let key = edge.page_keys.of(&edge.services, sealed.claimed_tenant()).await?;
    let link = sealed.open(&key).ok_or_else(ApiError::not_found)?;
    let request_id = request.extensions().get::<RequestIds>().map(|ids| ids.request_id);
    let services = edge.services.clone();
    let found = {
        let services = services.clone();
        run(async move { open_download(&services, link.tenant, link.instance, link.ends_at, request_id).await }).await?
    };
    let size = u64::try_from(found.report.bytes).map_err(ApiError::internal)?;
    let disposition = disposition(&found.display_name);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(ApiError::internal)?))
        // What a browser must not guess, and what nobody in between may keep.
        .insert_header((HeaderName::from_static("x-content-type-options"), "nosniff"))
        .body(SizedStream::new(size, pieces(services, found))))
}

/// The text piece by piece; the next one is read while the client takes this one, and no further. A report that is deleted meanwhile
/// ends the connection, so that nobody takes a part for the whole.
fn pieces(services: Services, found: Download) -> impl Stream<Item = Result<Bytes, ApiError>> {
    let count = found.report.pieces;
    let found = Arc::new(found);
    // In a task of its own: it is not cancelled half way when the client leaves, and it waits for nobody.
    let read = move |number: i32| {
        let (services, found) = (services.clone(), Arc::clone(&found));
        tokio::spawn(async move { read_piece(&services, &found, number).await })
    };
    stream::try_unfold((0, None), move |(number, reading): (i32, Option<JoinHandle<_>>)| {
        let read = read.clone();
        async move {
            if number >= count {
                return Ok(None);
            }
            let piece = reading.unwrap_or_else(|| read(number)).await.map_err(ApiError::internal)??;
            let next = number + 1;
            let ahead = (next < count).then(|| read(next));
            Ok(Some((Bytes::from(piece), (next, ahead))))
        }
    })
}

/// `attachment` with the report's name: plain for every client, and as it is for those that read RFC 6266.
fn disposition(display_name: &str) -> String {
    let name: String = display_name.chars().filter(|c| !c.is_control()).take(NAME_LENGTH).collect();
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " -_.".contains(c) { c } else { '_' }).collect();
    let full = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
    format!("attachment; filename=\"{plain}.csv\"; filename*=UTF-8''{full}.csv")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_called_like_its_report() {
        assert_eq!(
            disposition("Q1 \"Übersicht\"/x\r\n"),
            "attachment; filename=\"Q1 __bersicht__x.csv\"; filename*=UTF-8''Q1%20%22%C3%9Cbersicht%22%2Fx.csv"
        );
    }

    proptest! {
        #[test]
        fn every_name_makes_a_header(name in "(?s).{0,300}") {
            prop_assert!(HeaderValue::from_str(&disposition(&name)).is_ok());
        }
    }
}
