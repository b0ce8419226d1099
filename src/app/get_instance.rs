//! INST-GET

use super::{Call, Refused, Services, access, list_instances::ExpandedInstance, list_stages::visible_stages};
use crate::{
    domain::{
        authorization::Operation,
        ids::{DefinitionId, InstanceId, ReviewerListId},
        instance::Instance,
        reviewer_scope::ReviewerLists,
    },
    store::UnitOfWork,
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

/// The same with the stages that the caller gets to see.
pub async fn get_instance_with_stages(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
) -> Result<ExpandedInstance, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let (instance, _) = access::instance(&mut *uow, call, Operation::InstanceGet, definition, id).await?;
    let view = with_lists(&mut *uow, vec![instance]).await?.pop().ok_or(Refused::NotFound)?;
    let stages = visible_stages(&mut *uow, call, Operation::StageList, definition, id).await?;
    Ok(ExpandedInstance { view, stages: Some(stages) })
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
