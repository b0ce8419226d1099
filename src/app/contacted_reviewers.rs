//! INST-CONTACTED, CONTACTED-GET. M-17, LC-REV-12

use super::{
    Call, Refused, Services, access,
    list_definitions::{ListRequest, Listed},
};
use crate::{
    domain::{
        authorization::Operation,
        ids::{DefinitionId, InstanceId, ObjectId},
    },
    store::{ContactedReviewer, ContactedReviewerCursor, ContactedReviewerFilter, filter::ContactedReviewerProperty},
};

/// A page of the people who were resolved as reviewers of an instance, all stages together, whether or not mail went out.
pub async fn list_contacted_reviewers(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    instance: InstanceId,
    request: &ListRequest<ContactedReviewerProperty, ContactedReviewerCursor>,
) -> Result<Listed<ContactedReviewer, ContactedReviewerCursor>, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    access::instance(&mut *uow, call, Operation::ContactedReviewerList, definition, instance).await?;
    let filter = ContactedReviewerFilter { expression: request.expression.clone(), order: request.order };
    let slice = uow.contacted_reviewers().page(instance, &filter, &request.page).await?;
    let count = if request.count { Some(uow.contacted_reviewers().count(instance, &filter).await?) } else { None };
    Ok(Listed { slice, count })
}

/// One of them, by user id.
pub async fn get_contacted_reviewer(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    instance: InstanceId,
    id: ObjectId,
) -> Result<ContactedReviewer, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    access::instance(&mut *uow, call, Operation::ContactedReviewerGet, definition, instance).await?;
    uow.contacted_reviewers().find(instance, id).await?.ok_or(Refused::NotFound)
}
