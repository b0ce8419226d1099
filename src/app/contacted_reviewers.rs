//! INST-CONTACTED, CONTACTED-GET. M-17, LC-REV-12

use super::{
    Call, Refused, Services, access,
    listing::{ListRequest, Listed},
};
use crate::{
    domain::{
        authorization::Operation,
        ids::{DefinitionId, InstanceId, ObjectId},
    },
    store::{
        ContactedReviewer, ContactedReviewerCursor, ContactedReviewerFilter, Slice, UnitOfWork,
        filter::ContactedReviewerProperty,
    },
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
    contacted_reviewers_of(&mut *uow, call, definition, instance, request).await
}

/// The same within a unit of work.
pub(super) async fn contacted_reviewers_of(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    definition: DefinitionId,
    instance: InstanceId,
    request: &ListRequest<ContactedReviewerProperty, ContactedReviewerCursor>,
) -> Result<Listed<ContactedReviewer, ContactedReviewerCursor>, Refused> {
    access::instance(uow, call, Operation::ContactedReviewerList, definition, instance).await?;
    let filter = ContactedReviewerFilter { expression: request.expression.clone(), order: request.order.clone() };
    let slice = match &request.page {
        Some(page) => uow.contacted_reviewers().page(instance, &filter, page).await?,
        None => Slice::empty(),
    };
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
