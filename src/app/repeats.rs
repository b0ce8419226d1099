//! Answers a create that comes again as it was answered the first time. LC-CONC-09, CL-27
//!
//! The answer is kept in the transaction that creates, so that either both are there or neither. Of two that come at once, the
//! later one waits at the key, rolls back what it made, and finds the other's answer.

use serde_json::Value;

use super::{Call, Refused, Services};
use crate::{
    domain::repeat::{Creates, FirstAnswer, KEPT_FOR, OtherBody},
    store::{StoreError, UnitOfWork, first_answers::KeyOf},
};

impl From<OtherBody> for Refused {
    fn from(error: OtherBody) -> Self {
        Self::Conflict(error.to_string())
    }
}

/// What was answered when this call's key came before; `None` when it did not, or has none.
pub(super) async fn earlier_answer(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    creates: Creates,
) -> Result<Option<Value>, Refused> {
    let Some(repeat) = &call.repeat_key else { return Ok(None) };
    let since = uow.now() - KEPT_FOR;
    let key = KeyOf { caller: call.caller.identity.id, creates, text: &repeat.text };
    let first = uow.first_answers().find(key, since).await?;
    Ok(first.map(|first| first.repeated(&repeat.body_digest)).transpose()?)
}

/// Commits what was created together with the answer to it, which comes back: this one, or the one that another unit gave to
/// the same key meanwhile, in which case nothing of this unit stays.
pub(super) async fn commit_with_answer(
    services: &Services,
    mut uow: Box<dyn UnitOfWork>,
    call: &Call,
    creates: Creates,
    answer: Value,
) -> Result<Value, Refused> {
    let Some(repeat) = &call.repeat_key else {
        uow.commit().await?;
        return Ok(answer);
    };
    let since = uow.now() - KEPT_FOR;
    let key = KeyOf { caller: call.caller.identity.id, creates, text: &repeat.text };
    let first = FirstAnswer { body_digest: repeat.body_digest, answer };
    if uow.first_answers().keep(key, &first, since).await? {
        uow.first_answers().forget(since).await?;
        uow.commit().await?;
        return Ok(first.answer);
    }
    drop(uow);
    let mut uow = services.begin(call.tenant()).await?;
    let earlier = earlier_answer(&mut *uow, call, creates).await?;
    // It was there a moment ago; only the end of its 24 hours can lie in between.
    earlier.ok_or_else(|| StoreError::Busy("the answer kept for the key has just expired".into()).into())
}
