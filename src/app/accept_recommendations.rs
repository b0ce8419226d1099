//! INST-ACCEPT and the same on a stage: the recommendations become answers. The rule is `domain::bulk_decision::accept`.

use serde_json::json;

use super::{
    Call, Refused, Services,
    bulk_decisions::{BulkPath, answering},
};
use crate::domain::{
    authorization::Operation,
    bulk_decision::{self, AcceptRefusal},
    event::{Activity, Event},
};

impl From<AcceptRefusal> for Refused {
    fn from(refusal: AcceptRefusal) -> Self {
        match refusal {
            AcceptRefusal::Record(refusal) => refusal.into(),
            AcceptRefusal::Disabled => Self::InvalidState(refusal.to_string()),
        }
    }
}

/// Answers each undecided item the caller reviews as its recommendation says, where it has one. LC-DEC-11, LC-DEC-12
pub async fn accept_recommendations(services: &Services, call: &Call, path: BulkPath) -> Result<(), Refused> {
    let operation = match path.stage {
        Some(_) => Operation::StageAcceptRecommendations,
        None => Operation::InstanceAcceptRecommendations,
    };
    let mut uow = services.begin_bulk(call.tenant()).await?;
    let answering = answering(&mut *uow, call, path, operation, None).await?;
    let required = answering.instance.settings.justification_required_on_approval;
    let acceptance = bulk_decision::accept(&answering.stage, required, uow.now())?;

    let author = &call.caller.identity;
    let items = uow.bulk_decisions().accept_all(&answering.selection, &acceptance, author).await?;
    if items > 0 {
        let event = Event {
            after: Some(json!({
                "justification": acceptance.justification,
                "reviewedBy": author.id,
                "items": items,
            })),
            ..answering.event(Activity::RecommendationsAccepted)
        };
        uow.events().append(&call.actor(), &[event]).await?;
    }
    uow.commit().await?;
    Ok(())
}
