//! INST-GET

use super::{
    Call, Refused, Services, access, contacted_reviewers::contacted_reviewers_of, list_instances::ExpandedInstance,
    list_stages::visible_stages, listing::ListRequest,
};
use crate::{
    domain::{
        authorization::Operation,
        ids::{DefinitionId, InstanceId, ReviewerListId},
        instance::Instance,
        reviewer_scope::ReviewerLists,
    },
    store::{ContactedReviewer, ContactedReviewerCursor, Slice, UnitOfWork},
};

/// An instance and its reviewer lists as shown on it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView {
    pub instance: Instance,
    pub lists: ReviewerLists,
}

/// One instance, for whoever may read it.
pub async fn get_instance(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
) -> Result<InstanceView, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let (instance, _) = access::instance(&mut *uow, call, Operation::InstanceGet, definition, id).await?;
    let mut views = with_lists(&mut *uow, vec![instance]).await?;
    views.pop().ok_or(Refused::NotFound)
}

/// What is asked for along with an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceExpansion {
    /// The stages that the caller gets to see.
    pub stages: bool,
    /// So many contacted reviewers at most, for whoever may list them.
    pub contacted_reviewers: Option<u32>,
}

/// An instance with what was asked for.
pub type InstanceWithParts = (ExpandedInstance, Option<Slice<ContactedReviewer, ContactedReviewerCursor>>);

/// One instance with its parts, each with the right to its own list.
pub async fn expand_instance(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
    wanted: InstanceExpansion,
) -> Result<InstanceWithParts, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let (instance, _) = access::instance(&mut *uow, call, Operation::InstanceGet, definition, id).await?;
    let view = with_lists(&mut *uow, vec![instance]).await?.pop().ok_or(Refused::NotFound)?;
    let stages = match wanted.stages {
        true => Some(visible_stages(&mut *uow, call, Operation::StageList, definition, id).await?),
        false => None,
    };
    let contacted = match wanted.contacted_reviewers {
        Some(limit) => {
            let first = ListRequest::first(i64::from(limit));
            Some(contacted_reviewers_of(&mut *uow, call, definition, id, &first).await?.slice)
        }
        None => None,
    };
    Ok((ExpandedInstance { view, stages }, contacted))
}

/// Completes instances with their lists. A multi-stage instance shows the definition's, for information only (LC-SUPD-31).
pub(super) async fn with_lists(
    uow: &mut dyn UnitOfWork,
    instances: Vec<Instance>,
) -> Result<Vec<InstanceView>, Refused> {
    let ids: Vec<_> = instances.iter().map(|instance| ReviewerListId::of_instance(instance.id)).collect();
    let lists = uow.reviewer_lists().find_all(&ids).await?;
    Ok(instances.into_iter().zip(lists).map(|(instance, lists)| InstanceView { instance, lists }).collect())
}
